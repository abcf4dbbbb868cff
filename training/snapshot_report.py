"""What is measured and shown of each snapshot, with this program's own means: no network is downloaded for it."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from analysis.spectrum import decibel, power_spectrum, radial_profile
from networks.adapters.base import Inspectable
from networks.adapters.wrap import wrap
from networks.sampling import image_to_uint8, seed_to_z
from render.jobs_equivariance import equivariance
from render.measures import Metric
from render.models import ModelStore
from render.renderer import Renderer
from render.request import ModelKey, RenderRequest
from render.video import ClipWriter

_WALK_STOPS = 4
_WALK_SECONDS = 8
_RATE = 24
_BATCH = 16
_FIRST_SEED = 100_000
"""Of the latents that are measured; the same for each snapshot, so that numbers can be compared."""


@torch.no_grad()
def measure_snapshot(average: nn.Module, samples: int) -> dict[str, Any]:
    """EQ-T and EQ-R in dB over `samples` latents (absent where the input cannot be moved), and the mean radial spectrum.

    'spectrum_db': a value per ring from 0 Hz to the Nyquist frequency, in dB of the variance of a picture with levels in
    [-1, 1]. The module is left as it is.
    """
    adapter = wrap(average)
    found: dict[str, Any] = {}
    if adapter.info.why_not('transform') is None:
        for name, metric in (('eq_t_db', 'eq-t'), ('eq_r_db', 'eq-r')):
            value = _equivariance(adapter, metric, samples)  # pyright: ignore[reportArgumentType]
            found[name] = round(value, 3) if math.isfinite(value) else None
    profile = decibel(radial_profile(_mean_power(adapter, samples)), reference=1.0)
    found['spectrum_db'] = [round(value, 2) for value in profile.tolist()]
    return found


def write_walk(path: Path, average: nn.Module, *, seed: int) -> None:
    """A clip of a closed walk through latents, from one seed to the next in w. Raises `BadFile`."""
    adapter = wrap(average)
    stops = _WALK_STOPS
    latents = torch.cat([_latents(adapter, seed * stops + number, number) for number in range(stops)])
    frames = _WALK_SECONDS * _RATE
    with ClipWriter(path, _RATE) as clip:
        for first in range(0, frames, _BATCH):
            places = torch.arange(first, min(first + _BATCH, frames)) * (stops / frames)
            left = places.floor().long()
            share = _eased(places - left)[:, None, None].to(latents)
            here = latents[left.to(latents.device)].lerp(latents[((left + 1) % stops).to(latents.device)], share)
            with torch.no_grad():
                pictures = image_to_uint8(adapter.synthesize(here)).cpu().numpy()
            for picture in pictures:
                clip.add(np.repeat(picture, 3, 2) if picture.shape[2] == 1 else picture[..., :3])
        clip.finish()


def _equivariance(adapter: Inspectable, metric: Metric, samples: int) -> float:
    store = ModelStore(next(adapter.module.parameters()).device)
    key = ModelKey('snapshot', '0' * 64)
    store.put(key, adapter)
    job = equivariance(
        Renderer(store), request=RenderRequest(key), metric=metric, samples=samples, first_seed=_FIRST_SEED
    )
    while True:
        try:
            next(job)
        except StopIteration as end:
            return float(end.value.decibels)


def _mean_power(adapter: Inspectable, samples: int) -> Tensor:
    """Power spectrum averaged over pictures, [height, width]."""
    total: Tensor | None = None
    for number in range(samples):
        picture = adapter.synthesize(_latents(adapter, _FIRST_SEED + number, number), noise='random', noise_seed=number)
        power = power_spectrum(picture)
        total = power if total is None else total + power
    if total is None:
        raise ValueError(f'a spectrum needs at least one sample, got {samples}')
    return total / samples


@torch.no_grad()
def _latents(adapter: Inspectable, seed: int, number: int) -> Tensor:
    """Latents of a seed, [1, num_ws, w_dim]; with classes, picture `number` is of the next one."""
    info = adapter.info
    parameter = next(adapter.module.parameters())
    z = seed_to_z(seed, info.z_dim).to(parameter.device)
    return adapter.latents(z, number % info.class_count if info.class_count else None)


def _eased(share: Tensor) -> Tensor:
    """Slow at both ends."""
    return (1 - torch.cos(share * math.pi)) / 2

"""Spectra over the depth of a network, and of generated and real pictures, step by step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from analysis.dataset_spectrum import DatasetSpectrum, dataset_spectrum
from analysis.nonlinearity import density_profile
from analysis.spectrum import decibel, power_spectrum
from networks.adapters.base import Inspectable
from networks.info import LayerInfo
from render.layer_calls import IMAGE, LayerCall, image_layer, layer_rate, request_seeds, run_pass, shown_transform
from render.measures import PictureSpectrum, Waterfall, WaterfallRow
from render.measuring.real_images import real_images
from render.renderer import Renderer
from render.request import RenderRequest
from render.worker import Job, Progress

MAX_KEPT = 256
"""Generated pictures that are kept for the comparison with real ones."""
_REAL_STEP = 16
"""Real pictures read in one step."""


class WaterfallRun:
    """Mean spectra of every layer, latent by latent."""

    def __init__(self, adapter: Inspectable, request: RenderRequest, *, keep: bool):
        self._adapter, self._request, self._keep = adapter, request, keep
        layers = [layer for layer in adapter.info.layers if '#' not in layer.name]
        self._layers = {layer.name: layer for layer in (*layers, image_layer(adapter))}
        self._powers: dict[str, Tensor] = {}
        self.pictures: list[Tensor] = []

    def add(self, seed: int) -> None:
        """Take in the picture of `seed`."""

        def take(call: LayerCall) -> None:
            if call.name in self._layers:
                self._add(call.name, call.output)

        image = run_pass(
            self._adapter, self._request, seed, take, transform=shown_transform(self._adapter, self._request)
        )
        self._add(IMAGE, image)
        if self._keep and len(self.pictures) < MAX_KEPT:
            self.pictures.append(image.cpu().float())

    def rows(self, samples: int) -> tuple[WaterfallRow, ...]:
        """What is known so far."""
        return tuple(self._row(layer, samples) for layer in self._layers.values())

    def _add(self, name: str, features: Tensor) -> None:
        power = power_spectrum(features).double()
        self._powers[name] = self._powers[name] + power if name in self._powers else power

    def _row(self, layer: LayerInfo, samples: int) -> WaterfallRow:
        rate = layer_rate(layer)
        power = self._powers.get(layer.name)
        empty = torch.zeros(0)
        frequencies, curve, note = empty, empty, ''
        level = math.nan if power is None else float(power.mean()) / samples
        if power is None:
            note = 'This layer did not run.'
        elif power.numel() == 1:
            note = 'This layer has one sample only, so it has no spectrum.'
        elif not math.isfinite(level):
            note = 'The layer holds values that are not finite numbers.'
        elif not level > 0:
            note = (
                'The layer is flat in every picture, so it has no spectrum; a transform may have pushed everything out '
                'of the band: use a scale nearer to 1.'
            )
        else:
            frequencies, profile = density_profile(power / samples, rate)
            curve = decibel(profile, level * rate**2)  # `level` is the variance: rates can be compared
        return WaterfallRow(
            layer.name,
            layer.label,
            rate,
            frequencies.float().cpu().numpy(),
            curve.float().cpu().numpy(),
            cutoff=math.nan if layer.cutoff is None else layer.cutoff,
            stopband=math.nan if layer.stopband is None else layer.stopband,
            note=note,
        )


@dataclass(slots=True)
class _Moments:
    """Mean and deviation of all values of a set, and its pictures so far."""

    count: int = 0
    total: float = 0.0
    squared: float = 0.0
    pictures: list[Tensor] = field(default_factory=list)

    def add(self, picture: Tensor) -> None:
        self.count += picture.numel()
        self.total += float(picture.double().sum())
        self.squared += float(picture.double().square().sum())
        self.pictures.append(picture.to(torch.uint8))

    def mean_std(self) -> tuple[float, float]:
        mean = self.total / self.count
        return mean, math.sqrt(max(self.squared / self.count - mean**2, 0.0))


def waterfall_job(
    renderer: Renderer, request: RenderRequest, samples: int, first_seed: int, real: Path | str | None, real_limit: int
) -> Job:
    """See `render.jobs_measure.waterfall`."""
    adapter = renderer.adapter(request)
    info = adapter.info
    seeds = request_seeds(request, samples, first_seed)
    moments = _Moments()
    if real is not None:
        source = real_images(real, side=info.resolution, channels=info.image_channels, limit=real_limit)
        for number, picture in enumerate(source.read()):
            moments.add(picture)
            if number % _REAL_STEP == 0:
                yield Progress(0.0, f'real picture {number + 1} of {len(source.names)}')
    run, result = WaterfallRun(adapter, request, keep=real is not None), None
    for index, seed in enumerate(seeds):
        run.add(seed)
        result = Waterfall(run.rows(index + 1), index + 1)
        yield Progress((index + 1) / samples, f'latent {index + 1} of {samples}', result)
    if real is None or result is None:
        return result
    mean, std = moments.mean_std()
    if not std > 0:
        raise ValueError(f'The pictures in {Path(real).name} are all of one colour, so they have no spectrum.')
    yield Progress(1.0, 'spectra of the pictures', result)
    of_real = dataset_spectrum((one[None].float() for one in moments.pictures), mean=mean, std=std)
    made = (_to_bytes(one, moments.pictures[0].shape[0]) for one in run.pictures)
    of_made = _finite_spectrum(made, mean, std)
    return Waterfall(
        result.rows,
        samples,
        generated=None if of_made is None else _curves('generated', of_made, mean, std),
        real=_curves(Path(real).name, of_real, mean, std),
    )


def _to_bytes(picture: Tensor, channels: int) -> Tensor:
    """A generated picture [1, channels, side, side] on the scale of 0 to 255, not rounded."""
    return (picture[:, :channels] * 127.5 + 128).clamp(0, 255)


def _finite_spectrum(pictures: Iterable[Tensor], mean: float, std: float) -> DatasetSpectrum | None:
    spectrum = dataset_spectrum(pictures, mean=mean, std=std)
    return spectrum if bool(spectrum.power.isfinite().all()) else None


def _curves(title: str, spectrum: DatasetSpectrum, mean: float, std: float) -> PictureSpectrum:
    axis = spectrum.axis_db()
    rate = len(spectrum.power) // 4  # 4 bins a frequency, see `dataset_spectrum`
    half = len(spectrum.power) // 2
    _, rings = density_profile(spectrum.power.roll((half, half), (0, 1)), float(rate))
    return PictureSpectrum(
        title,
        torch.linspace(0, rate / 2, len(axis)).numpy(),
        axis.float().numpy(),
        spectrum.diagonal_db().float().numpy(),
        spectrum.centred_db().float().numpy(),
        decibel(rings, rate**2).float().numpy(),  # whitened: the variance is 1
        spectrum.count,
        mean,
        std,
    )

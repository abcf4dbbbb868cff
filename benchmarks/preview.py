"""Would a smaller computation be the same picture, only smaller? PSNR against the full picture, averaged down to that size.

    python -m benchmarks.preview [--path PATH] [--pictures N]

Alias-free generators: every rate is limited to the wanted one, cutoffs and filters follow, 3x3 kernels are fitted to the wider
spacing. StyleGAN2 (skip): the sum of the RGB outputs up to that size. For comparison: one plain colour, the full picture's mean.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
import tyro
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from networks.adapters.base import Inspectable
from networks.sampling import seed_to_z
from networks.schedule import LayerRecord
from networks.sources import open_model
from networks.stylegan3 import Generator, SynthesisLayer


@dataclass(frozen=True)
class Options:
    path: str = 'demo:'
    """Which generator."""
    pictures: int = 16
    """Over how many seeds the error is averaged."""


def psnr_db(a: Tensor, b: Tensor) -> float:
    """Of pictures in [-1, 1]."""
    return -10 * math.log10(float((a - b).square().mean()) / 4)


def respaced(weight: Tensor, ratio: float, band: float) -> Tensor:
    """Kernels whose taps lie `ratio` samples apart, fitted by ones of spacing 1 for frequencies up to `band`."""
    offsets = np.arange(weight.shape[-1]) - (weight.shape[-1] - 1) / 2
    frequencies = np.linspace(-band, band, 401)[:, None]
    wave, wanted = (np.exp(2j * np.pi * frequencies * offsets * step) for step in (1.0, ratio))
    stacked = [np.vstack([one.real, one.imag]) for one in (wave, wanted)]
    fit = torch.from_numpy(np.linalg.lstsq(*stacked, rcond=None)[0]).float()
    return torch.einsum('yj,xk,oijk->oiyx', fit, fit, weight).contiguous()


def limited(record: LayerRecord, rate: float) -> LayerRecord:
    """The layer with no rate above `rate`."""
    rate_in = min(record.rate_in, rate) if record.index else record.rate_in  # the features come as they are
    own = min(record.rate, rate)
    oversampling = record.rate_inside / max(record.rate_in, record.rate)
    cutoff_in, cutoff = min(record.cutoff_in, rate_in / 2), min(record.cutoff, own / 2)
    margin_in, margin = (record.size_in - record.rate_in) / 2, (record.size - record.rate) / 2
    return replace(
        record,
        rate_in=rate_in,
        rate=own,
        rate_inside=max(rate_in, own) * oversampling,
        cutoff_in=cutoff_in,
        half_width_in=max(record.half_width_in * rate_in / record.rate_in, rate_in / 2 - cutoff_in),
        cutoff=cutoff,
        half_width=max(record.half_width * own / record.rate, own / 2 - cutoff),
        size_in=int(rate_in + 2 * margin_in),
        size=int(own + 2 * margin),
    )


def small_alias_free(generator: Generator, ws: Tensor, side: int) -> Tensor:
    """The picture with `side` samples, computed with no more."""
    network = generator.synthesis
    x = network.input(ws[:, 0])
    for row, record in enumerate(network.schedule.layers, 1):
        own, small = network.get_submodule(record.name), limited(record, side)
        layer = SynthesisLayer(network.w_dim, small, conv_clamp=network.config.conv_clamp, magnitude_ema_beta=0.0)
        layer.load_state_dict(
            {name: value for name, value in own.state_dict().items() if 'filter' not in name}, strict=False
        )
        if record.kernel > 1 and small.rate_in < record.rate_in:
            band = small.cutoff_in / small.rate_in
            layer.weight = nn.Parameter(respaced(layer.weight, small.rate_in / record.rate_in, band))
        x = layer(x, ws[:, row])
    return x * network.config.output_scale


def small_pictures(adapter: Inspectable, ws: Tensor) -> Iterator[tuple[int, Tensor]]:
    """(side, picture) for the next smaller sides."""
    module = adapter.module
    if isinstance(module, Generator):
        for side in (module.img_resolution // 2, module.img_resolution // 4):
            yield side, small_alias_free(module, ws, side)
        return
    seen: dict[str, Tensor] = {}
    for name, block in module.get_submodule('synthesis').named_children():
        block.register_forward_hook(lambda _m, _i, output, name=name: seen.update({name: output[1]}))
    adapter.synthesize(ws)
    for picture in list(seen.values())[-2:-4:-1]:
        if picture is not None:
            yield picture.shape[-1], picture


def main(options: Options) -> None:
    with torch.no_grad():
        adapter = open_model(options.path, torch.device('cpu'))
        z = torch.cat([seed_to_z(seed, adapter.info.z_dim) for seed in range(options.pictures)]).float()
        ws = adapter.latents(z)
        full = adapter.synthesize(ws)
        print(f'{adapter.info.title}, {options.pictures} pictures; PSNR in dB')
        print(f'{"side":>6}{"smaller computation":>22}{"one colour":>14}')
        for side, picture in small_pictures(adapter, ws):
            wanted = avg_pool2d(full, full.shape[-1] // side)
            plain = wanted.mean((2, 3), keepdim=True).expand_as(wanted)
            print(f'{side:6}{psnr_db(picture, wanted):22.1f}{psnr_db(plain, wanted):14.1f}')


if __name__ == '__main__':
    main(tyro.cli(Options, description=__doc__))

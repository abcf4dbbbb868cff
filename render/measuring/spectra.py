"""Spectra over the depth of a network, and of generated and real pictures, step by step."""

from __future__ import annotations

import math
from dataclasses import dataclass
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
    """Mean and deviation of all values of a set so far."""

    count: int = 0
    total: float = 0.0
    squared: float = 0.0

    def add(self, picture: Tensor) -> None:
        self.count += picture.numel()
        self.total += float(picture.double().sum())
        self.squared += float(picture.double().square().sum())

    def mean_std(self, title: str) -> tuple[float, float]:
        """Both. Raises `ValueError` for pictures of one colour."""
        mean = self.total / self.count
        std = math.sqrt(max(self.squared / self.count - mean**2, 0.0))
        if not std > 0:
            raise ValueError(f'The pictures in {title} are all of one colour, so they have no spectrum.')
        return mean, std


@dataclass(slots=True)
class _Whitened:
    """Mean spectrum of pictures so far, all whitened by the same mean and deviation."""

    mean: float
    std: float
    spectrum: DatasetSpectrum | None = None

    def add(self, picture: Tensor) -> None:
        """Take in [1, channels, side, side] on the scale of mean and deviation."""
        known, one = self.spectrum, dataset_spectrum([picture], mean=self.mean, std=self.std)
        if known is not None:
            count = known.count + one.count
            one = DatasetSpectrum((known.power * known.count + one.power * one.count) / count, count)
        self.spectrum = one

    def result(self, title: str) -> PictureSpectrum | None:
        """None without a finite number."""
        found = self.spectrum
        if found is None or not bool(found.power.isfinite().all()):
            return None
        return _curves(title, found, self.mean, self.std)


def waterfall_job(
    renderer: Renderer, request: RenderRequest, samples: int, first_seed: int, real: Path | str | None, real_limit: int
) -> Job:
    """See `render.jobs_measure.waterfall`."""
    adapter = renderer.adapter(request)
    info, seeds = adapter.info, request_seeds(request, samples, first_seed)
    source = real and real_images(real, side=info.resolution, channels=info.image_channels, limit=real_limit)
    pictures = len(source.names) if source else 0
    steps, done, moments = 2 * pictures + samples * (2 if source else 1), 0, _Moments()
    for picture in source.read() if source else ():
        moments.add(picture)
        done += 1
        yield Progress(done / steps, f'real picture {done} of {pictures}')
    whitening = moments.mean_std(source.path.name) if source else (0.0, 1.0)
    run, result = WaterfallRun(adapter, request, keep=source is not None), None
    for index, seed in enumerate(seeds):
        run.add(seed)
        result = Waterfall(run.rows(index + 1), index + 1)
        done += 1
        yield Progress(done / steps, f'latent {index + 1} of {samples}', result)
    if not source or result is None:
        return result
    of_real, of_made = _Whitened(*whitening), _Whitened(*whitening)
    for spectrum, images in ((of_real, source.read()), (of_made, run.pictures)):
        for picture in images:
            spectrum.add(picture[None] if picture.ndim == 3 else _to_bytes(picture, source.channels))
            done += 1
            yield Progress(min(done / steps, 1.0), 'spectra of the pictures', result)
    return Waterfall(result.rows, samples, of_made.result('generated'), of_real.result(source.path.name))


def _to_bytes(picture: Tensor, channels: int) -> Tensor:
    """A generated picture [1, channels, side, side] on the scale of 0 to 255, not rounded."""
    return (picture[:, :channels] * 127.5 + 128).clamp(0, 255)


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

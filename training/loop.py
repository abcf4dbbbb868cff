"""The training loop: a function over explicit state. Drawing, learning, reporting and saving, in this order."""

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from networks.bad_file import BadFile
from training.batches import BatchStream
from training.check import check_images
from training.config import TrainConfig
from training.data import Batch, ImageZip, Sampling, check_count, labels_like_data, one_hot
from training.draws import Stream, torch_generator
from training.errors import TrainingError
from training.observers import Observers, Report
from training.preview import picture_grid, save_grid
from training.ranks import Ranks, joined, local_rank
from training.run_folder import RunFolder, open_run
from training.shared_state import hand_out
from training.shares import Share, share_for
from training.state import TrainState, generator_keywords, new_state
from training.step import Latents, Stats, training_step

_log = logging.getLogger(__name__)

Stop = Callable[[], bool]
"""Asked after every step: True = save and return."""


_WORTH_A_CHECK_KIMG = 10.0
"""A run as long as this begins with a look at its images."""
_CHECKED_IMAGES = 500


@dataclass(frozen=True, slots=True)
class _Place:
    """What stays the same during a run."""

    config: TrainConfig
    images: ImageZip
    batches: BatchStream
    class_count: int
    device: torch.device
    run: RunFolder
    keywords: dict[str, Any]
    share: Share
    observers: Observers
    """Nobody but the first process has any."""


def train(config: TrainConfig, *, stop: Stop = lambda: False, report: Report | None = None) -> Path:
    """Train until `config.kimg` or until `stop()`, continuing where an equal run was left; returns the run's folder.

    Under torchrun all its processes share each minibatch, and the first one writes. Raises `TrainingError` for data,
    options or a disk that cannot be used; what was saved before stays valid.
    """
    _check(config)
    device = _device(config)
    if config.threads:
        torch.set_num_threads(config.threads)
    with joined(gpu=device.type == 'cuda') as ranks, ImageZip(config.data) as images:
        check_count(images, config.batch)
        share = share_for(ranks, batch=config.batch, group=_group(config))
        class_count = images.class_count if config.conditional else 0
        state = new_state(config, side=images.side, class_count=class_count, device=device)
        run = _open_for_all(config, state, ranks)
        _continue(state, run, ranks)
        keywords = generator_keywords(config, side=images.side, class_count=class_count)
        observers = Observers.opened(run, config, ranks, state.images, report=report)
        if state.images == 0 and config.kimg >= _WORTH_A_CHECK_KIMG:
            observers.warn(check_images(images, samples=_CHECKED_IMAGES).warnings() if ranks.is_first else ())
        with observers, _batches(config, images, share, class_count, device) as batches:
            place = _Place(config, images, batches, class_count, device, run, keywords, share, observers)
            try:
                _run(state, place, stop)
            except (OSError, BadFile) as error:
                raise TrainingError(
                    f'The run in {run.path} cannot be saved ({error}); make room, then repeat the command.'
                ) from error
        return run.path


def _open_for_all(config: TrainConfig, state: TrainState, ranks: Ranks) -> RunFolder:
    """The run's folder, which the first process finds or makes."""
    path = str(open_run(config).path) if ranks.is_first else ''
    return RunFolder(Path(ranks.text_from_first(path)))


def _continue(state: TrainState, run: RunFolder, ranks: Ranks) -> None:
    """Bring `state` to what the run has saved last."""
    if ranks.is_first:
        for note in run.load_state(state):
            _log.warning(note)
        run.cut_stats(state.images)
    hand_out(state, ranks)


def _batches(
    config: TrainConfig, images: ImageZip, share: Share, class_count: int, device: torch.device
) -> BatchStream:
    workers = (2 if device.type == 'cuda' else 0) if config.workers is None else config.workers
    return BatchStream(
        images, sampling(config), batch=config.batch, class_count=class_count, rows=share.rows, workers=workers
    )


def _run(state: TrainState, place: _Place, stop: Stop) -> None:
    """Steps, with a line of statistics every tick and a snapshot now and then, and one at the end."""
    config, observers, ranks = place.config, place.observers, place.share.ranks
    total = int(config.kimg * 1000)
    saved = state.images
    ticked, window_seconds = state.images, state.seconds
    if state.images >= total:
        observers.say(f'{place.run.path.name}: {state.images} images are done already; raise --kimg to train on.')
        return
    while state.images < total and not ranks.any(stop()):
        started = time.perf_counter()
        stats = _step(state, place)
        state.seconds += time.perf_counter() - started
        observers.step(state.images)
        if state.images - ticked >= config.tick_kimg * 1000 or state.images >= total:
            rate = (state.images - ticked) / max(state.seconds - window_seconds, 1e-9)
            observers.tick(_row(state, stats, rate), _line(state, stats, rate, total))
            ticked, window_seconds = state.images, state.seconds
        if state.images - saved >= config.snapshot_kimg * 1000:
            _save(state, place)
            saved = state.images
    if saved != state.images:
        _save(state, place)


def _step(state: TrainState, place: _Place) -> Stats:
    """The step that follows `state`; what it draws depends on the seed and the step only."""
    config = place.config
    batch = place.batches.read(state.images)
    batch = Batch(batch.images.to(place.device), batch.classes.to(place.device))
    for_discriminator = _latents(state.step, place, Stream.LATENTS_FOR_D)
    for_generator = for_discriminator if config.reuse_fakes else _latents(state.step, place, Stream.LATENTS_FOR_G)
    return training_step(state, batch, for_discriminator, for_generator, config, place.share)


def _latents(step: int, place: _Place, stream: Stream) -> Latents:
    """Drawn for the whole minibatch, by every process alike; then its own rows."""
    config, own = place.config, place.share.own
    z = torch.randn(config.batch, config.z_dim, generator=torch_generator(config.seed, stream, step))
    labels = labels_like_data(place.images, config.seed, stream, step, config.batch, config.class_balance)
    return Latents(own(z).to(place.device), one_hot(own(labels), place.class_count).to(place.device))


def sampling(config: TrainConfig) -> Sampling:
    """How `config` wants the images to be shown."""
    return Sampling(config.seed, config.class_balance, config.x_flips, config.quarter_turns)


def _save(state: TrainState, place: _Place) -> None:
    """The state first: what can be continued is worth more than what can be looked at."""
    if not place.share.ranks.is_first:
        return
    config, run = place.config, place.run
    run.write_state(state, config)
    source = f'train.py {config.preset}: {config.data.name}, {state.images} images seen, seed {config.seed}'
    snapshot = run.write_snapshot(state, config, place.keywords, source)
    grid = picture_grid(state.average, seed=config.seed)
    save_grid(run.preview_path(state.images), grid)
    place.observers.snapshot(state, snapshot, grid)


def _row(state: TrainState, stats: Stats, rate: float) -> dict[str, Any]:
    values = {name: value for name, value in asdict(stats).items() if value is not None}
    progress = {'images': state.images, 'step': state.step, 'seconds': round(state.seconds, 3)}
    return {**progress, 'images_per_second': round(rate, 3), **values}


def _line(state: TrainState, stats: Stats, rate: float, total: int) -> str:
    left = int((total - state.images) / rate)
    return (
        f'{state.images / 1000:8.1f} of {total / 1000:.1f} kimg   {rate:6.1f} images/s   '
        f'{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left   '
        f'loss G {stats.generator_loss:6.3f}  D {stats.discriminator_loss:6.3f}'
    )


def _device(config: TrainConfig) -> torch.device:
    if config.device == 'cuda' and not torch.cuda.is_available():
        raise TrainingError('--device cuda needs an NVIDIA GPU that torch can see; there is none: use --device cpu.')
    automatic = 'cuda' if torch.cuda.is_available() else 'cpu'
    chosen = automatic if config.device == 'auto' else config.device
    return torch.device(chosen, local_rank()) if chosen == 'cuda' else torch.device(chosen)


def _group(config: TrainConfig) -> int | None:
    """Samples that the discriminator compares with each other; None: it looks at each alone."""
    compares = config.judge == 'stylegan2' and config.discriminator.mbstd_num_channels > 0
    return (config.discriminator.mbstd_group_size or config.batch) if compares else None


def _check(config: TrainConfig) -> None:
    """Refuse impossible options before anything is made."""
    group = config.discriminator.mbstd_group_size
    if config.batch < 1:
        raise TrainingError(f'--batch is {config.batch}; it must be 1 or more.')
    if group is not None and config.discriminator.mbstd_num_channels and config.batch % min(group, config.batch):
        raise TrainingError(
            f'--batch {config.batch} cannot be divided into groups of {group}; use a multiple of {group}.'
        )
    if config.kimg <= 0:
        raise TrainingError(f'--kimg is {config.kimg:g}; it must be above 0.')
    if config.r1_interval < 1:
        raise TrainingError(f'--r1-interval is {config.r1_interval}; it must be 1 or more.')
    if not 0 <= config.class_balance <= 1:
        raise TrainingError(f'--class-balance is {config.class_balance:g}; it must lie between 0 and 1.')


def resolved(config: TrainConfig) -> TrainConfig:
    """`config` with absolute paths."""
    return replace(config, data=config.data.expanduser().absolute(), out=config.out.expanduser().absolute())

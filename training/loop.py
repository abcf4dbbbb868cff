"""The training loop: a function over explicit state. Drawing, learning, reporting and saving, in this order."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from networks.bad_file import BadFile
from ops.memory import keep_freed_memory
from training.check import check_images
from training.checks import check_options, device_of, group_of
from training.config import TrainConfig
from training.data import ImageZip, check_count
from training.errors import TrainingError
from training.inputs import StepSource, batches_of
from training.observers import Observers, Report
from training.preview import picture_grid, save_grid
from training.ranks import Ranks, joined, telling_who_is_gone
from training.room import check_room, room_for
from training.run_folder import RunFolder, is_due, open_run
from training.run_lock import locked
from training.shared_state import hand_out
from training.shares import share_for
from training.state import TrainState, generator_keywords, new_state
from training.step import training_step
from training.tally import Tally
from training.transfer import table, transfer

Stop = Callable[[], bool]
"""Asked after every step: True = save and return."""


_WORTH_A_CHECK_KIMG = 10.0
"""A run as long as this begins with a look at its images."""
_CHECKED_IMAGES = 500


@dataclass(frozen=True, slots=True)
class _Place:
    """What stays the same during a run."""

    config: TrainConfig
    source: StepSource
    run: RunFolder
    keywords: dict[str, Any]
    observers: Observers
    """Nobody but the first process has any."""


def train(config: TrainConfig, *, stop: Stop = lambda: False, report: Report | None = None) -> Path:
    """Train until `config.kimg` or until `stop()`, continuing where an equal run was left; returns the run's folder.

    Under torchrun all its processes share each minibatch, and the first one writes. Raises `TrainingError` for data,
    options or a disk that cannot be used; what was saved before stays valid.
    """
    check_options(config)
    device = device_of(config)
    keep_freed_memory()
    if config.threads:
        torch.set_num_threads(config.threads)
    with joined(gpu=device.type == 'cuda') as ranks, ImageZip(config.data) as images:
        return _train(config, images, ranks, stop, report)


def _train(config: TrainConfig, images: ImageZip, ranks: Ranks, stop: Stop, report: Report | None) -> Path:
    """`train`, in company; nothing that uses the company may outlive this call."""
    device = device_of(config)
    check_count(images, config.batch)
    share = share_for(ranks, batch=config.batch, group=group_of(config))
    class_count = images.class_count if config.conditional else 0
    state = new_state(config, side=images.side, class_count=class_count, device=device, ranks=ranks)
    if ranks.is_first:
        check_room(room_for(config, state))
    run = _open_for_all(config, ranks)
    keywords = generator_keywords(config, side=images.side, class_count=class_count)
    with locked(run.path) if ranks.is_first else nullcontext(), _saving_in(run):
        said = _continue(state, run, config, ranks)
        with (
            Observers.opened(run, config, ranks, state.images, report=report) as observers,
            batches_of(config, images, share, class_count, device) as batches,
        ):
            for line in said:
                observers.say(line)
            source = StepSource(config, images, batches, class_count, device, share)
            place = _Place(config, source, run, keywords, observers)
            _finish_snapshot(state, place)
            _run(state, place, stop)
    return run.path


@contextmanager
def _saving_in(run: RunFolder) -> Iterator[None]:
    """Around all that writes: a disk that refuses becomes a sentence."""
    try:
        yield
    except (OSError, BadFile) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        remedy = 'get the right to write there' if isinstance(error, PermissionError) else 'make room'
        raise TrainingError(
            f'The run in {run.path} cannot be saved ({reason}); what was saved before is whole: '
            f'{remedy}, then repeat the command.'
        ) from error


def _open_for_all(config: TrainConfig, ranks: Ranks) -> RunFolder:
    """The run's folder, which the first process finds or makes."""
    path = str(open_run(config).path) if ranks.is_first else ''
    return RunFolder(Path(ranks.text_from_first(path)))


def _continue(state: TrainState, run: RunFolder, config: TrainConfig, ranks: Ranks) -> list[str]:
    """Bring `state` to what the run has saved last, or to its beginning; lines for a person."""
    said: list[str] = []
    if ranks.is_first:
        run.sweep()
        notes = run.load_state(state, config.identity())
        said += [f'note: {note}' for note in notes]
        if not notes:  # else an older one may be the one that can be read
            run.drop_old_states()
        run.cut_stats(state.images)
        if state.images:
            said.append(f'Continuing {run.path} after {state.images:,} images.')
        if state.images == 0 and config.resume_from is not None:
            said.append(table(config.resume_from, transfer(state, config.resume_from)))
    hand_out(state, ranks)
    return said


def _finish_snapshot(state: TrainState, place: _Place) -> None:
    """Look at new data; make what is still missing of the last snapshot, if the process ended before it was done."""
    config, run = place.config, place.run
    if not place.source.share.ranks.is_first:
        return
    if state.images == 0 and config.kimg >= _WORTH_A_CHECK_KIMG:
        place.observers.warn(check_images(place.source.images, samples=_CHECKED_IMAGES).warnings())
    is_snapshot = state.images > 0 and is_due(state.images, config.batch, config.snapshot_kimg)
    if is_snapshot and not run.has_outputs(state.images, config):
        _save_outputs(state, place)


def _run(state: TrainState, place: _Place, stop: Stop) -> None:
    """Steps, with a line of statistics every tick and a snapshot now and then, and one at the end."""
    config, observers, ranks = place.config, place.observers, place.source.share.ranks
    total = config.total_images()
    if state.images >= total:
        observers.say(f'{place.run.path.name}: {state.images} images are done already; raise --kimg to train on.')
        return
    saved_at, unsaved = time.monotonic(), False
    while state.images < total and not ranks.any(stop()):
        started = time.perf_counter()
        with telling_who_is_gone():
            stats = training_step(state, *place.source.inputs(state), config, place.source.share)
        state.tally.add(stats, images=config.batch, seconds=time.perf_counter() - started)
        state.seconds += time.perf_counter() - started
        unsaved = True
        observers.step(state.images)
        if is_due(state.images, config.batch, config.tick_kimg) or state.images >= total:
            observers.tick(_row(state), _line(state, total))
            state.tally = Tally()
        if is_due(state.images, config.batch, config.snapshot_kimg) or state.images >= total:
            _save(state, place)
            saved_at, unsaved = time.monotonic(), False
        elif ranks.any(time.monotonic() - saved_at > config.state_minutes * 60):
            _save_state(state, place)
            saved_at, unsaved = time.monotonic(), False
    if unsaved:
        _save(state, place)


def _save_state(state: TrainState, place: _Place) -> None:
    if place.source.share.ranks.is_first:
        place.run.write_state(state, place.config)


def _save(state: TrainState, place: _Place) -> None:
    """The state first: what can be continued is worth more than what can be looked at."""
    if not place.source.share.ranks.is_first:
        return
    place.run.write_state(state, place.config)
    _save_outputs(state, place)


def _save_outputs(state: TrainState, place: _Place) -> None:
    """Snapshot, picture, measurements."""
    config, run = place.config, place.run
    source = f'train.py {config.preset}: {config.data.name}, {state.images} images seen, seed {config.seed}'
    snapshot = run.write_snapshot(state, config, place.keywords, source)
    grid = picture_grid(state.average, seed=config.seed)
    save_grid(run.preview_path(state.images, config), grid)
    place.observers.snapshot(state, snapshot, grid)


def _row(state: TrainState) -> dict[str, Any]:
    progress = {'images': state.images, 'step': state.step, 'seconds': round(state.seconds, 3)}
    return {**progress, 'images_per_second': round(state.tally.rate(), 3), **state.tally.values()}


def _line(state: TrainState, total: int) -> str:
    values, rate = state.tally.values(), state.tally.rate()
    left = int((total - state.images) / rate)
    lost = f'   {values["lost_gradients"]:g} gradients lost' if values.get('lost_gradients') else ''
    strength = f'   augmentation {values["augment_p"]:.3f}' if 'augment_p' in values else ''
    return (
        f'{state.images / 1000:8.1f} of {total / 1000:.1f} kimg   {rate:6.1f} images/s   '
        f'{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left   '
        f'loss G {values["generator_loss"]:6.3f}  D {values["discriminator_loss"]:6.3f}{strength}{lost}'
    )

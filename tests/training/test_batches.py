import os
import signal
import zipfile
from pathlib import Path

import pytest
import torch

from tests.training.conftest import MakeZip, png
from training.batches import BatchStream
from training.data import ImageZip, Sampling, as_batch, check_count, read_pixels
from training.errors import TrainingError

SAMPLING = Sampling(seed=2, x_flips=True)


def stream(images: ImageZip, **options: int) -> BatchStream:
    return BatchStream(images, SAMPLING, batch=4, class_count=2, **options)


def test_a_folder_of_images_reads_like_the_zip_of_them(make_zip: MakeZip, tmp_path: Path):
    path = make_zip([png(8, seed) for seed in range(5)], [0, 1, 0, 1, 1])
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / 'folder')
    with ImageZip(path) as packed, ImageZip(tmp_path / 'folder') as plain:
        a, b = (as_batch(*read_pixels(images, range(3, 7), SAMPLING), class_count=2) for images in (packed, plain))
    assert torch.equal(a.images, b.images)
    assert torch.equal(a.classes, b.classes)


@pytest.mark.slow  # starts two processes, which import torch
def test_worker_processes_give_the_same_order_from_any_position_and_are_replaced_when_they_die(make_zip: MakeZip):
    with ImageZip(make_zip([png(8, seed) for seed in range(7)], [0, 1, 0, 1, 1, 0, 0])) as images:
        with stream(images) as alone:
            expected = [alone.read(position) for position in (12, 16, 20, 24)]
        random_state = torch.get_rng_state()
        with stream(images, workers=1) as reading:
            found = [reading.read(12), reading.read(16)]
            (child,) = torch.multiprocessing.active_children()
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            child.join()  # while the training is at something else, it is not told
            found += [reading.read(20), reading.read(24)]
        assert torch.equal(torch.get_rng_state(), random_state)
    for a, b in zip(expected, found, strict=True):
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.classes, b.classes)


def test_workers_that_die_again_and_again_are_one_sentence(make_zip: MakeZip, monkeypatch: pytest.MonkeyPatch):
    def die(self: BatchStream, first: int):
        yield from ()
        raise RuntimeError('DataLoader worker (pid 7) is killed by signal: Killed.\nmore')

    monkeypatch.setattr(BatchStream, '_begin', die)
    with (
        ImageZip(make_zip([png(8), png(8, 1)])) as images,
        stream(images, workers=2) as reading,
        pytest.raises(TrainingError) as caught,
    ):
        reading.read(0)
    assert 'die again and again (DataLoader worker (pid 7) is killed by signal: Killed.); use --workers 0' in str(
        caught.value
    )
    assert '\n' not in str(caught.value)


def test_a_process_reads_its_own_rows_of_each_minibatch(make_zip: MakeZip):
    images = ImageZip(make_zip([png(8, seed) for seed in range(7)], [0, 1, 0, 1, 1, 0, 0]))
    with images, stream(images) as alone, BatchStream(images, SAMPLING, batch=4, class_count=2, rows=(1, 3)) as one:
        assert torch.equal(alone.read(8).images[[1, 3]], one.read(8).images)


def test_a_damaged_image_is_replaced_by_the_next_and_two_of_few_stop(
    make_zip: MakeZip, caplog: pytest.LogCaptureFixture
):
    good = [png(8, seed) for seed in range(4)]
    with ImageZip(make_zip([good[0], png(8, 9)[:60], *good[2:]])) as images:
        index, pixels = images.image_or_next(1)
        assert index == 2
        assert (pixels == images.image(2)).all()
        assert '001.png' in caplog.text
        images.image_or_next(1)
        assert len(caplog.records) == 1
        images.damaged.add('000.png')
        with pytest.raises(TrainingError, match='what was trained is kept'):
            images.image_or_next(1)


@pytest.mark.parametrize(
    ('count', 'batch', 'part'), [(1, 1, 'holds one image only'), (3, 4, '--batch 4 is larger than the set')]
)
def test_too_few_images_are_refused(make_zip: MakeZip, count: int, batch: int, part: str):
    with (
        ImageZip(make_zip([png(8, seed) for seed in range(count)])) as images,
        pytest.raises(TrainingError, match=part),
    ):
        check_count(images, batch)

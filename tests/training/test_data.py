import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.training.conftest import MakeZip, png
from training.data import ImageZip, Sampling, as_batch, image_at, labels_like_data, read_pixels, turned
from training.draws import Stream
from training.errors import TrainingError

PLAIN = Sampling(seed=3)


def test_every_image_comes_once_in_each_epoch():
    first, second = ([image_at(epoch * 50 + place, None, 50, PLAIN) for place in range(50)] for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second


def test_the_image_at_a_position_does_not_depend_on_what_was_asked_before():
    backwards = {position: image_at(position, None, 7, PLAIN) for position in reversed(range(40))}
    assert [backwards[position] for position in range(40)] == [
        image_at(position, None, 7, PLAIN) for position in range(40)
    ]


def test_another_seed_gives_another_order():
    orders = {tuple(image_at(place, None, 50, Sampling(seed)) for place in range(50)) for seed in range(4)}
    assert len(orders) == 4


@pytest.mark.parametrize(('balance', 'share'), [(0.0, 0.1), (0.5, 0.25), (1.0, 0.5)])
def test_class_balance_sets_how_often_a_rare_class_is_shown(balance: float, share: float):
    """900 and 100 images: sizes to the power of 1 - balance, so 1:9, 1:3, 1:1."""
    labels = np.array([0] * 900 + [1] * 100)
    sampling = Sampling(seed=0, class_balance=balance)
    shown = [labels[image_at(position, labels, 1000, sampling)] for position in range(10_000)]
    assert np.mean(shown) == pytest.approx(share, abs=0.02)  # standard deviation 0.005


def test_symmetries_give_the_eight_versions_of_a_picture_and_no_more():
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    both = Sampling(seed=0, x_flips=True, quarter_turns=True)
    assert len({turned(picture, position, both).tobytes() for position in range(200)}) == 8
    assert len({turned(picture, position, PLAIN).tobytes() for position in range(200)}) == 1


def test_a_batch_holds_the_pixels_of_the_zip_between_minus_one_and_one(make_zip: MakeZip):
    with ImageZip(make_zip([png(8, seed) for seed in range(5)], [0, 1, 2, 0, 1])) as images:
        batch = as_batch(*read_pixels(images, (13, 14), PLAIN), class_count=3)
        index = image_at(13, images.labels, 5, PLAIN)
        restored = ((batch.images[0].permute(1, 2, 0) + 1) * 127.5).round().to(torch.uint8)
        assert np.array_equal(restored.numpy(), images.image(index))
        assert batch.classes[0].tolist() == [float(images.labels[index] == label) for label in range(3)]


def test_classes_of_fakes_follow_those_of_the_data(make_zip: MakeZip):
    with ImageZip(make_zip([png(8)] * 10, [0] * 8 + [1] * 2)) as images:
        drawn = torch.cat([labels_like_data(images, 0, Stream.LATENTS_FOR_D, step, 50, 0.0) for step in range(40)])
    assert drawn.float().mean().item() == pytest.approx(0.2, abs=0.04)  # standard deviation 0.009


@pytest.mark.parametrize(
    ('pictures', 'labels', 'part'),
    [
        ([], None, 'holds no images'),
        ([png(8), png(16)], None, '16 x 16 pixels but'),
        ([png(8, height=12)], None, 'crop them square'),
        ([png(8), b'no picture at all'], None, '001.png in pictures.zip is no image of a known format'),
        ([png(8), png(8)], [0], 'no whole-number label for each image'),
        ([png(8)], ['grass'], 'no whole-number label for each image'),
        ([png(8)], [-1], 'labels start at 0'),
    ],
)
def test_a_bad_zip_is_refused_in_one_sentence(make_zip: MakeZip, pictures: list, labels: list | None, part: str):
    with pytest.raises(TrainingError) as caught:
        ImageZip(make_zip(pictures, labels))
    assert part in str(caught.value)
    assert '\n' not in str(caught.value)


def test_a_missing_file_an_empty_folder_and_a_damaged_zip_are_told_apart(tmp_path: Path):
    damaged = tmp_path / 'damaged.zip'
    damaged.write_bytes(b'PK\x03\x04 and nothing more')
    for path, part in ((tmp_path / 'none.zip', 'no file'), (tmp_path, 'holds no images'), (damaged, 'as a ZIP')):
        with pytest.raises(TrainingError, match=part):
            ImageZip(path)


def test_an_image_with_damaged_pixels_is_named(make_zip: MakeZip):
    """The header is read before training, the pixels when their turn comes."""
    path = make_zip([png(8)[:60]])
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    with ImageZip(path) as images, pytest.raises(TrainingError, match=r'000\.png in pictures\.zip cannot be decoded'):
        images.image(0)


@pytest.mark.parametrize(
    ('mode', 'file_format', 'what'),
    [
        ('RGBA', 'PNG', 'transparency'),
        ('LA', 'PNG', 'transparency'),
        ('I;16', 'PNG', '16 or 32 bits per channel'),
        ('CMYK', 'JPEG', 'CMYK'),
    ],
)
def test_pictures_that_would_lose_something_are_refused_with_what_to_do(
    make_zip: MakeZip, mode: str, file_format: str, what: str
):
    file = io.BytesIO()
    Image.new(mode, (16, 16)).save(file, file_format)
    with pytest.raises(TrainingError, match=rf'000.png in pictures.zip has {what}; .*training.dataset prepare'):
        ImageZip(make_zip([file.getvalue(), png(16)]))


def test_grey_pictures_become_rgb_without_loss(make_zip: MakeZip):
    file = io.BytesIO()
    Image.linear_gradient('L').resize((16, 16)).save(file, 'PNG')
    with ImageZip(make_zip([file.getvalue()])) as images:
        assert np.array_equal(images.image(0)[..., 1], np.asarray(Image.open(file)))

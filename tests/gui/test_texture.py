"""Textures: what is uploaded is what shows, pixel for pixel, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from imgui_bundle import ImVec2, imgui

from gui_utils.texture import Texture, TexturePool, check_pixels, count_textures
from gui_utils.window import Window

MakeWindow = Callable[..., Window]

pytestmark = pytest.mark.display


def noise(height: int, width: int, channels: int = 4) -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)
    pixels[..., 3:] = 255
    return pixels


def shown(window: Window, texture: imgui.ImTextureRef, width: int, height: int) -> np.ndarray:
    """The pixels that a texture drawn at the top left corner with this size gives."""
    with window.frame():
        imgui.get_background_draw_list().add_image(texture, ImVec2(0, 0), ImVec2(width, height))
    return window.pixels()[:height, :width]


@pytest.mark.parametrize('channels', [3, 4])
def test_a_picture_at_its_own_size_shows_pixel_for_pixel(open_headless: MakeWindow, channels: int) -> None:
    window, texture = open_headless(), Texture()
    pixels = noise(101, 67, channels)  # odd: rows of three channels do not fill whole words
    texture.update(pixels)
    np.testing.assert_array_equal(shown(window, texture.ref, 67, 101), pixels[..., :3])
    assert texture.size == (101, 67)
    texture.delete()


def test_enlarged_pixels_are_sharp_squares(open_headless: MakeWindow) -> None:
    window, texture = open_headless(), Texture(filter='nearest')
    pixels = noise(40, 50)
    texture.update(pixels)
    expected = pixels[..., :3].repeat(5, axis=0).repeat(5, axis=1)
    np.testing.assert_array_equal(shown(window, texture.ref, 250, 200), expected)
    texture.delete()


def test_enlarged_pixels_are_blended_on_request(open_headless: MakeWindow) -> None:
    window, texture = open_headless(), Texture(filter='linear')
    edge = np.zeros((2, 2, 4), np.uint8)
    edge[:, 1] = 255
    edge[..., 3] = 255
    texture.update(edge)
    row = shown(window, texture.ref, 64, 64)[32, :, 0].astype(int)
    assert row[0] == 0
    assert row[-1] == 255
    assert (np.diff(row) >= 0).all()
    assert len(np.unique(row)) > 20
    texture.delete()


def test_a_reduced_picture_is_averaged_and_not_sampled(open_headless: MakeWindow) -> None:
    """Bilinear sampling of one white column in eight gives stripes or nothing; its average is an even grey."""
    window, texture = open_headless(), Texture()
    stripes = np.zeros((256, 256, 4), np.uint8)
    stripes[:, ::8] = 255
    stripes[..., 3] = 255
    texture.update(stripes)
    inner = shown(window, texture.ref_at(32), 32, 32)[4:-4, 4:-4]
    np.testing.assert_allclose(inner.astype(float), 255 / 8, atol=2)
    texture.delete()


def test_an_update_may_change_the_size(open_headless: MakeWindow) -> None:
    window, texture = open_headless(), Texture()
    for height, width in ((30, 20), (60, 90), (30, 20)):
        pixels = noise(height, width)
        texture.update(pixels)
        np.testing.assert_array_equal(shown(window, texture.ref, width, height), pixels[..., :3])
    texture.delete()


@pytest.mark.parametrize(
    ('pixels', 'complaint'),
    [
        (np.zeros((4, 4), np.uint8), 'height, width, 3 or 4'),
        (np.zeros((4, 4, 4), np.float32), 'float32'),
        (np.zeros((0, 4, 4), np.uint8), r'\(0, 4, 4\)'),
        (np.zeros((4, 4, 4), np.uint8)[:, ::2], 'C-contiguous'),
    ],
)
def test_pixels_of_another_kind_are_refused_in_words(pixels: np.ndarray, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        check_pixels(pixels)


def test_a_deleted_texture_says_so(open_headless: MakeWindow) -> None:
    open_headless()
    texture = Texture()
    texture.delete()
    texture.delete()
    with pytest.raises(RuntimeError, match='deleted'):
        texture.update(noise(2, 2))


def test_the_pool_uploads_again_only_what_changed(open_headless: MakeWindow) -> None:
    open_headless()
    pool, painted = TexturePool(), []

    def paint(numbers: np.ndarray) -> np.ndarray:
        painted.append(numbers)
        return noise(4, 4)

    first, second = np.zeros(3), np.ones(3)
    for source, variant in ((first, 0), (first, 0), (second, 0), (second, 1), (second, 1)):
        pool.show('plot', source, paint=paint, variant=variant)
    assert [float(numbers[0]) for numbers in painted] == [0.0, 1.0, 1.0]
    pool.close()


def test_the_pool_keeps_no_more_textures_than_it_may(open_headless: MakeWindow) -> None:
    open_headless()
    before = count_textures()
    pool = TexturePool(capacity=3)
    for number in range(10):
        pool.show(f'picture {number}', noise(4, 4))
    assert count_textures() == before + 3
    pool.close()
    assert count_textures() == before


def test_a_thousand_updates_leave_no_texture_behind(open_headless: MakeWindow) -> None:
    open_headless()
    before, texture = count_textures(), Texture()
    for size in range(1, 1001):
        texture.update(noise(1 + size % 7, 1 + size % 5))
    texture.delete()
    assert count_textures() == before


def test_another_way_of_uploading_is_asked_for_pictures_of_the_same_size_and_may_decline(
    open_headless: MakeWindow,
) -> None:
    window, asked, answer = open_headless(), [], False

    def upload(pixels: np.ndarray, name: int) -> bool:
        asked.append(name)
        return answer

    texture = Texture(upload=upload)
    first, second = noise(20, 20), 255 - noise(20, 20)
    second[..., 3] = 255
    texture.update(first)
    assert not asked  # there was no storage yet
    texture.update(second)
    assert len(asked) == 1
    np.testing.assert_array_equal(shown(window, texture.ref, 20, 20), second[..., :3])  # declined
    answer = True
    texture.update(first)
    np.testing.assert_array_equal(shown(window, texture.ref, 20, 20), second[..., :3])  # taken: not uploaded
    texture.delete()

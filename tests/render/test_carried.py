"""Pictures and clips that carry their session."""

import re
import struct
import subprocess
import zlib
from functools import partial
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from networks.bad_file import BadFile
from render.clips import clip_requests
from render.jobs import clip, run_to_end
from render.png_session import load_carried_session, save_png, shared_text
from render.renderer import Renderer
from render.session import CaptureState, LatentState, Session, Side, WindowState
from render.session_file import session_text
from render.video import ClipWriter
from render.worker import RenderWorker
from tests.render.fakes import KEY, FakeGenerator, fake_store

SESSION = Session(a=Side(model=KEY, latent=LatentState(x=2.5)), recent=('/home/me/secret.pkl',))
SHARED = Session(a=SESSION.a)


def pixels(height: int = 9, width: int = 7, channels: int = 4) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, channels), np.uint8)


def frames_and_size(path: Path) -> tuple[int, int, int]:
    """Frames, width and height, as ffmpeg sees them."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), '-i', str(path), '-f', 'null', '-']
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    size = re.search(r'Video: .*?, (\d+)x(\d+)', said)
    frames = re.findall(r'frame=\s*(\d+)', said)
    assert size is not None
    return int(frames[-1]), int(size[1]), int(size[2])


@pytest.mark.parametrize('channels', [3, 4])
def test_a_picture_comes_back_bit_for_bit_with_its_session(channels: int, tmp_path: Path):
    path = tmp_path / 'new folder' / 'ä b.png'
    save_png(path, pixels(channels=channels), shared_text(SESSION))
    with Image.open(path) as found:
        assert np.array_equal(np.asarray(found), pixels(channels=channels))
    assert load_carried_session(path) == (SHARED, ())


def test_an_opaque_picture_has_no_alpha(tmp_path: Path):
    image = pixels()
    image[..., 3] = 255
    save_png(tmp_path / 'x.png', image)
    with Image.open(tmp_path / 'x.png') as found:
        assert found.mode == 'RGB'


def test_what_is_shared_names_no_folders():
    session = Session(
        a=SESSION.a,
        capture=CaptureState(folder='/home/me'),
        window=WindowState(hidden=('x',)),
        recent=('/home/me/x',),
        follow='/home/me/run',
    )
    assert '/home/me' not in shared_text(session)


def test_a_clip_carries_its_session(tmp_path: Path):
    path = tmp_path / 'x.mp4'
    with ClipWriter(path, 30, shared_text(SESSION)) as writer:
        for _ in range(3):
            writer.add(pixels(257, 301))
        writer.finish()
    assert load_carried_session(path) == (SHARED, ())
    assert frames_and_size(path) == (3, 302, 258)  # H.264 needs even sizes
    assert [one.name for one in tmp_path.iterdir()] == ['x.mp4']


def test_a_small_picture_is_enlarged_by_a_whole_factor(tmp_path: Path):
    with ClipWriter(tmp_path / 'x.mp4', 30) as writer:
        writer.add(pixels(64, 80))
        writer.finish()
    assert frames_and_size(tmp_path / 'x.mp4') == (1, 320, 256)


def test_a_clip_that_is_not_finished_leaves_nothing(tmp_path: Path):
    with pytest.raises(KeyError), ClipWriter(tmp_path / 'x.mp4', 30) as writer:
        writer.add(pixels(32, 32))
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_frames_of_another_size_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match='frame 1'), ClipWriter(tmp_path / 'x.mp4', 30) as writer:
        writer.add(pixels(32, 32))
        writer.add(pixels(34, 32))


def test_a_clip_into_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(BadFile, match='cannot be written'), ClipWriter(tmp_path / 'file' / 'x.mp4', 30) as writer:
        writer.add(pixels(32, 32))


def test_a_clip_is_a_job_that_can_be_cancelled(tmp_path: Path):
    session = Session(a=Side(model=KEY), capture=CaptureState(seconds=0.2, frames_per_second=20))
    requests = clip_requests(session)
    renderer = Renderer(fake_store(FakeGenerator(0)))
    job = partial(clip, requests=requests, frames_per_second=20, session_text=shared_text(session))
    path = run_to_end(job(renderer, path=tmp_path / 'whole.mp4'))
    assert frames_and_size(path)[0] == 4 == len(requests)
    cancelled = job(renderer, path=tmp_path / 'half.mp4')
    next(cancelled)
    cancelled.close()
    assert [one.name for one in tmp_path.iterdir()] == ['whole.mp4']


def test_a_clip_of_nothing_is_refused(tmp_path: Path):
    worker = RenderWorker(lambda: Renderer(fake_store(FakeGenerator(0))))
    worker.start(partial(clip, requests=(), path=tmp_path / 'x.mp4'))
    assert worker.wait(20)
    assert 'at least one frame' in worker.poll_job().error
    assert worker.close()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


PNG = b'\x89PNG\r\n\x1a\n'
HEADER = chunk(b'IHDR', struct.pack('>IIBBBBB', 1, 1, 8, 2, 0, 0, 0))
TEXT = b'aliasscope session\0\0\0\0\0'
MP4 = b'\0\0\0\x18ftypisom\0\0\0\0isommp42'


def box(kind: bytes, data: bytes) -> bytes:
    return struct.pack('>I4s', 8 + len(data), kind) + data


@pytest.mark.parametrize(
    ('data', 'code'),
    [
        (b'', 'no-picture'),
        (b'\xff\xd8\xff\xe0 a JPEG', 'no-picture'),
        (PNG, 'no-session'),
        (PNG + HEADER + chunk(b'IDAT', b''), 'no-session'),
        (PNG + HEADER + chunk(b'IDAT', b'') + chunk(b'iTXt', TEXT + b'{"a": {}}'), 'no-session'),
        (PNG + HEADER + chunk(b'iTXt', b'Comment\0\0\0\0\0hello'), 'no-session'),
        (PNG + HEADER + chunk(b'iTXt', TEXT + b'{"a": {}}')[:-4] + b'abcd', 'damaged'),
        (PNG + HEADER + chunk(b'iTXt', b'aliasscope session\0\1\0\0\0x'), 'compressed'),
        (PNG + HEADER + chunk(b'iTXt', TEXT + b'not json'), 'not-json'),
        (PNG + b'\xff\xff\xff\xffiTXt', 'no-session'),
        (MP4, 'no-session'),
        (MP4 + box(b'moov', box(b'udta', b'')), 'no-session'),
        (MP4 + b'\0\0\0\x01moov\xff\xff\xff\xff\xff\xff\xff\xff', 'no-session'),
        (MP4 + b'\0\0\0\0mdat', 'no-session'),
        (MP4 + b'\0\0\0\x02free' * 10, 'no-session'),
    ],
)
def test_a_picture_without_a_session_is_one_sentence(data: bytes, code: str, tmp_path: Path):
    path = tmp_path / 'some picture.png'
    path.write_bytes(data)
    with pytest.raises(BadFile) as found:
        load_carried_session(path)
    assert found.value.code == code and 'some picture.png' in str(found.value)


def test_a_session_in_minimal_files_is_found(tmp_path: Path):
    text = session_text(SHARED).encode()
    (tmp_path / 'x.png').write_bytes(PNG + HEADER + chunk(b'tEXt', b'a\0b') + chunk(b'iTXt', TEXT + text))
    data = box(b'data', b'\0\0\0\1\0\0\0\0' + text)
    meta = b'\0\0\0\0' + box(b'hdlr', b'x' * 20) + box(b'ilst', box(b'\xa9too', b'') + box(b'\xa9cmt', data))
    (tmp_path / 'x.mp4').write_bytes(MP4 + box(b'mdat', b'123') + box(b'moov', box(b'udta', box(b'meta', meta))))
    for name in ('x.png', 'x.mp4'):
        assert load_carried_session(tmp_path / name) == (SHARED, ())


def test_a_missing_picture_is_one_sentence(tmp_path: Path):
    with pytest.raises(BadFile, match='cannot be read'):
        load_carried_session(tmp_path / 'nowhere.png')

"""The store of open models, with an opener that makes fakes."""

import gc
import os
import weakref
from functools import partial
from pathlib import Path

import pytest

from networks.bad_file import BadFile
from render.jobs import Opened, average_spectrum, open_model, run_to_end
from render.models import MAX_MODELS, ModelStore, choose_device
from render.renderer import Renderer
from render.request import LatentSpec, ModelKey, RenderRequest, SpectrumSpec, ViewSpec
from render.worker import RenderWorker
from tests.render.fakes import KEY, FakeGenerator, fake_store


class Opener:
    """Makes a fake for each file; 'bad' files fail as real ones do."""

    def __init__(self):
        self.opened: list[str] = []

    def __call__(self, path, device, *, allow_code=False, network='G_ema', on_progress=None):
        if on_progress is not None:
            for step in range(4):
                on_progress(step / 4, 'Reading')
        if Path(path).exists() and Path(path).read_bytes().startswith(b'bad'):
            raise BadFile('damaged', f'{Path(path).name} is damaged; get it again.')
        self.opened.append(path)
        return FakeGenerator(len(self.opened))


@pytest.fixture
def opener():
    return Opener()


@pytest.fixture
def store(opener):
    return ModelStore('cpu', opener=opener)


def file(folder: Path, name: str, content: str = '') -> str:
    (folder / name).write_text(content or name)
    return str(folder / name)


def test_the_same_content_is_read_once(store, opener, tmp_path):
    path = file(tmp_path, 'a')
    assert store.open(path) == store.open(path)
    assert opener.opened == [path]


def test_a_replaced_file_has_another_key(store, tmp_path):
    path = file(tmp_path, 'a')
    first, _ = store.open(path)
    file(tmp_path, 'a', 'new content')
    second, _ = store.open(path)
    assert first.path == second.path and first.sha256 != second.sha256
    assert store.get(first) is not store.get(second)


def test_the_oldest_of_three_goes(store, opener, tmp_path):
    keys = [store.open(file(tmp_path, name))[0] for name in 'abc']
    assert len(store) == MAX_MODELS == 2
    store.get(keys[2])
    store.get(keys[1])
    assert len(opener.opened) == 3
    store.get(keys[0])  # read again
    assert len(opener.opened) == 4
    store.get(keys[1])
    assert len(opener.opened) == 4  # the least recently used went: keys[2]


def test_opening_a_model_again_makes_it_the_newest(store, opener, tmp_path):
    paths = [file(tmp_path, name) for name in 'abc']
    keys = [store.open(path)[0] for path in (paths[0], paths[1], paths[0], paths[2])]
    assert len(opener.opened) == 3
    store.get(keys[0])
    assert len(opener.opened) == 3  # 'b' went, not 'a'


def test_a_bad_file_leaves_the_old_models_open(store, tmp_path):
    key, _ = store.open(file(tmp_path, 'a'))
    model = store.get(key)
    with pytest.raises(BadFile, match='b is damaged; get it again'):
        store.open(file(tmp_path, 'b', 'bad'))
    assert store.get(key) is model and len(store) == 1


def test_a_missing_file_is_one_sentence(store, tmp_path):
    with pytest.raises(BadFile, match='cannot be read'):
        store.open(str(tmp_path / 'nowhere.pkl'))


def test_a_closed_model_whose_file_changed_is_not_shown_as_the_old_one(store, tmp_path):
    key, _ = store.open(file(tmp_path, 'a'))
    file(tmp_path, 'a', 'other')
    for name in 'bc':
        store.open(file(tmp_path, name))
    with pytest.raises(BadFile, match='not the file it was'):
        store.get(key)


def test_a_file_that_is_replaced_while_it_is_read_is_read_again(tmp_path):
    path = file(tmp_path, 'a')
    opener = Opener()

    def replacing(where, device, **options):
        if not opener.opened:
            os.utime(file(tmp_path, 'a', 'second content'), ns=(1, 1))
        return opener(where, device, **options)

    key, _ = ModelStore('cpu', opener=replacing).open(path)
    again, _ = ModelStore('cpu', opener=Opener()).open(path)
    assert key == again


def test_code_of_the_user_has_a_key_of_its_own_each_time(store):
    first, _ = store.open('my_package.models:make', allow_code=True)
    second, _ = store.open('my_package.models:make', allow_code=True)
    assert first != second
    with pytest.raises(BadFile, match='open it again'):
        store.get(ModelKey('my_package.models:make', 'made-99'))


def test_models_that_went_are_freed(store, tmp_path):
    """2,000 swaps keep two models and nothing else."""
    renderer = Renderer(store)
    alive = weakref.WeakSet()
    paths = [file(tmp_path, f'm{index}') for index in range(20)]
    for index in range(2000):
        key, _ = store.open(paths[index % 20])
        alive.add(store.get(key))
        if index % 50 == 0:
            renderer.render(RenderRequest(key, LatentSpec(), view=ViewSpec(spectrum=SpectrumSpec())))
    gc.collect()
    assert len(alive) == 2


def test_an_unknown_device_is_a_sentence():
    assert choose_device('cpu').type == 'cpu'
    with pytest.raises(ValueError, match="'tpu'"):
        choose_device('tpu')


def test_opening_is_a_job_with_progress_and_an_outcome(store, tmp_path):
    seen = []
    opened = run_to_end(open_model(Renderer(store), path=file(tmp_path, 'a')), seen.append)
    assert isinstance(opened, Opened) and store.get(opened.key).info == opened.info


def test_opening_a_bad_file_fails_with_its_sentence_and_keeps_the_picture(store, tmp_path):
    worker = RenderWorker(lambda: Renderer(store))
    worker.start(partial(open_model, path=file(tmp_path, 'a')), name='open')
    assert worker.wait(20)
    report = worker.poll_job('open')
    request = RenderRequest(report.outcome.key)
    worker.submit(request)
    worker.start(partial(open_model, path=file(tmp_path, 'b', 'bad')), name='open')
    assert worker.wait(20)
    failed, result = worker.poll_job('open'), worker.poll()
    assert failed.error == 'b is damaged; get it again.' and failed.outcome is None
    assert result.error is None and result.image is not None
    assert worker.close()


def test_cancelling_an_opening_stops_the_reading(tmp_path):
    reports = []

    def endless(path, device, *, on_progress, **options):
        while True:
            reports.append(1)
            on_progress(0.5, 'Reading')

    job = open_model(Renderer(ModelStore('cpu', opener=endless)), path=file(tmp_path, 'a'))
    while not reports:
        next(job)
    reading = job.gi_frame.f_locals['reading']
    job.close()
    assert reading.finished(20)


def test_an_average_is_the_mean_power_of_its_latents():
    renderer = Renderer(fake_store(FakeGenerator(0)))
    request = RenderRequest(KEY, view=ViewSpec(spectrum=SpectrumSpec()))
    partials = []
    spectrum = run_to_end(
        average_spectrum(renderer, request=request, count=3, first_seed=5),
        lambda progress: partials.append((progress.fraction, progress.partial.samples)),
    )
    assert partials == [(1 / 3, 1), (2 / 3, 2), (1.0, 3)] and spectrum.samples == 3
    powers = [
        renderer.power(RenderRequest(KEY, LatentSpec(seeds=((seed, 1.0),)), view=request.view)) for seed in (5, 6, 7)
    ]
    mean = sum(power.double() for power in powers) / 3
    middle = spectrum.power_db[:32, :32]
    expected = (10 * (mean / mean.mean()).log10()).clamp(min=-160)
    assert abs(middle - expected.numpy()).max() < 1e-2
    assert renderer.activations.misses == 0  # what the view remembers stays


def test_an_average_over_nothing_is_refused():
    renderer = Renderer(fake_store(FakeGenerator(0)))
    with pytest.raises(ValueError, match='at least one'):
        run_to_end(average_spectrum(renderer, request=RenderRequest(KEY), count=0))

"""A device in trouble: the picture keeps coming, and says why. The device is imagined; no test here needs a GPU."""

import gc
import weakref
from collections.abc import Callable
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from networks.adapters.base import Inspectable
from networks.sources import open_model
from render.graphs import CudaRecorder, GraphCache, Recording, can_record, key_of
from render.models import ModelStore
from render.renderer import Renderer, make_latents
from render.request import LatentSpec, LayerEdit, ModelKey, RenderRequest, SynthesisSpec
from render.rescue import DROPPED, TOO_SMALL, Rescue, trouble
from tests.render.fakes import KEY

MEMORY = torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB.')
LOST = torch.AcceleratorError('CUDA error: an illegal memory access was encountered')
CAPTURE = torch.AcceleratorError('CUDA error: operation not permitted when stream is capturing')


class Device:
    """Answers after some failures."""

    def __init__(self, *failures: Exception):
        self.failures, self.calls = list(failures), 0

    def __call__(self) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return 'picture'


@pytest.fixture
def store() -> ModelStore:
    return ModelStore('cuda')


@pytest.fixture
def forgotten() -> list[bool]:
    return []


@pytest.fixture
def rescue(store: ModelStore, forgotten: list[bool]) -> Rescue:
    return Rescue(store, lambda: forgotten.append(True))


def test_while_all_is_well_nothing_is_forgotten_or_said(rescue, forgotten):
    assert rescue.run(Device()) == 'picture' and not forgotten and not rescue.note


def test_too_little_memory_is_freed_and_the_gpu_goes_on(rescue, store, forgotten):
    assert rescue.run(Device(MEMORY)) == 'picture'
    assert store.device.type == 'cuda' and len(forgotten) == 1 and rescue.note == DROPPED


def test_where_freeing_is_not_enough_the_cpu_goes_on(rescue, store):
    assert rescue.run(Device(MEMORY, RuntimeError('CUDA out of memory'))) == 'picture'
    assert store.device.type == 'cpu' and rescue.note == TOO_SMALL


def test_a_lost_device_is_left_at_once(rescue, store, forgotten):
    device = Device(LOST)
    assert rescue.run(device) == 'picture'
    assert device.calls == 2 and store.device.type == 'cpu' and forgotten
    assert 'stopped answering (CUDA error: an illegal memory access' in rescue.note


def test_other_errors_and_those_of_the_cpu_pass(rescue, store):
    with pytest.raises(ValueError, match='no such layer'):
        rescue.run(Device(ValueError('no such layer')))
    store.leave_gpu()
    with pytest.raises(torch.OutOfMemoryError):
        rescue.run(Device(MEMORY))


@pytest.mark.parametrize(
    ('error', 'kind'),
    [
        (MEMORY, 'memory'),
        (RuntimeError('CUDA error: out of memory'), 'memory'),
        (LOST, 'lost'),
        (RuntimeError('CUDA error: device-side assert triggered'), 'lost'),
        (CAPTURE, None),
        (RuntimeError('The size of tensor a must match'), None),
        (MemoryError('out of memory'), None),
    ],
)
def test_what_an_exception_says_about_the_device(error, kind):
    assert trouble(error) == kind


def test_a_drag_goes_on_when_the_device_is_lost_in_the_middle(monkeypatch):
    """The real renderer and a real file; only the device is imagined."""
    store = ModelStore('cpu')
    key, _ = store.open('demo:')
    requests = [RenderRequest(key, synthesis=SynthesisSpec(transform=(1, 0, x, 0, 1, 0))) for x in (0.1, 0.2)]
    renderer = Renderer(store)
    expected = [renderer.render(request) for request in requests]
    store.device = torch.device('cuda')
    adapter = store.get(key)
    monkeypatch.setattr(type(adapter), 'synthesize', failing_once(type(adapter).synthesize))
    monkeypatch.setattr(GraphCache, 'for_picture', lambda *_: None)
    monkeypatch.setattr(GraphCache, 'for_mapping', lambda *_: None)
    renderer = Renderer(store)
    results = [renderer.render(request) for request in requests]
    assert [result.error for result in results] == [None, None]
    assert all((a.image == b.image).all() for a, b in zip(results, expected, strict=True))
    assert results[1].device == 'CPU' and any('GPU stopped answering' in note for note in results[1].notes)
    assert store.get(key) is not adapter  # its weights were on the device


@pytest.mark.parametrize(
    ('error', 'words'), [(MEMORY, 'too little memory for this model'), (LOST, 'stopped answering')]
)
def test_a_model_that_the_gpu_cannot_take_is_opened_on_the_cpu(error, words):
    store = ModelStore('cpu', opener=refusing_gpu(error))
    store.device = torch.device('cuda')
    key, _ = store.open('demo:')
    result = Renderer(store).render(RenderRequest(key))
    assert result.image is not None and result.device == 'CPU' and any(words in note for note in result.notes)


def test_a_second_model_without_room_leaves_the_first_on_the_gpu():
    store = ModelStore('cpu', opener=refusing_gpu(MEMORY))
    store.open('demo:')
    store.device = torch.device('cuda')
    with pytest.raises(torch.OutOfMemoryError):
        store.open('demo:aliased')
    assert store.device.type == 'cuda' and len(store) == 1 and not store.note


def refusing_gpu(error: Exception) -> Callable[..., Inspectable]:
    def opener(path, device, **options) -> Inspectable:
        if device.type == 'cuda':
            raise error
        return open_model(path, device, **options)

    return opener


def failing_once(method: Callable[..., Tensor]) -> Callable[..., Tensor]:
    failures = [LOST]

    def synthesize(*arguments, **options):
        if failures:
            raise failures.pop()
        return method(*arguments, **options)

    return synthesize


def test_leaving_the_gpu_keeps_what_only_a_function_can_make(monkeypatch):
    store = ModelStore('cpu')
    for name in ('demo:', 'package.module:make'):
        adapter = ModelStore('cpu')._load('demo:', 'G_ema', False, None)
        store.put(ModelKey(name, 'x' * 64, 'G_ema'), adapter)
    store.leave_gpu()
    assert [key.path for key in store.open_keys()] == ['package.module:make']


def test_measurements_compute_in_full_float32():
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    try:
        torch.backends.cudnn.allow_tf32 = True
        ModelStore('cuda')
        assert not torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


# Graphs


class Tape:
    """Records by remembering the function, which every replay calls with the inputs that were recorded."""

    def __init__(self, failure: Exception | None = None):
        self.failure, self.recorded = failure, 0

    def record(self, function: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> Recording:
        self.recorded += 1
        if self.failure is not None:
            raise self.failure
        output = function(*inputs).clone()

        def replay() -> None:
            output.copy_(function(*inputs))

        return Recording(replay, output)


def double(x: Tensor, y: Tensor) -> Tensor:
    return 2 * x + y


def draw(graphs: GraphCache, value: float, key: object = ('model', 'shape')) -> float:
    return float(graphs.call(key, double, (torch.full([1], value), torch.ones(1))))


def test_a_shape_is_recorded_when_it_comes_again_and_then_replayed_with_new_numbers():
    tape = Tape()
    graphs = GraphCache(tape)
    assert [draw(graphs, value) for value in (1, 2, 3, 4)] == [3, 5, 7, 9]
    assert tape.recorded == 1 and graphs.note() == 'graphs: 1 recorded, 3 pictures replayed'


def test_a_picture_is_not_changed_by_the_next_one():
    graphs = GraphCache(Tape())
    pictures = [graphs.call(('m',), double, (torch.full([1], float(value)), torch.ones(1))) for value in range(4)]
    assert [float(picture) for picture in pictures] == [1, 3, 5, 7]


def test_what_cannot_be_recorded_is_tried_once_and_said():
    tape = Tape(CAPTURE)
    graphs = GraphCache(tape)
    assert [draw(graphs, value) for value in (1, 2, 3, 4)] == [3, 5, 7, 9]
    assert tape.recorded == 1
    assert graphs.note().startswith(
        'graphs: not recorded (CUDA error: operation not permitted when stream is capturing)'
    )


def test_what_stopped_a_recording_is_said_not_that_its_end_failed_too():
    tape = Tape(CAPTURE)
    CAPTURE.__context__ = torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB.')
    graphs = GraphCache(tape)
    try:
        assert [draw(graphs, value) for value in (1, 2)] == [3, 5]
    finally:
        CAPTURE.__context__ = None
    assert graphs.note().startswith('graphs: not recorded (CUDA out of memory')


def test_a_recording_leaves_the_stream_as_it_was_and_other_threads_alone(monkeypatch):
    calls: list[str] = []

    class Stream:
        def wait_stream(self, other: object) -> None:
            calls.append('wait')

    @contextmanager
    def there(stream: object):
        calls.append('aside')
        try:
            yield
        finally:
            calls.append('back')

    class Graph:
        def __init__(self, graph: object, *, stream: object, capture_error_mode: str):
            calls.append(capture_error_mode)

        def __enter__(self) -> None: ...
        def __exit__(self, *error: object) -> None:
            raise CAPTURE  # so torch's way back is not reached

    fakes = {'Stream': Stream, 'current_stream': Stream, 'stream': there, 'graph': Graph, 'CUDAGraph': object}
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    with pytest.raises(torch.AcceleratorError):
        CudaRecorder().record(double, (torch.ones(1), torch.ones(1)))
    assert calls == ['wait', 'aside', 'thread_local', 'back']


def test_a_device_in_trouble_is_not_taken_for_a_graph_that_cannot_be_recorded():
    graphs = GraphCache(Tape(LOST))
    draw(graphs, 1)
    with pytest.raises(torch.AcceleratorError):
        draw(graphs, 2)


def test_graphs_are_bounded_and_those_of_closed_models_go():
    tape = Tape()
    graphs = GraphCache(tape, entries=2)
    keys = [(ModelKey(name, 'x'), 'shape') for name in 'abc']
    for key in keys:
        draw(graphs, 1, key), draw(graphs, 2, key)
    assert graphs.note().startswith('graphs: 2 recorded')
    graphs.keep({keys[2][0]})
    assert graphs.note().startswith('graphs: 1 recorded')
    draw(graphs, 3, keys[2])
    assert tape.recorded == 3


def test_the_key_is_the_shape_of_a_request_not_its_numbers():
    ws, moved = torch.zeros(1, 8, 16), {'synthesis.input.transform': torch.eye(3)}
    plain = key_of(KEY, SynthesisSpec(), ws, moved)
    assert (
        key_of(KEY, SynthesisSpec(transform=(1, 0, 0.3, 0, 1, 0)), ws + 1, {k: 2 * v for k, v in moved.items()})
        == plain
    )
    others = [
        key_of(KEY, SynthesisSpec(precision='float32'), ws, moved),
        key_of(KEY, SynthesisSpec(), ws, {}),
        key_of(KEY, SynthesisSpec(), ws, {'synthesis.L0.up_filter': torch.zeros(12)}),
        key_of(KEY, SynthesisSpec(), torch.zeros(2, 8, 16), moved),
        key_of(ModelKey('other', 'y'), SynthesisSpec(), ws, moved),
    ]
    assert len({plain, *others}) == 6


def test_only_whole_pictures_without_chance_are_recorded():
    assert can_record(SynthesisSpec())
    assert not can_record(SynthesisSpec(layer='synthesis.L0'))
    assert not can_record(SynthesisSpec(noise='random'))
    assert not can_record(SynthesisSpec(edits=(LayerEdit('synthesis.L0'),)))


def test_on_the_cpu_nothing_is_recorded():
    store = ModelStore('cpu')
    key, info = store.open('demo:')
    assert GraphCache(Tape()).for_picture(RenderRequest(key, LatentSpec()), info, store) is None
    store.device = torch.device('cuda')
    assert GraphCache(Tape()).for_picture(RenderRequest(key, LatentSpec()), info, store) is not None


def test_latents_are_replayed_with_another_seed():
    store = ModelStore('cpu')
    key, info = store.open('demo:')
    adapter, seeds = store.get(key), (3, 4, 5)
    specs = [LatentSpec(((seed, 1.0),), class_index=2) for seed in seeds]
    expected = [make_latents(adapter, spec)[0] for spec in specs]
    tape = Tape()
    graphs = GraphCache(tape)
    assert graphs.for_mapping(RenderRequest(key), info, store) is None  # on the CPU
    replay = graphs.mapping(key, store.device)
    found = [make_latents(adapter, spec, replay)[0] for spec in specs]
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True)) and tape.recorded == 1


def test_what_a_graph_reads_lives_as_long_as_the_graph():
    class Weights:
        pass

    weights = Weights()
    alive, tape = weakref.ref(weights), Tape()
    tape.record = lambda function, inputs: Recording(lambda: None, torch.zeros(1))  # as CUDA: addresses, no objects

    def function(x: Tensor, y: Tensor, weights: Weights = weights) -> Tensor:
        return x

    graphs = GraphCache(tape)
    for _ in range(2):
        graphs.call((KEY, 'shape'), function, (torch.ones(1), torch.ones(1)))
    del weights, function
    gc.collect()
    assert alive() is not None
    graphs.keep(())
    gc.collect()
    assert alive() is None

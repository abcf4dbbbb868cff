"""The GPU rows of the speed table in one command: the kernels against the copy bandwidth, a whole picture replayed and step by step.

    python -m benchmarks.gpu [--sizes 256 512 1024] [--networks T-256 R-256 T-1024 R-1024] [--rounds N] [--json]

Layers: many calls are recorded in one graph, over tensors that together are larger than the caches of the device, so neither what
Python does between calls nor what lies in a cache counts; bytes are counted as input once, output once. 'host' is what a call
takes of the CPU. The copy bandwidth is measured in the same run, in turns. Pictures: from latents on, with everything. Median of the
rounds. With --device cpu (and small sizes) everything but the graphs runs without a GPU, to see that the program itself works.
"""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

import torch
import tyro
from torch import Tensor

from benchmarks.inputs import run_checked
from networks.config import ladder_keywords
from networks.stylegan3 import Generator
from ops.backend import backends, report, use_backend
from ops.filtered_lrelu import filtered_lrelu
from ops.filters import lowpass
from render.graphs import CudaRecorder, GraphCache
from render.models import use_full_float32

Call = Callable[[], object]
_TAPS, _REACH = 12, 6
"""Of the filters; how many of them meet samples after zeros were inserted."""
_BEYOND_CACHES = 256 * 2**20
"""Bytes that the calls of one graph read and write at least."""
_SECONDS = 6.0
"""For the rounds of one group, should the device be slow."""


@dataclass(frozen=True)
class Options:
    device: Literal['cuda', 'cpu'] = 'cuda'
    """'cuda', or 'cpu' to try the program."""
    sizes: tuple[int, ...] = (256, 512, 1024)
    """Sides of the layers, in samples."""
    channels: int = 128
    networks: tuple[str, ...] = ('T-256', 'R-256', 'T-1024', 'R-1024')
    """Architecture and side; channel_base as published for it, but see --channel-base."""
    channel_base: int = 32768
    rounds: int = 20
    json: bool = False
    """Print JSON instead of a table."""


@dataclass(frozen=True)
class Row:
    """One thing that was timed."""

    what: str
    how: str
    milliseconds: float
    part: float
    """Of the copy bandwidth, or times faster than step by step."""
    note: str = ''
    """Who ran it; what it computed a second; what a call took of the CPU."""


@dataclass(frozen=True)
class Layer:
    """A filtered leaky ReLU with both factors 2, on several tensors in turn."""

    xs: tuple[Tensor, ...]
    up: Tensor
    down: Tensor
    bias: Tensor

    def run(self, index: int) -> Tensor:
        return filtered_lrelu(
            self.xs[index], self.up, self.down, self.bias, up=2, down=2, padding=(12, 11, 12, 11), clamp=256
        )

    def operations(self) -> float:
        """Counted as a product with every tap that meets a sample, and an addition; four for the activation."""
        _, channels, side, _ = self.xs[0].shape
        grid = 2 * side
        up = 2 * _REACH * (side * grid + grid * grid)
        down = 2 * _TAPS * (grid * side + side * side) if self.down.ndim == 1 else 2 * _TAPS**2 * side * side
        return float(channels * (up + 4 * grid * grid + down))


def medians(calls: dict[str, Call], options: Options) -> dict[str, float]:
    """Milliseconds of each, timed in turns after two runs that warm up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + _SECONDS
    for index in range(options.rounds + 2):
        for name, call in calls.items():
            spent = milliseconds(call, options.device)
            if index >= 2:
                times[name].append(spent)
        if index >= 4 and time.perf_counter() > end:
            break
    return {name: statistics.median(history) for name, history in times.items()}


def milliseconds(call: Call, device: str) -> float:
    """Of one call, by the device's own clock where it has one."""
    if device == 'cpu':
        start = time.perf_counter()
        call()
        return 1000 * (time.perf_counter() - start)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


def joined(call: Callable[[int], object], count: int, device: str) -> Call:
    """`count` calls in one: replayed on a GPU. What they return is kept, so that each writes to memory of its own."""

    def every() -> Tensor:
        kept = [call(index) for index in range(count)]
        return kept[0] if isinstance(kept[0], Tensor) else torch.empty(0, device=device)

    return every if device == 'cpu' else CudaRecorder().record(every, ()).replay


def host_microseconds(call: Call, options: Options) -> float:
    """What a call takes of the CPU, while the device has enough to do."""
    synchronize(options.device)
    start = time.perf_counter()
    for _ in range(options.rounds):
        call()
    spent = time.perf_counter() - start
    synchronize(options.device)
    return 1e6 * spent / options.rounds


def synchronize(device: str) -> None:
    if device == 'cuda':
        torch.cuda.synchronize()


def layer_of(options: Options, side: int, dtype: torch.dtype, *, radial: bool) -> Layer:
    """With random numbers."""
    shape = (1, options.channels, side, side)
    size = 2 * options.channels * side * side * dtype.itemsize
    count = 1 if options.device == 'cpu' else min(max(-(-_BEYOND_CACHES // size), 2), 32)
    xs = tuple(torch.randn(shape, device=options.device).to(dtype) for _ in range(count))
    up = lowpass(_TAPS, side / 4, side / 4, side * 2.0)
    down = lowpass(_TAPS, side / 4, side / 4, side * 2.0, radial)
    assert up is not None and down is not None
    return Layer(
        xs, up.to(options.device), down.to(options.device), torch.zeros(options.channels, device=options.device)
    )


def layer_rows(options: Options, side: int, dtype: torch.dtype, *, radial: bool) -> list[Row]:
    """Filtered leaky ReLU with both factors 2 at one size."""
    layer = layer_of(options, side, dtype, radial=radial)
    count = len(layer.xs)
    targets = [torch.empty_like(x) for x in layer.xs]

    def plain(name: str) -> Callable[[int], Tensor]:
        def run(index: int) -> Tensor:
            with use_backend(name):  # pyright: ignore[reportArgumentType]
                return layer.run(index)

        return run

    calls = {
        'copy': joined(lambda index: targets[index].copy_(layer.xs[index]), count, options.device),
        'kernel': joined(layer.run, count, options.device),
    }
    layer.run(0)
    ours = report()['filtered_lrelu']
    for name in ('torch', 'reference'):
        calls[name] = joined(plain(name), min(count, 2), options.device)
    spent = medians(calls, options)
    each = {name: value / (min(count, 2) if name in ('torch', 'reference') else count) for name, value in spent.items()}
    host = host_microseconds(lambda: layer.run(0), options)
    what = f'filtered leaky ReLU {side}², {str(dtype).removeprefix("torch.")}' + (', radial' if radial else '')
    moved = 2 * layer.xs[0].numel() * dtype.itemsize
    rows = [Row(what, 'copy', each['copy'], 1.0, f'{1e-6 * moved / each["copy"]:.0f} GB/s')]
    for name in ('kernel', 'torch', 'reference'):
        speed = f'{1e-9 * layer.operations() / each[name]:.2f} TFLOP/s'
        note = f'{speed}, host {host:.0f} µs, {ours}' if name == 'kernel' else speed
        rows.append(Row(what, f'{name}, part of the copy', each[name], each['copy'] / each[name], note))
    return rows


def network_rows(options: Options, name: str) -> list[Row]:
    """A whole picture, batch 1, from latents and transform: step by step, replayed, and without our kernels."""
    rung, _, side = name.partition('-')
    keywords = {**ladder_keywords(rung, int(side)), 'channel_base': options.channel_base}
    generator = Generator(512, 0, 512, int(side), 3, **keywords).eval().requires_grad_(False).to(options.device)
    ws = torch.randn(1, generator.num_ws, 512, device=options.device)
    graphs = GraphCache(CudaRecorder())

    def plainly() -> Tensor:
        with use_backend('torch'):
            return generator.synthesis(ws)

    calls: dict[str, Call] = {'step by step': lambda: generator.synthesis(ws)}
    if options.device == 'cuda':
        calls['replayed'] = lambda: graphs.call(('network',), generator.synthesis, (ws,))
    calls['plain torch, step by step'] = plainly
    if options.device == 'cuda':
        calls['plain torch, replayed'] = lambda: graphs.call(('plain',), lambda ws: plainly(), (ws,))
    calls['float32, step by step'] = lambda: generator.synthesis(ws, float32=True)
    found = medians(calls, options)
    rows = [Row(name, how, spent, found['step by step'] / spent) for how, spent in found.items()]
    return rows if graphs.replays or options.device == 'cpu' else [*rows, Row(name, graphs.note(), 0.0, 0.0)]


def shown(row: Row) -> str:
    """A line of the table."""
    return f'{row.what:42}{row.how:30}{row.milliseconds:10.4f} ms{row.part:8.2f}  {row.note}'


def main(options: Options) -> None:
    if options.device == 'cuda' and not torch.cuda.is_available():
        raise SystemExit(f'no GPU: {backends()["cuda"]}; --device cpu tries the program.')
    use_full_float32()
    if not options.json:
        title = torch.cuda.get_device_name() if options.device == 'cuda' else 'CPU'
        print(f'{title}, {options.channels} channels, {options.rounds} rounds; cuda: {backends()["cuda"]}')
    rows: list[Row] = []

    def add(more: list[Row]) -> None:
        rows.extend(more)
        if not options.json:
            print('\n'.join(map(shown, more)), flush=True)

    dtypes = (torch.float32,) if options.device == 'cpu' else (torch.float16, torch.float32)
    with torch.inference_mode():
        for side in options.sizes:
            for dtype in dtypes:
                for radial in (False, True):
                    add(layer_rows(options, side, dtype, radial=radial))
        for name in options.networks:
            add(network_rows(options, name))
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))


if __name__ == '__main__':
    run_checked(main, tyro.cli(Options, description=__doc__))

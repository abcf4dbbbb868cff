"""The GPU rows of the speed table in one command: the kernels against the copy bandwidth, a whole picture replayed and step by step.

    python -m benchmarks.gpu [--sizes 256 512 1024] [--networks T-256 R-256 T-1024 R-1024] [--rounds N] [--json]

Bytes are counted: input once, output once. The copy bandwidth is measured in the same run, in turns. Median of the rounds. With
--device cpu (and small sizes) everything but the graphs runs without a GPU, to see that the program itself works.
"""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
import tyro
from torch import Tensor

from networks.config import ladder_keywords
from networks.stylegan3 import Generator
from ops.backend import backends, report, use_backend
from ops.filtered_lrelu import filtered_lrelu
from ops.filters import lowpass
from render.graphs import CudaRecorder, GraphCache
from render.models import use_full_float32

Call = Callable[[], object]


@dataclass(frozen=True)
class Options:
    device: str = 'cuda'
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
    backend: str = ''


def medians(calls: dict[str, Call], options: Options) -> dict[str, float]:
    """Milliseconds of each, timed in turns after two runs that warm up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for index in range(options.rounds + 2):
        for name, call in calls.items():
            spent = milliseconds(call, options.device)
            if index >= 2:
                times[name].append(spent)
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


def layer_rows(options: Options, side: int, dtype: torch.dtype, *, radial: bool) -> list[Row]:
    """Filtered leaky ReLU with both factors 2 at one size."""
    x = torch.randn(1, options.channels, side, side, device=options.device, dtype=dtype)
    up = lowpass(12, side / 4, side / 4, side * 2.0)
    down = lowpass(12, side / 4, side / 4, side * 2.0, radial)
    assert up is not None and down is not None
    up, down = up.to(options.device), down.to(options.device)
    bias = torch.zeros(options.channels, device=options.device)
    target = torch.empty_like(x)

    def run() -> Tensor:
        return filtered_lrelu(x, up, down, bias, up=2, down=2, padding=(12, 11, 12, 11), clamp=256)

    def reference() -> Tensor:
        with use_backend('reference'):
            return run()

    found = medians({'copy': lambda: target.copy_(x), 'kernel': run, 'reference': reference}, options)
    name = f'filtered leaky ReLU {side}², {str(dtype).removeprefix("torch.")}' + (', radial' if radial else '')
    run()
    ours = report()['filtered_lrelu']
    return [
        Row(name, 'kernel, part of the copy', found['kernel'], found['copy'] / found['kernel'], ours),
        Row(name, 'reference, part of the copy', found['reference'], found['copy'] / found['reference']),
    ]


def network_rows(options: Options, name: str) -> list[Row]:
    """A whole picture, batch 1, from latents and transform: step by step, and replayed."""
    rung, _, side = name.partition('-')
    keywords = {**ladder_keywords(rung, int(side)), 'channel_base': options.channel_base}
    generator = Generator(512, 0, 512, int(side), 3, **keywords).eval().requires_grad_(False).to(options.device)
    ws = torch.randn(1, generator.num_ws, 512, device=options.device)
    calls: dict[str, Call] = {'step by step': lambda: generator.synthesis(ws)}
    graphs = GraphCache(CudaRecorder())
    if options.device == 'cuda':
        calls['replayed'] = lambda: graphs.call(('network',), generator.synthesis, (ws,))
    found = medians(calls, options)
    rows = [Row(name, how, spent, found['step by step'] / spent, backends()['cuda']) for how, spent in found.items()]
    return rows if graphs.replays or options.device == 'cpu' else [*rows, Row(name, graphs.note(), 0.0, 0.0)]


def main(options: Options) -> None:
    if options.device == 'cuda' and not torch.cuda.is_available():
        raise SystemExit(f'no GPU: {backends()["cuda"]}; --device cpu tries the program.')
    use_full_float32()
    rows: list[Row] = []
    dtypes = (torch.float32,) if options.device == 'cpu' else (torch.float16, torch.float32)
    with torch.inference_mode():
        for side in options.sizes:
            for dtype in dtypes:
                for radial in (False, True):
                    rows += layer_rows(options, side, dtype, radial=radial)
        for name in options.networks:
            rows += network_rows(options, name)
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
        return
    title = torch.cuda.get_device_name() if options.device == 'cuda' else 'CPU'
    print(f'{title}, {options.channels} channels, {options.rounds} rounds; cuda: {backends()["cuda"]}')
    for row in rows:
        print(f'{row.what:44}{row.how:30}{row.milliseconds:10.3f} ms{row.part:8.2f}  {row.backend}')


if __name__ == '__main__':
    main(tyro.cli(Options, description=__doc__))

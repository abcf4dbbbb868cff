"""Every operator on every backend of this machine against its definition, in one interleaved run; and against the machine's ceilings.

python -m benchmarks.ops [--channel-base N] [--rounds N] [--threads N] [--device cpu|cuda] [--gradients] [--keep-freed] [--markdown | --json]

'reference' is the definition, step by step: zeros inserted, convolutions at the high rate, samples dropped, weights modulated
for each sample. 'torch' is our better version in plain torch. The filtered leaky ReLU is that of every layer of StyleGAN3-T and -R at
256 pixels. Each round times every backend once, after calls that are not counted; a ratio compares times of the same round. Median and
range of the rounds.
Each backend starts from what the convolution before leaves there: rows of one channel, or with kernels all channels of a pixel together.
'roof' is the achieved part of what `benchmarks.roofline` counts and measures; 'error' is against float64, relative to the largest value.
"""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
import tyro
from torch import Tensor

from benchmarks.inputs import run_checked
from benchmarks.roofline import (
    Ceiling,
    Work,
    convolution_work,
    filter_work,
    measure_ceiling,
    resampling_work,
)
from benchmarks.steady import warm_up
from networks.config import AliasFreeConfig
from networks.schedule import LayerRecord, make_schedule
from ops.backend import BackendName, backends, use_backend
from ops.bias_act import bias_act
from ops.fast_cpu import library
from ops.filtered_lrelu import filtered_lrelu
from ops.filters import setup_filter
from ops.memory import keep_freed_memory
from ops.modulated_conv2d import modulated_conv2d
from ops.upfirdn2d import downsample2d, upsample2d
from render.models import use_full_float32

_QUICK_SECONDS = 0.004
"""A backend that is quicker is timed several times a round."""
_AT_ONCE = 5
HEADINGS = ('operator', 'case', 'backend', 'ms', '× reference', 'GFLOP/s', 'roof', 'error')


@dataclass(frozen=True)
class Options:
    family: tuple[Literal['T', 'R'], ...] = ('T', 'R')
    """Whose layers."""
    side: int = 256
    """Of the pictures."""
    channel_base: int = 4096
    """C_base of T; R has twice as many channels, as published."""
    rounds: int = 5
    """How often each backend is timed, in turn."""
    threads: int = 0
    """Threads of torch; 0 = its own choice."""
    device: Literal['cpu', 'cuda'] = 'cpu'
    """Where the tensors are: 'cpu' or 'cuda'."""
    gradients: bool = False
    """Also time the backward pass."""
    clock: Literal['wall', 'cpu'] = 'wall'
    """'cpu': processor time, for one thread on a machine that is busy with other things."""
    keep_freed: bool = False
    """Keep freed memory for the next tensor, as the program does; else every large tensor of torch is new pages from the system."""
    json: bool = False
    """Print JSON instead of a table."""
    markdown: bool = False
    """Print the table as Markdown, when it is complete."""


@dataclass(frozen=True)
class Subject:
    """One call to be timed, on tensors of a float type."""

    op: str
    case: str
    call: Callable[[torch.dtype], Tensor]
    work: Work | None = None
    by_kernels: Callable[[torch.dtype], Tensor] | None = None
    """The same on the channels of a pixel together, as the kernels of the convolution before leave it; None = `call`."""

    def called(self, backend: BackendName) -> Callable[[torch.dtype], Tensor]:
        """The call on what the convolution before leaves on that backend."""
        return self.by_kernels if backend == 'cpu' and self.by_kernels is not None else self.call


@dataclass(frozen=True)
class Row:
    """One line of the table: milliseconds, and how many times faster than the reference."""

    op: str
    case: str
    backend: str
    milliseconds: float | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    gflops: float | None = None
    roof: float | None = None
    error: float | None = None
    reason: str = ''
    """Why the backend did not run this."""


class _Random:
    """Tensors of random numbers, always the same, and copies of them in float64."""

    def __init__(self, options: Options) -> None:
        self.options, self.generator = options, torch.Generator().manual_seed(0)

    def __call__(self, *shape: int) -> Callable[[torch.dtype], Tensor]:
        values = torch.randn(shape, generator=self.generator).to(self.options.device)
        values.requires_grad_(self.options.gradients)
        return lambda dtype: values if dtype == torch.float32 else values.detach().to(dtype)


def records(family: str, options: Options) -> list[LayerRecord]:
    """The filtered layers of a network, each kind once."""
    wide = 1 if family == 'T' else 2
    channels: dict[str, Any] = {
        'channel_base': wide * options.channel_base,
        'channel_max': wide * options.channel_base // 64,
    }
    if family == 'R':
        channels |= {'conv_kernel': 1, 'use_radial_filters': True}
    kinds: dict[object, LayerRecord] = {}
    for record in make_schedule(options.side, 3, AliasFreeConfig(**channels)).layers:
        if not record.torgb:
            key = (record.size_in, record.size, record.channels, record.up_factor, record.cutoff, record.cutoff_in)
            kinds.setdefault(key, record)
    return list(kinds.values())


def subjects(options: Options) -> list[Subject]:
    """All calls, with random tensors."""
    random = _Random(options)
    found = [_layer(family, record, random) for family in options.family for record in records(family, options)]
    width = options.channel_base // 64
    picture, features = random(1, 3, 128, 128), random(1, width, 128, 128)
    short = setup_filter([1, 3, 3, 1]).to(options.device)
    kernel, pointwise, style, bias = (
        random(width, width, 3, 3),
        random(width, width, 1, 1),
        random(1, width),
        random(width),
    )
    up, down = resampling_work(width, 128, 256, 2, 1), resampling_work(width, 128, 64, 1, 4)
    names = f'{width} channels, 128²'
    return [
        *found,
        Subject('upfirdn2d', 'picture, 128², up 2', lambda t: upsample2d(picture(t), short.to(t))),
        Subject('upfirdn2d', f'{names}, up 2', lambda t: upsample2d(features(t), short.to(t)), up),
        Subject('upfirdn2d', f'{names}, down 2', lambda t: downsample2d(features(t), short.to(t)), down),
        Subject('bias_act', f'{names}, lrelu', lambda t: bias_act(features(t), bias(t), act='lrelu', clamp=256)),
        Subject(
            'modulated_conv2d',
            f'{names}, kernel 3',
            lambda t: modulated_conv2d(features(t), kernel(t), style(t), padding=2),
            convolution_work(width, 128, 3),
        ),
        Subject(
            'modulated_conv2d',
            f'{names}, kernel 1',
            lambda t: modulated_conv2d(features(t), pointwise(t), style(t)),
            convolution_work(width, 128, 1),
        ),
    ]


def _layer(family: str, record: LayerRecord, random: _Random) -> Subject:
    """Its filtered leaky ReLU, on what the convolution before it gives."""
    side = record.size_in + record.kernel - 1
    x, bias, device = random(1, record.channels, side, side), random(record.channels), random.options.device
    filters = [None if f is None else f.to(device) for f in (record.up_filter(), record.down_filter())]
    around = record.padding(record.up_taps, record.down_taps)

    together = x(torch.float32).detach().contiguous(memory_format=torch.channels_last)
    together.requires_grad_(random.options.gradients)
    given: dict[torch.dtype, list[Tensor | None]] = {}

    def call(dtype: torch.dtype, picture: Tensor | None = None) -> Tensor:
        if dtype not in given:
            given[dtype] = [x(dtype), *(None if f is None else f.to(dtype) for f in filters), bias(dtype)]
        rows, up_filter, down_filter, biases = given[dtype]
        assert rows is not None
        return filtered_lrelu(
            rows if picture is None else picture,
            up_filter,
            down_filter,
            biases,
            up=record.up_factor,
            down=record.down_factor,
            padding=(*around, *around),
            clamp=256,
        )

    what = f'{record.channels} ch, {record.size_in}→{record.size}, up {record.up_factor}'
    name = f'{family}-{random.options.side} L{record.index}, {what}{", radial" if record.radial else ""}'
    return Subject('filtered_lrelu', name, call, filter_work(record), lambda dtype: call(dtype, together))


def clock_of(options: Options) -> Callable[[], float]:
    """What times are read from."""
    return time.perf_counter if options.clock == 'wall' else time.process_time


def seconds(subject: Subject, backend: BackendName, options: Options) -> float:
    """Time of one call."""
    clock, call = clock_of(options), subject.called(backend)
    start = clock()
    result = call(torch.float32)
    if options.gradients:
        result.square().sum().backward()
    if options.device == 'cuda':
        torch.cuda.synchronize()
    return clock() - start


def measure(subject: Subject, names: list[BackendName], ceiling: Ceiling, options: Options) -> list[Row]:
    """The rows of one call: the reference, then every other backend."""
    times: dict[BackendName, list[float]] = {}
    quick: dict[BackendName, int] = {}
    errors: dict[BackendName, float] = {}
    rows = []
    with use_backend('reference'), torch.no_grad():
        exact = subject.call(torch.float64)
    for name in names:  # the first call of each compiles and warms up
        try:
            with use_backend(name, strict=True):
                result = subject.called(name)(torch.float32).detach()
                errors[name] = float((result - exact).abs().max() / exact.abs().max())
                quick[name] = _AT_ONCE if seconds(subject, name, options) < _QUICK_SECONDS else 1
            times[name] = []
        except RuntimeError as error:
            if name != 'torch':  # what has no better version in torch is its own
                rows.append(Row(subject.op, subject.case, name, reason=str(error)))
    for _ in range(options.rounds):
        for name, history in times.items():
            with use_backend(name, strict=True):
                warm_up(lambda name=name: seconds(subject, name, options))
                history.append(statistics.median(seconds(subject, name, options) for _ in range(quick[name])))
    timed = []
    for name, history in times.items():
        ratios = [one / other for one, other in zip(times['reference'], history, strict=True)]
        spread = statistics.median(ratios), min(ratios), max(ratios)
        median = 1000 * statistics.median(history)
        row = Row(subject.op, subject.case, name, median, *spread, error=errors[name])
        timed.append(_against_ceiling(row, None if options.gradients else subject.work, ceiling))
    return timed + rows


def _against_ceiling(row: Row, work: Work | None, ceiling: Ceiling) -> Row:
    """The row with what it achieves, where its work was counted."""
    if work is None or row.milliseconds is None:
        return row
    achieved = {'gflops': 1e-6 * work.operations / row.milliseconds, 'roof': ceiling.fraction(work, row.milliseconds)}
    return Row(**{**asdict(row), **achieved})


def summary(rows: list[Row]) -> dict[str, float]:
    """Smallest and mean ratio of the kernels on the layers, those with 4x upsampling apart."""
    layers = [
        row for row in rows if row.op == 'filtered_lrelu' and row.backend not in ('reference', 'torch') and row.ratio
    ]
    found = {}
    for name, wanted in (('4x', True), ('others', False)):
        ratios = [row.ratio or 0.0 for row in layers if ('up 4' in row.case) == wanted]
        if ratios:
            found |= {f'{name}, smallest': min(ratios), f'{name}, geometric mean': statistics.geometric_mean(ratios)}
    return found


def cells(row: Row) -> list[str]:
    """A row of the table as texts, in the order of `HEADINGS`."""
    if row.milliseconds is None:
        return [row.op, row.case, row.backend, '-', row.reason, '', '', '']
    ratio = f'{row.ratio:.1f} [{row.ratio_low:.1f}-{row.ratio_high:.1f}]'
    rate = '-' if row.gflops is None else f'{row.gflops:.1f}'
    roof = '-' if row.roof is None else f'{100 * row.roof:.0f} %'
    error = '-' if row.error is None else f'{row.error:.0e}'
    return [row.op, row.case, row.backend, f'{row.milliseconds:.2f}', ratio, rate, roof, error]


def line(texts: list[str]) -> str:
    """A row of the table as text."""
    widths = (17, 42, 11, 9, 20, 9, 7, 0)
    return ''.join(f'{text:<{width}}' for text, width in zip(texts, widths, strict=True)).rstrip()


def show(rows: list[Row], ceiling: Ceiling, options: Options) -> None:
    """Print what `main` has not printed row by row."""
    if options.json:
        document = {'ceiling': asdict(ceiling), 'rows': [asdict(row) for row in rows], 'summary': summary(rows)}
        print(json.dumps(document, indent=1))
        return
    if options.markdown:
        print(f'| {" | ".join(HEADINGS)} |\n|{"---|" * len(HEADINGS)}')
        for row in rows:
            print(f'| {" | ".join(cells(row))} |')
        print()
    print(
        'kernels on layers, × reference: ' + '; '.join(f'{name} {value:.1f}' for name, value in summary(rows).items())
    )


def main(options: Options) -> None:
    """Print the table."""
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.device == 'cuda' and not torch.cuda.is_available():
        raise SystemExit(f'no GPU: {backends()["cuda"]}')
    use_full_float32()
    if options.keep_freed:
        keep_freed_memory()
    states = backends()
    names: list[BackendName] = ['reference', 'torch']
    for name in ('cpu', 'cuda'):
        if name == options.device and states.get(name) == 'ready':
            names.append(name)
    ceiling, rows = measure_ceiling(options.device, clock_of(options)), []
    if not options.json:
        print(f'device {options.device}, {torch.get_num_threads()} threads, {options.rounds} rounds')
        print(f'ceilings: {ceiling.gflops:.1f} GFLOP/s (matrix product), {ceiling.copy_gbs:.1f} GB/s (copy)')
        print('; '.join(f'{name}: {state}' for name, state in states.items()))
    live = not (options.json or options.markdown)
    if live:
        print(line(list(HEADINGS)))
    with torch.set_grad_enabled(options.gradients), library.use_policy('wait'):
        for subject in subjects(options):
            new = measure(subject, names, ceiling, options)
            rows += new
            if live:
                print('\n'.join(line(cells(row)) for row in new), flush=True)
    show(rows, ceiling, options)


if __name__ == '__main__':
    run_checked(main, tyro.cli(Options, description=__doc__))

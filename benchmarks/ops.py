"""Every operator on every backend of this machine against the plain-torch reference, in one interleaved run.

python -m benchmarks.ops [--width N] [--rounds N] [--threads N] [--device cpu|cuda] [--gradients] [--json]

Sizes are those of layers of StyleGAN3-T and -R at 256 pixels, with `width` channels. Each round times the reference and
then each other backend; a ratio compares times of the same round. The median and the range of the rounds are shown.
"""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
import tyro
from torch import Tensor

from ops.backend import BackendName, backends, use_backend
from ops.bias_act import bias_act
from ops.filtered_lrelu import filtered_lrelu
from ops.filters import lowpass, setup_filter
from ops.modulated_conv2d import modulated_conv2d
from ops.upfirdn2d import downsample2d, upsample2d

Layer = tuple[str, int, int, int, float, float, float, bool]
"""Name, side of the input, up factor, padding on the left, cutoff, half-width, rate, radial down filter."""

LAYERS: tuple[Layer, ...] = (
    ('T-256 L3', 38, 4, -6, 4.0, 4.0, 64, False),
    ('T-256 L8', 150, 2, 9, 22.6, 41.4, 256, False),
    ('T-256 L10', 150, 4, -6, 45.3, 18.7, 512, False),
    ('R-256 L3', 36, 4, -2, 4.0, 4.0, 64, True),
    ('R-256 L8', 148, 2, 11, 22.6, 41.4, 256, True),
    ('R-256 L10', 148, 4, -2, 45.3, 18.7, 512, True),
)


@dataclass(frozen=True)
class Options:
    width: int = 64
    """Channels of every layer (the paper's 256-pixel networks have up to 512 and 1024)."""
    rounds: int = 7
    """How often each backend is timed, in turn."""
    threads: int = 0
    """Threads of torch; 0 = its own choice."""
    device: str = 'cpu'
    """Where the tensors are: 'cpu' or 'cuda'."""
    gradients: bool = False
    """Also time the backward pass."""
    json: bool = False
    """Print JSON instead of a table."""


@dataclass(frozen=True)
class Subject:
    """One call to be timed."""

    op: str
    case: str
    call: Callable[[], Tensor]


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
    reason: str = ''
    """Why the backend did not run this."""


def subjects(options: Options) -> list[Subject]:
    """All calls, with random tensors."""
    generator = torch.Generator().manual_seed(0)
    width = options.width

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(options.device).requires_grad_(options.gradients)

    found = [_filtered_lrelu(layer, random(1, width, layer[1], layer[1]), random(width)) for layer in LAYERS]
    picture, features, short = random(1, 3, 128, 128), random(1, width, 128, 128), setup_filter([1, 3, 3, 1])
    short = short.to(options.device)
    kernel, pointwise, style = random(width, width, 3, 3), random(width, width, 1, 1), random(1, width)
    bias = random(width)
    return [
        *found,
        Subject('upfirdn2d', 'picture 128 up 2', lambda: upsample2d(picture, short)),
        Subject('upfirdn2d', 'features 128 up 2', lambda: upsample2d(features, short)),
        Subject('upfirdn2d', 'features 128 down 2', lambda: downsample2d(features, short)),
        Subject('bias_act', 'features 128 lrelu', lambda: bias_act(features, bias, act='lrelu', clamp=256)),
        Subject('modulated_conv2d', '128, kernel 3', lambda: modulated_conv2d(features, kernel, style, padding=2)),
        Subject('modulated_conv2d', '128, kernel 1', lambda: modulated_conv2d(features, pointwise, style)),
    ]


def _filtered_lrelu(layer: Layer, x: Tensor, bias: Tensor) -> Subject:
    name, _, up, left, cutoff, half_width, rate, radial = layer
    up_filter = lowpass(6 * up, cutoff, 2 * half_width, rate)
    down_filter = lowpass(12, cutoff, 2 * half_width, rate, radial)
    assert up_filter is not None and down_filter is not None
    filters = up_filter.to(x.device), down_filter.to(x.device)
    right = left - up + 1
    padding = (left, right, left, right)
    return Subject(
        'filtered_lrelu',
        f'{name}, up {up}' + (', radial' if radial else ''),
        lambda: filtered_lrelu(x, *filters, bias, up=up, down=2, padding=padding, clamp=256),
    )


def seconds(call: Callable[[], Tensor], options: Options) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    result = call()
    if options.gradients:
        result.square().sum().backward()
    if options.device == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter() - start


def measure(subject: Subject, names: list[BackendName], options: Options) -> list[Row]:
    """The rows of one call: the reference, then every other backend."""
    times: dict[BackendName, list[float]] = {}
    rows = []
    for name in names:  # the first call of each compiles and warms up
        try:
            with use_backend(name, strict=True):
                seconds(subject.call, options)
            times[name] = []
        except RuntimeError as error:
            rows.append(Row(subject.op, subject.case, name, reason=str(error)))
    for _ in range(options.rounds):
        for name, history in times.items():
            with use_backend(name, strict=True):
                history.append(seconds(subject.call, options))
    timed = []
    for name, history in times.items():
        ratios = [one / other for one, other in zip(times['reference'], history, strict=True)]
        spread = statistics.median(ratios), min(ratios), max(ratios)
        timed.append(Row(subject.op, subject.case, name, 1000 * statistics.median(history), *spread))
    return timed + rows


def main(options: Options) -> None:
    """Print the table."""
    if options.threads:
        torch.set_num_threads(options.threads)
    states = backends()
    names: list[BackendName] = ['reference']
    for name in ('cpu', 'cuda'):
        if name == options.device and states.get(name) == 'ready':
            names.append(name)
    rows = []
    if not options.json:
        print(
            f'device {options.device}, {torch.get_num_threads()} threads, {options.width} channels, {options.rounds} rounds'
        )
        print('; '.join(f'{name}: {state}' for name, state in states.items()))
        print(f'{"operator":<18}{"case":<26}{"backend":<11}{"ms":>9}  {"times faster":<20}')
    with torch.set_grad_enabled(options.gradients):
        for subject in subjects(options):
            for row in measure(subject, names, options):
                rows.append(row)
                if not options.json:
                    print(line(row), flush=True)
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))


def line(row: Row) -> str:
    """A row of the table as text."""
    head = f'{row.op:<18}{row.case:<26}{row.backend:<11}'
    if row.milliseconds is None:
        return f'{head}{"-":>9}  {row.reason}'
    return f'{head}{row.milliseconds:>9.2f}  {row.ratio:.2f} [{row.ratio_low:.2f}-{row.ratio_high:.2f}]'


if __name__ == '__main__':
    main(tyro.cli(Options, description=__doc__))

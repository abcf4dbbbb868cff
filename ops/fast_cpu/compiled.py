"""Resampling, filtered leaky ReLU and whole synthesis layers by compiled kernels, for pictures: float32, no gradients.

Each falls back to the polyphase version, or to the two operators that a layer consists of, while its kernels are being compiled.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter
from torch.nn import functional as F

from ops.backend import BackendName, handed_on
from ops.fast_cpu import differentiable, library, recorded
from ops.fast_cpu.convolution import (
    FEWEST_PIXELS,
    PreparedWeight,
    convolve,
    convolve_and_activate,
    modulate,
    prepared_weight,
)
from ops.fast_cpu.dense import styles_by_kernel
from ops.fast_cpu.filter_call import FilterPlan, call_filter, is_planar, plan_filter
from ops.fast_cpu.recorded import FirstRun
from ops.fast_cpu.shapes import ProductShape, Shape
from ops.fast_cpu.threads import Step, recording
from ops.fast_cpu.window import Window, window_read
from ops.filtered_lrelu import LreluSpec
from ops.styles import LatentStyles
from ops.synthesis_layer import LayerSpec, synthesis_layer_reference
from ops.upfirdn2d import FirSpec

_MAX_REMEMBERED = 1024

_HANDED_ON: dict[type, tuple[str, BackendName, BackendName]] = {
    LayerSpec: ('synthesis_layer', 'cpu', 'reference'),
    LreluSpec: ('filtered_lrelu', 'cpu', 'cpu'),
    FirSpec: ('upfirdn2d', 'cpu', 'cpu'),
}
"""The operator of a spec, and who runs it when its kernel does not fit the values of a filter."""
_Call = tuple[Tensor, Tensor, Tensor | LatentStyles, Tensor | None, Tensor | None, Tensor | None, Tensor, LayerSpec]


@dataclass(slots=True)
class _Memory:
    """The one owner of why calls like those seen before cannot use kernels now."""

    reasons: dict[object, str | Shape] = field(default_factory=dict)
    """By spec and number of channels (which a spec does not hold): a sentence, or the kernel that is not there yet."""


_memory = _Memory()


def supports(x: Tensor, spec: Any) -> str | None:
    """None, or why compiled kernels do not run this call."""
    needs_gradient = spec.lrelu.needs_gradient if isinstance(spec, LayerSpec) else spec.needs_gradient
    if needs_gradient or forward_ad._current_level >= 0:
        return 'gradients are asked for'
    if type(x) not in (Tensor, Parameter):
        return f'its kernels take plain tensors, not a {type(x).__name__}'
    if x.dtype != torch.float32:
        return f'its kernels compute in float32, not {str(x.dtype).removeprefix("torch.")}'
    known = _memory.reasons.get((spec, x.shape[1:2])) if _memory.reasons else None
    if known is None or isinstance(known, str):
        return known
    reason = library.why_not(known)
    if reason is None:
        del _memory.reasons[spec, x.shape[1:2]]
    return reason


def filtered_lrelu(
    x: Tensor, up_filter: Tensor | None, down_filter: Tensor | None, bias: Tensor | None, spec: LreluSpec
) -> Tensor:
    """`ops.filtered_lrelu` by its kernel."""
    if x.ndim == 4 and (bias is None or (bias.shape == x.shape[1:2] and bias.device == x.device)):
        y = _filtered(x, up_filter, down_filter, bias, spec, remembered=(spec, x.shape[1:2]))
        if y is not None:
            return y
    return differentiable.filtered_lrelu(x, up_filter, down_filter, bias, spec)


def upfirdn2d(x: Tensor, f: Tensor | None, spec: FirSpec) -> Tensor:
    """`ops.upfirdn2d` by the kernel of the filtered leaky ReLU, whose activation then changes nothing."""
    alike = spec.up[0] == spec.up[1] and spec.down[0] == spec.down[1]
    if f is None or x.ndim != 4 or f.ndim not in (1, 2) or not alike or spec.gain <= 0:
        return differentiable.upfirdn2d(x, f, spec)
    up, down, taps, shape = spec.up[0], spec.down[0], f * spec.gain ** (f.ndim / 2), tuple(f.shape)
    if up == 1 and down > 1:  # what is dropped is not computed
        lrelu = LreluSpec(1, down, spec.padding, 1.0, 1.0, None, spec.flip_filter, (), shape, False, False)
        y = _filtered(x, None, taps, None, lrelu, remembered=(spec, x.shape[1:2]))
    else:
        lrelu = LreluSpec(up, down, spec.padding, 1 / up**2, 1.0, None, spec.flip_filter, shape, (), False, False)
        y = _filtered(x, taps, None, None, lrelu, remembered=(spec, x.shape[1:2]))
    return differentiable.upfirdn2d(x, f, spec) if y is None else y


def synthesis_layer(
    x: Tensor,
    weight: Tensor,
    styles: Tensor | LatentStyles,
    input_gain: Tensor | None,
    up_filter: Tensor | None,
    down_filter: Tensor | None,
    bias: Tensor,
    spec: LayerSpec,
) -> Tensor:
    """`ops.synthesis_layer` by kernels."""
    key = recorded.key_of(x, styles, input_gain, (up_filter, down_filter), bias, spec)
    program = None if key is None else recorded.find(weight, key)
    if program is None:
        styles = styles.compute() if key is None and isinstance(styles, LatentStyles) else styles
        call = (x, weight, styles, input_gain, up_filter, down_filter, bias, spec)
        y = _first_run(call, key, library.asked()) if _fits(x, weight, styles, bias, spec) else None
        return synthesis_layer_reference(*call) if y is None else y
    if program.origin == 'latents' and isinstance(styles, LatentStyles):
        return program.run((x, bias, input_gain, styles.latent, styles.weight, styles.bias))
    styles = _styles(styles, key)
    if program.origin == 'styles':
        return program.run((x, bias, input_gain, styles))
    factors = modulate(styles, input_gain, program.prepared, demodulate=spec.modulation.demodulate)
    return program.run((x, bias, *factors))


def _first_run(call: _Call, key: recorded.Key | None, asked: int) -> Tensor | None:
    """The layer; None where a kernel is missing.  With a key it is kept as a program, if it is one by kernels throughout.

    `asked`: kernels asked for before.
    """
    x, weight, latents, input_gain, up_filter, down_filter, bias, spec = call
    lrelu, demodulate, padding = spec.lrelu, spec.modulation.demodulate, spec.modulation.padding
    unfiltered = up_filter is None and down_filter is None and lrelu.up == lrelu.down == 1
    bare = unfiltered and _only_activates(lrelu) and not demodulate
    prepared = prepared_weight(weight, demodulate=demodulate, activated=bare)
    convolution = None if prepared.shape is None else library.get(prepared.shape)
    if prepared.shape is not None and convolution is None:
        _remember((spec, x.shape[1:2]), prepared.shape)
        return None
    if bare and convolution is not None and isinstance(prepared.shape, ProductShape):
        return _bare_run(call, key, asked, prepared, convolution)
    window = None if unfiltered else _window(call, whole_rows=isinstance(prepared.shape, ProductShape))
    plan = None if window is None else _layer_plan(call, window)
    kernel = None if plan is None else _kernel(plan, (spec, x.shape[1:2]), (up_filter, down_filter))
    if kernel is None and not unfiltered:
        return None
    with recording() as steps:
        styles = _styles(latents, key)
        mapped = len(steps)
        factors, scale = modulate(styles, input_gain, prepared, demodulate=demodulate)
        signal = convolve(x, prepared, factors, padding, convolution, window)
        if kernel is None or not isinstance(plan, FilterPlan):  # an unfiltered non-linearity, m = 1
            y = signal if scale is None else signal * scale[:, :, None, None]
            return differentiable.filtered_lrelu(y, None, None, bias, lrelu)
        out = call_filter(plan, kernel, signal, bias, scale)
    if key is not None and library.had_all_since(asked):
        recorded.keep(
            weight, key, _described(call, steps, mapped, (styles, factors, scale, signal, out), prepared, plan)
        )
    return out


def _described(
    call: _Call,
    steps: list[Step],
    mapped: int,
    made: tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor],
    prepared: PreparedWeight,
    plan: FilterPlan,
) -> FirstRun:
    """A first run for the record.  `mapped`: steps that made the styles.  `made`: styles, factors, scale, signal, result."""
    x, _, latents, input_gain, _, _, bias, _ = call
    styles, factors, scale, signal, out = made
    if scale is None or len(steps) < mapped + 3:  # modulated without a kernel
        return FirstRun('factors', steps[mapped:], (x, bias, factors, scale), (signal,), out, prepared, plan)
    between = (signal, factors, scale)
    if mapped and isinstance(latents, LatentStyles):
        given = (x, bias, input_gain, latents.latent, latents.weight, latents.bias)
        return FirstRun('latents', steps, given, (*between, styles), out, prepared, plan, early=mapped + 1)
    return FirstRun('styles', steps, (x, bias, input_gain, styles), between, out, prepared, plan)


def _bare_run(call: _Call, key: recorded.Key | None, asked: int, prepared: PreparedWeight, kernel: int) -> Tensor:
    """A layer without filters, which is one kernel."""
    x, weight, latents, input_gain, _, _, bias, spec = call
    assert isinstance(prepared.shape, ProductShape)
    if key is not None and isinstance(latents, LatentStyles) and (input_gain is None or input_gain.numel() == 1):
        latents, input_gain = latents if input_gain is None else latents.times(float(input_gain)), None
    bias = F.pad(bias, (0, prepared.values.shape[0] * prepared.shape.panel - bias.shape[0]))
    with recording() as steps:
        styles = _styles(latents, key)
        mapped = len(steps)
        factors, _ = modulate(styles, input_gain, prepared, demodulate=False)
        out = convolve_and_activate(x, prepared, factors, bias, spec.lrelu, kernel)
    if key is None or not library.had_all_since(asked):
        return out
    if mapped and input_gain is None and isinstance(latents, LatentStyles):
        given = (x, None, None, latents.latent, latents.weight, latents.bias)
        first = FirstRun('latents', steps, given, (factors,), out, prepared, bias, early=mapped)
    else:
        first = FirstRun('factors', steps[mapped:], (x, None, factors, None), (), out, prepared, bias)
    recorded.keep(weight, key, first)
    return out


def _styles(styles: Tensor | LatentStyles, key: recorded.Key | None) -> Tensor:
    """As a tensor; by the kernel where the call is usual."""
    if isinstance(styles, Tensor):
        return styles
    made = None if key is None else styles_by_kernel(styles)
    return styles.compute() if made is None else made


def _window(call: _Call, *, whole_rows: bool) -> Window:
    """What has to be convolved: what the filter reads."""
    _, _, _, _, up_filter, down_filter, _, spec = call
    rows, columns = _convolved(call)
    window = window_read(rows, columns, up_filter, down_filter, spec.lrelu)
    return window.whole_rows(columns) if whole_rows else window


def _convolved(call: _Call) -> tuple[int, int]:
    """Rows and columns of the whole convolution."""
    x, weight, *_, spec = call
    rows, columns = (x.shape[n] + 2 * spec.modulation.padding[n - 2] - weight.shape[n] + 1 for n in (2, 3))
    return rows, columns


def _layer_plan(call: _Call, window: Window) -> FilterPlan | str:
    """For what comes after the convolution, of which there is a window."""
    x, weight, _, _, up_filter, down_filter, _, spec = call
    shape, lrelu = (
        (x.shape[0], weight.shape[0], window.height, window.width),
        window.moved(spec.lrelu, *_convolved(call)),
    )
    return plan_filter(shape, up_filter, down_filter, lrelu, planar=False, threads=torch.get_num_threads())


def _fits(x: Tensor, weight: Tensor, styles: Tensor | LatentStyles, bias: Tensor, spec: LayerSpec) -> bool:
    """Whether the shapes are right and usual; if not, the reference computes, or says what is wrong."""
    if isinstance(styles, Tensor) and (
        styles.shape != x.shape[:2] or styles.dtype != x.dtype or styles.device != x.device
    ):
        return False
    return (
        x.ndim == 4
        and x.numel() > 0
        and weight.ndim == 4
        and weight.shape[1] == x.shape[1]
        and bias.shape == weight.shape[:1]
        and weight.dtype == bias.dtype == torch.float32
        and weight.device == bias.device == x.device
        and bias.is_contiguous()
        and not (
            weight.shape[2:] == (1, 1) and (any(spec.modulation.padding) or x.shape[2] * x.shape[3] < FEWEST_PIXELS)
        )
    )


def _filtered(
    x: Tensor,
    up_filter: Tensor | None,
    down_filter: Tensor | None,
    bias: Tensor | None,
    spec: LreluSpec,
    *,
    remembered: tuple[Any, object],
) -> Tensor | None:
    """The kernel's result; None where it cannot be used, which is remembered for calls with the key `remembered`."""
    planar = is_planar(x)
    plan = plan_filter(x.shape, up_filter, down_filter, spec, planar=planar, threads=torch.get_num_threads())
    kernel = _kernel(plan, remembered, (up_filter, down_filter))
    if kernel is None or not isinstance(plan, FilterPlan):
        return None
    if bias is not None and (bias.dtype != torch.float32 or not bias.is_contiguous()):
        bias = bias.to(torch.float32).contiguous()
    return call_filter(plan, kernel, x.contiguous() if planar else x, bias, None)


def _kernel(
    plan: FilterPlan | str, key: tuple[Any, object], filters: tuple[Tensor | None, Tensor | None]
) -> int | None:
    """Address of the kernel of a plan; None where it is not there, which is remembered.

    Not so why full filters cannot: that hangs on their values, which another call with the same spec need not share.
    """
    kernel = None if isinstance(plan, str) else library.get(plan.shape)
    if kernel is None:
        if not isinstance(plan, str):
            _remember(key, plan.shape)
        elif all(f is None or f.ndim == 1 for f in filters):
            _remember(key, plan)
        reason = plan if isinstance(plan, str) else library.why_not(plan.shape)
        handed_on(*_HANDED_ON[type(key[0])], reason or 'its kernel is not there')
    return kernel


def _remember(key: object, reason: 'str | Shape') -> None:
    if len(_memory.reasons) < _MAX_REMEMBERED:
        _memory.reasons[key] = reason


def _only_activates(spec: LreluSpec) -> bool:
    """Whether a filtered leaky ReLU without filters is one that the kernel of the 1x1 convolution can do."""
    return spec.up == spec.down == 1 and not any(spec.padding) and 0 <= spec.slope <= 1 and spec.gain > 0

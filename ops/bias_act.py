"""Bias, activation function, gain and clamp, in this order."""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from types import MappingProxyType
from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from ops.backend import implements, needs_gradient, pick

ActivationName = Literal['linear', 'relu', 'lrelu', 'tanh', 'sigmoid', 'elu', 'selu', 'softplus', 'swish']


@dataclass(frozen=True, slots=True)
class Activation:
    """A non-linearity with its defaults."""

    function: Callable[[Tensor, float], Tensor]
    """Of the values and alpha (which only 'lrelu' uses)."""
    gain: float = 1.0
    """Roughly restores unit variance behind the function (He et al. 2015)."""
    alpha: float = 0.0


ACTIVATIONS = MappingProxyType(
    {
        'linear': Activation(lambda x, alpha: x),
        'relu': Activation(lambda x, alpha: F.relu(x), gain=sqrt(2)),
        'lrelu': Activation(F.leaky_relu, gain=sqrt(2), alpha=0.2),
        'tanh': Activation(lambda x, alpha: x.tanh()),
        'sigmoid': Activation(lambda x, alpha: x.sigmoid()),
        'elu': Activation(lambda x, alpha: F.elu(x)),
        'selu': Activation(lambda x, alpha: F.selu(x)),
        'softplus': Activation(lambda x, alpha: F.softplus(x)),
        'swish': Activation(lambda x, alpha: x * x.sigmoid(), gain=sqrt(2)),
    }
)


@dataclass(frozen=True, slots=True)
class ActSpec:
    """Everything about one call except its tensors; usable as a key."""

    dim: int
    """Axis of `x` that the bias belongs to."""
    act: ActivationName
    alpha: float
    gain: float
    clamp: float | None
    has_bias: bool
    needs_gradient: bool


def bias_act(
    x: Tensor,
    b: Tensor | None = None,
    *,
    dim: int = 1,
    act: ActivationName = 'linear',
    alpha: float | None = None,
    gain: float | None = None,
    clamp: float | None = None,
) -> Tensor:
    """`act(x + b) * gain`, limited to ±`clamp`; shape as `x`.

    `x`: any shape.  `b`: [size of axis `dim`] or None.  `alpha` (slope of 'lrelu' for negative values) and `gain`: None =
    the activation's own.  `clamp`: None = no limit.  Raises `ValueError` for an unknown activation or a wrong bias.
    """
    known = ACTIVATIONS.get(act)
    if known is None:
        raise ValueError(f'there is no activation {act!r}; choose one of {", ".join(ACTIVATIONS)}')
    spec = ActSpec(
        dim,
        act,
        known.alpha if alpha is None else alpha,
        known.gain if gain is None else gain,
        clamp,
        b is not None,
        needs_gradient(x, b),
    )
    return pick('bias_act', x, spec)(x, b, spec)


@implements('bias_act', 'reference')
def bias_act_reference(x: Tensor, b: Tensor | None, spec: ActSpec) -> Tensor:
    """The truth in plain torch: any device, any float type, any order of derivative."""
    if b is not None:
        if b.ndim != 1 or b.shape[0] != x.shape[spec.dim]:
            raise ValueError(
                f'the bias must be [{x.shape[spec.dim]}] for axis {spec.dim} of {tuple(x.shape)}, got {tuple(b.shape)}'
            )
        shape = [1] * x.ndim
        shape[spec.dim] = -1
        x = x + b.to(x.dtype).reshape(shape)
    x = ACTIVATIONS[spec.act].function(x, spec.alpha)
    if spec.gain != 1:
        x = x * spec.gain
    return x if spec.clamp is None else x.clamp(-spec.clamp, spec.clamp)

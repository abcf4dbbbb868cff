"""The rule by which a result agrees with a golden."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far one tensor is from what was expected."""

    passed: bool
    error: float | None = None
    """Absolute difference at the element closest to its limit, or furthest beyond; None = not comparable."""
    tolerance: float | None = None
    """The limit at that element: atol + rtol * |expected|."""
    reason: str = ''

    @property
    def severity(self) -> float:
        """For finding the worst of several: error in units of the tolerance, infinite where not comparable."""
        if self.error is None or self.tolerance is None:
            return float('inf')
        if self.error == 0:
            return 0.0
        return self.error / self.tolerance if self.tolerance > 0 else float('inf')


def compare(actual: Tensor | None, expected: Tensor, tolerance: Mapping[str, float]) -> Comparison:
    """Passes when shapes are equal, nothing is NaN and |actual - expected| <= atol + rtol * |expected| everywhere.

    With `max_fraction` in the tolerance at most that fraction of the elements may differ at all.
    """
    if actual is None:
        return Comparison(False, reason='None was returned')
    if actual.shape != expected.shape:
        return Comparison(False, reason=f'the shape is {tuple(actual.shape)}, not {tuple(expected.shape)}')
    actual, expected = actual.detach().to('cpu', torch.float64), expected.to(torch.float64)
    for name, tensor in (('result', actual), ('golden', expected)):
        if tensor.isnan().any():
            return Comparison(
                False, reason=f'the {name} holds {int(tensor.isnan().sum())} NaN of {tensor.numel()} values'
            )
    if expected.numel() == 0:
        return Comparison(True, 0.0, tolerance['atol'])
    limit = tolerance['atol'] + tolerance['rtol'] * torch.where(expected.isinf(), 0.0, expected.abs())
    error = torch.where(actual == expected, 0.0, (actual - expected).abs())  # equal infinities differ by nothing
    worst = int((error - limit).nan_to_num(nan=float('inf')).argmax())
    found = float(error.flatten()[worst]), float(limit.flatten()[worst])
    if not bool((error <= limit).all()):
        return Comparison(
            False, *found, reason=f'{int((error > limit).sum())} of {error.numel()} values are beyond the tolerance'
        )
    fraction = float((error > 0).double().mean())
    if fraction > tolerance.get('max_fraction', 1.0):
        return Comparison(
            False, *found, reason=f'{fraction:.4f} of the values differ, allowed {tolerance["max_fraction"]}'
        )
    return Comparison(True, *found)

"""The paper's configurations as changes of a finished network, each with what the paper measured for networks trained so.

Karras et al. 2021: Fig. 3 left (configurations A to R), Fig. 3 right (parameters of R), Fig. 5 right (other kernels); FFHQ-U,
256 pixels. A network that was trained otherwise and is changed afterwards gives other numbers, but in the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

from networks.info import GeneratorInfo
from render.filter_choices import (
    half_rate,
    is_designed,
    own_setting,
    places,
    why_no_margin,
    why_no_oversampling,
)
from render.request import FilterEdit, FilterKind, FilterSpec

OWN = 'own'
_FALL_OFF = sqrt(2) - 1
"""f_h of configurations E to H, relative to s/2 (Sec. 3.2)."""


@dataclass(frozen=True, slots=True)
class Preset:
    """One configuration."""

    key: str
    label: str
    measured: str
    """What the paper says, in a few words."""
    explanation: str
    make: Callable[[GeneratorInfo], FilterSpec]
    why_not: Callable[[GeneratorInfo], str | None]
    """Why a generator cannot have it, or None."""

    @property
    def tooltip(self) -> str:
        """Everything about it."""
        return f'{self.explanation}\n{self.measured}' if self.measured else self.explanation


def presets() -> tuple[Preset, ...]:
    """All of them, the network as it is first."""
    return (
        Preset(OWN, "The network's own", '', 'Filters, oversampling, margin and clamp as in the file.', _own, _always),
        *_oversampling(),
        *_lengths(),
        *_bands(),
        *_kernels(),
        Preset(
            'no-margin', 'No margin', 'Trained so: EQ-T 19.47 dB without (D), 24.62 dB with margins (E).',
            'Layers end at the canvas: zeros beyond it tell the network where the border is.',
            lambda info: FilterSpec(margin=0),
            lambda info: why_no_margin(info) or _unless_differs(own_setting(info, 'margin_size', 10), 0, 'margin'),
        ),
    )  # fmt: skip


def find_preset(key: str) -> Preset | None:
    """The preset with that key."""
    return next((one for one in presets() if one.key == key), None)


def preset_of(spec: FilterSpec, info: GeneratorInfo | None) -> str | None:
    """Key of the preset that `spec` is; None if it is none."""
    if spec == FilterSpec():
        return OWN
    if info is None:
        return None
    return next((one.key for one in presets()[1:] if one.why_not(info) is None and one.make(info) == spec), None)


def _oversampling() -> tuple[Preset, ...]:
    return (
        Preset(
            'm1', 'Unfiltered non-linearity, m = 1', 'Trained so: EQ-T 39.96, EQ-R 36.42 dB (m = 2: 66.65, 40.48).',
            'The leaky ReLU runs at the rate of the layer: its harmonics fold back. Fig. 3 right, configuration R.',
            lambda info: FilterSpec(oversampling=1), _can_oversample(1),
        ),
        Preset(
            'm4', 'Four times oversampled, m = 4', 'Trained so: EQ-T 74.21, EQ-R 40.97 dB (m = 2: 66.65, 40.48).',
            'The leaky ReLU runs at four times the rate: fewer harmonics fold back, at 2.3 times the time. Fig. 3 right, configuration R.',
            lambda info: FilterSpec(oversampling=4), _can_oversample(4),
        ),
    )  # fmt: skip


def _lengths() -> tuple[Preset, ...]:
    return (
        Preset(
            'n4', 'Short filters, n = 4', 'Trained so: EQ-T 57.49, EQ-R 39.70 dB (n = 6: 66.65, 40.48).',
            'Four taps per sample: they fall off less steeply. Fig. 3 right, configuration R.',
            lambda info: FilterSpec(taps=4), _can_have_length(4),
        ),
        Preset(
            'n8', 'Long filters, n = 8', 'Trained so: EQ-T 65.57, EQ-R 42.09 dB (n = 6: 66.65, 40.48).',
            'Eight taps per sample: they fall off more steeply. Fig. 3 right, configuration R.',
            lambda info: FilterSpec(taps=8), _can_have_length(8),
        ),
    )  # fmt: skip


def _bands() -> tuple[Preset, ...]:
    return (
        Preset(
            'critical', 'Critical sampling, f_c = s/2 (config F)', 'Trained so: EQ-T 30.60 dB (config G: 43.90).',
            'Each filter passes all that the rate can hold and lets as much alias around s/2. Fig. 3 left.',
            lambda info: _with_band(info, 1.0), _needs_design,
        ),
        Preset(
            'ordinary', 'Room below s/2, f_c = s/2 − f_h (config G)', 'Trained so: EQ-T 43.90 dB (T, with flexible layers: 63.01).',
            'Each filter has fallen off at s/2, with one cutoff for all layers of a rate. Fig. 3 left.',
            lambda info: _with_band(info, 1.0 - _FALL_OFF), _needs_filters,
        ),
    )  # fmt: skip


def _kernels() -> tuple[Preset, ...]:
    return (
        Preset(
            'stylegan2', 'Bilinear, unfiltered (as StyleGAN2, config D)', 'Trained so: EQ-T 19.47 dB (E, sinc and margins: 24.62).',
            'Upsampling by [1, 3, 3, 1] and a leaky ReLU without filters around it. Fig. 3 left.',
            lambda info: FilterSpec('bilinear', taps=2, oversampling=1), _can_oversample(None),
        ),
        Preset(
            'lanczos', 'Lanczos, a = 2', 'Trained so, R: EQ-T 57.70, EQ-R 25.25 dB (Kaiser: 66.65, 40.48).',
            'The interpolation kernel of image processing, two lobes. T trained so: EQ-T 51.93 dB instead of 63.01 dB. Fig. 5 right.',
            lambda info: FilterSpec('lanczos', taps=4), _needs_filters,
        ),
        Preset(
            'gaussian', 'Gaussian, σ = 0.4', 'Trained so, R: EQ-T 59.53, EQ-R 39.43 dB (Kaiser: 66.65, 40.48).',
            'Smooth, but it takes detail along. T trained so: EQ-T 56.89 dB instead of 63.01 dB, FID 5.91 instead of 4.62. Fig. 5 right.',
            lambda info: FilterSpec('gaussian'), _needs_filters,
        ),
        Preset(
            'separable', 'Separable instead of radial', 'Untrained, 64 px: EQ-R 56 to 59 dB (radial: 59 to 62).',
            'Rotation needs radial downsampling filters (configuration R); a sinc along both axes passes more on the diagonal. The paper does not measure this alone.',
            lambda info: FilterSpec('sinc', 'down'), _needs_radial,
        ),
    )  # fmt: skip


def _own(info: GeneratorInfo) -> FilterSpec:
    return FilterSpec()


def _always(info: GeneratorInfo) -> str | None:
    return None


def _needs_filters(info: GeneratorInfo) -> str | None:
    return info.why_not('filters')


def _needs_design(info: GeneratorInfo) -> str | None:
    if reason := info.why_not('filters'):
        return reason
    designed = any(is_designed(one.filter) for one in places(info))
    return None if designed else 'The own filters of this network have their cutoff at s/2 already.'


def _can_oversample(factor: int | None) -> Callable[[GeneratorInfo], str | None]:
    def why_not(info: GeneratorInfo) -> str | None:
        own = own_setting(info, 'lrelu_upsampling', 2)
        if info.family == 'stylegan2' and factor is None:
            return 'This StyleGAN2 is that already.'
        return info.why_not('filters') or why_no_oversampling(info) or _unless_differs(own, factor, 'm')

    return why_not


def _can_have_length(length: int) -> Callable[[GeneratorInfo], str | None]:
    def why_not(info: GeneratorInfo) -> str | None:
        if reason := info.why_not('filters'):
            return reason
        if not any(is_designed(one.filter) for one in places(info)):
            return 'The own filters of this network are fixed numbers, which have no n.'
        return _unless_differs(own_setting(info, 'filter_size', 6), length, 'n')

    return why_not


def _needs_radial(info: GeneratorInfo) -> str | None:
    if reason := info.why_not('filters'):
        return reason
    return None if any(one.filter.radial for one in places(info)) else 'This network has no radial filters.'


def _unless_differs(own: int, wanted: int | None, name: str) -> str | None:
    return f'This network has {name} = {own} itself.' if own == wanted else None


def _with_band(info: GeneratorInfo, share: float) -> FilterSpec:
    """Every filter with f_c = `share` of s/2 and the transition band of the older configurations."""
    edits = []
    for one in places(info):
        nyquist = half_rate(one.filter)
        kind: FilterKind = 'jinc' if one.filter.radial else 'sinc'
        edits.append(
            FilterEdit(
                one.layer.name, one.filter.direction, kind, cutoff=share * nyquist, half_width=_FALL_OFF * nyquist
            )
        )
    return FilterSpec(edits=tuple(edits))

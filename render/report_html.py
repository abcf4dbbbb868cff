"""A diagnosis as one self-contained page: inline style and drawings, no scripts, nothing to load. No torch."""

import math
from collections.abc import Sequence
from html import escape

from render.diagnosis import (
    Curve,
    Diagnosis,
    Effect,
    Finding,
    LayerHealth,
    Plot,
    decibel,
    evidence_text,
    layers_text,
)

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1d22; --soft: #5d616d; --paper: #ffffff; --card: #f4f5f7; --line: #d5d8de;
  --bad: #c0392b; --good: #1e8449; --a: #2457a6; --b: #b9770e; --c: #7d3c98; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7e8ec; --soft: #a2a7b3; --paper: #17181c; --card: #212329;
  --line: #3a3d46; --bad: #ff7b6b; --good: #63d08c; --a: #7fb0ff; --b: #f0b95a; --c: #d2a0e8; } }
body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; margin: 0 auto;
  max-width: 60rem; padding: 1.5rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; } h2 { font-size: 1.2rem; margin: 0 0 .4rem; }
.verdict { font-size: 1.15rem; } .soft { color: var(--soft); }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem 1.2rem; margin: 1rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; } .scroll { overflow-x: auto; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .5rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { color: var(--soft); font-weight: 600; }
.bad { color: var(--bad); font-weight: 600; } .good { color: var(--good); font-weight: 600; }
svg { display: block; width: 100%; max-width: 44rem; height: auto; margin-top: .6rem; } svg text { fill: var(--soft); font-size: 12px; }
.axis { stroke: var(--line); fill: none; } .mark { stroke: var(--soft); stroke-dasharray: 4 4; }
.s0 { stroke: var(--a); } .s1 { stroke: var(--b); } .s2 { stroke: var(--c); } .k0 { fill: var(--a) !important; }
.k1 { fill: var(--b) !important; } .k2 { fill: var(--c) !important; }
"""
_WIDTH, _HEIGHT = 640, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 30, 38


def html_report(diagnosis: Diagnosis) -> str:
    """The whole page."""
    found = ''.join(_finding(number, one) for number, one in enumerate(diagnosis.findings, 1))
    numbers = ''.join(f'<li>{escape(evidence_text(one))}</li>' for one in diagnosis.numbers)
    notes = ''.join(f'<li>{escape(one)}</li>' for one in diagnosis.notes)
    kind = 'good' if diagnosis.state == 'healthy' else 'bad' if diagnosis.findings else 'soft'
    sick = {label for one in diagnosis.findings for label in one.layers}
    parts = [
        f'<h1>{escape(diagnosis.model)}</h1>',
        f'<p class="verdict {kind}">{escape(diagnosis.verdict)}</p>',
        f'<ul>{numbers}</ul>' if numbers else '',
        found,
        _layer_table(diagnosis.layers, sick),
        f'<section><h2>What could not be measured</h2><ul>{notes}</ul></section>' if notes else '',
        f'<p class="soft">Diagnosed by AliasScope in {diagnosis.seconds:.1f} s. EQ-T above 50 dB and EQ-R above 40 dB look '
        'good (Karras et al. 2021, Appendix A).</p>',
    ]
    title = escape(f'Diagnosis of {diagnosis.model}')
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f'<title>{title}</title><style>{_STYLE}</style></head><body>{"".join(parts)}</body></html>\n'
    )


def _finding(number: int, one: Finding) -> str:
    evidence = ''.join(f'<li>{escape(evidence_text(piece))}</li>' for piece in one.evidence)
    where = '' if len(one.layers) == 1 else f'<p class="soft">In {escape(", ".join(one.layers))}.</p>'
    effects = _effects(one.effects) if one.effects else '<p class="soft">It cannot be tried on a finished network.</p>'
    return (
        f'<section><h2>{number}. {escape(one.title)}: {escape(layers_text(one))}</h2>'
        f'<p class="soft">Unwanted energy {decibel(one.level_db)} relative to the signal; confidence {one.confidence:.2f}</p>'
        f'<p>{escape(one.explanation)}</p>{where}<ul>{evidence}</ul><p><b>Cure.</b> {escape(one.cure)}</p>{effects}'
        f'{"".join(svg_plot(plot) for plot in one.plots)}</section>'
    )


def _effects(effects: Sequence[Effect]) -> str:
    rows = []
    for one in effects:
        better = (one.after > one.before) == one.higher_is_better and one.after != one.before
        kind = 'good' if better else 'soft'
        rows.append(
            f'<tr><td>{escape(one.name)}</td><td>{decibel(one.before, one.unit)}</td>'
            f'<td class="{kind}">{decibel(one.after, one.unit)}</td></tr>'
        )
    return (
        '<div class="scroll"><table><tr><th>Measured again with the cure applied</th><th>before</th><th>after</th></tr>'
        f'{"".join(rows)}</table></div>'
    )


def _layer_table(layers: Sequence[LayerHealth], sick: set[str]) -> str:
    rows = []
    for one in layers:
        numbers = (one.noise_db, one.border_db, one.images_db, one.folding_db, one.leak_db, one.equivariance_db)
        cells = ''.join(f'<td>{"–" if math.isnan(value) else decibel(value)}</td>' for value in numbers)
        kind = ' class="bad"' if one.label in sick else ''
        rows.append(f'<tr><td{kind}>{escape(one.label)}</td><td>{one.rate:g}</td>{cells}</tr>')
    head = ''.join(
        f'<th>{name}</th>' for name in ('Layer', 's', 'noise', 'border', 'images', 'folding', 'leak', 'equivariance')
    )
    return (
        '<section><h2>Every layer by itself</h2><p class="soft">Noise and border: deviation of the answer to a featureless '
        'input, relative to the features. Images, folding, leak: a test signal that fills the band, relative to the signal. '
        f'Equivariance: of the layer for that signal, higher is better.</p><div class="scroll"><table><tr>{head}</tr>'
        f'{"".join(rows)}</table></div></section>'
    )


def svg_plot(plot: Plot) -> str:
    """Lines with axes, a legend and marks, as one inline drawing; nothing if there are no points."""
    xs = [x for curve in plot.curves for x in curve.x]
    ys = [y for curve in plot.curves for y in curve.y]
    if not xs:
        return ''
    x_range = (min(xs), max(*xs, min(xs) + 1e-9))
    low, high = math.floor(min(ys) / 10) * 10, math.ceil(max(ys) / 10) * 10
    y_range = (low, max(high, low + 10))
    place = _Scale(x_range, y_range)
    step = max(round((y_range[1] - y_range[0]) / 60) * 10, 10)
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(plot.title)}">',
        f'<text x="{_LEFT}" y="14">{escape(plot.title)}</text>',
    ]
    for value in range(int(y_range[0]), int(y_range[1]) + 1, step):
        y = place.y(value)
        parts.append(f'<path class="axis" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value}</text>')
    for share in (0, 0.25, 0.5, 0.75, 1):
        value = x_range[0] + share * (x_range[1] - x_range[0])
        parts.append(f'<text x="{place.x(value):.1f}" y="{_HEIGHT - 20}" text-anchor="middle">{value:.4g}</text>')
    for name, x in plot.marks:
        if x_range[0] <= x <= x_range[1]:
            parts.append(f'<path class="mark" d="M{place.x(x):.1f} {_TOP}V{_HEIGHT - _BOTTOM}"/>')
            parts.append(f'<text x="{place.x(x) + 4:.1f}" y="{_TOP + 12}">{escape(name)}</text>')
    parts += [_line(index, curve, place) for index, curve in enumerate(plot.curves)]
    parts.append(f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 4}" text-anchor="end">{escape(plot.x_label)}</text>')
    parts.append(f'<text x="4" y="{_TOP - 2}">{escape(plot.y_label)}</text></svg>')
    return ''.join(parts)


class _Scale:
    """Values to positions in the drawing."""

    def __init__(self, x_range: tuple[float, float], y_range: tuple[float, float]):
        self._x, self._y = x_range, y_range

    def x(self, value: float) -> float:
        """From the left."""
        return _LEFT + (value - self._x[0]) / (self._x[1] - self._x[0]) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """From the top."""
        return _TOP + (self._y[1] - value) / (self._y[1] - self._y[0]) * (_HEIGHT - _TOP - _BOTTOM)


def _line(index: int, curve: Curve, place: _Scale) -> str:
    style = index % 3
    points = ' '.join(f'{place.x(x):.1f},{place.y(y):.1f}' for x, y in zip(curve.x, curve.y, strict=True))
    name = f'<text class="k{style}" x="{_WIDTH - _RIGHT - 4}" y="{_TOP + 14 + 15 * index}" text-anchor="end">'
    return (
        f'<polyline class="s{style}" fill="none" stroke-width="2" points="{points}"/>{name}{escape(curve.name)}</text>'
    )

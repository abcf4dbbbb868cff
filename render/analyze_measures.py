"""What `analyze` does for each measurement: runs its job, and makes the numbers, the table and the pictures of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from networks.info import GeneratorInfo
from render.commands_diagnose import diagnose_report
from render.commands_info import table
from render.jobs import average_spectrum, run_to_end
from render.jobs_equivariance import GOOD_DB, equivariance, layer_ladder, lie_ladder, verdict
from render.jobs_measure import alias_budgets, fixed_patterns, neighbourhood, registered_average, walk_strip, waterfall
from render.measures import EquivarianceScore, Ladder, Metric, to_json
from render.options import Measurement
from render.plot_png import Curve, Mark, enlarged, heat_map, line_plot, map_sheet
from render.renderer import Renderer
from render.request import RenderRequest
from render.result import Spectrum
from render.views import colour_map_rgba
from render.worker import Job

_PLOT_RANGE_DB = (-80.0, 40.0)
_TABLE_ROWS = 17


@dataclass(frozen=True, slots=True)
class Task:
    """One `analyze` call."""

    renderer: Renderer
    request: RenderRequest
    info: GeneratorInfo
    samples: int
    seed: int
    real: Path | None
    report: Callable[[float | None, str], None]
    """Shows progress."""

    def run(self, job: Job) -> Any:
        """The outcome of a job, with progress."""
        return run_to_end(job, lambda progress: self.report(progress.fraction, progress.text))


@dataclass(frozen=True, slots=True)
class Report:
    """What is printed and written."""

    numbers: Mapping[str, Any]
    """JSON types; keys as documented in docs/measures.md."""
    lines: tuple[str, ...]
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)
    """File name -> [height, width, rgb or rgba] uint8."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Other files by name."""
    nothing: str = ''
    """Why there is no number at all, and what to do, in a sentence; empty if something was measured."""


Handler = Callable[[Task], Report]


def score_report(metric: Metric, task: Task) -> Report:
    """EQ-T, EQ-T_frac or EQ-R; for a generator without an input transform, why there is no number."""
    reason, name = task.info.why_not('transform'), metric.upper()
    if reason is not None:
        score = EquivarianceScore(metric, math.nan, 0, math.nan, math.nan, f'Equivariance cannot be measured: {reason}')
        numbers = {**_without(to_json(score), 'samples'), 'good_db': GOOD_DB[metric], 'verdict': score.note}
        why = f'{name} cannot be measured: {reason.rstrip(".")}; try --what layers, sticking or diagnose.'
        return Report(numbers, (), nothing=why)
    job = equivariance(task.renderer, request=task.request, metric=metric, samples=task.samples, first_seed=task.seed)
    score = task.run(job)
    note = verdict(score)
    numbers = {**_without(to_json(score), 'samples'), 'good_db': GOOD_DB[metric], 'verdict': note}
    line = (
        f'{name} {decibels(score.decibels)} over {score.samples} latents '
        f'(single ones {decibels(score.lowest)} to {decibels(score.highest)}; good from {GOOD_DB[metric]:g} dB): {note}'
    )
    nothing = f'{name} cannot be measured: {note}; try other --seed.' if math.isnan(score.decibels) else ''
    return Report(numbers, (line,), nothing=nothing)


def layers_report(task: Task) -> Report:
    """Per-layer equivariance, Lie derivatives and alias budgets."""
    few = min(task.samples, 2)
    ladder = task.run(layer_ladder(task.renderer, request=task.request, samples=task.samples, first_seed=task.seed))
    lie = task.run(lie_ladder(task.renderer, request=task.request, samples=few, first_seed=task.seed))
    budgets = task.run(alias_budgets(task.renderer, request=task.request, samples=few, first_seed=task.seed))
    by_name = {row.layer: row for row in budgets.rows}
    lie_by_name = {row.layer: row for row in lie.rows}
    rows = [('layer', 'rate', *(f'1/{1 / shift:g}' for shift in ladder.shifts), 'worst own', 'alias', 'Lie t', 'Lie r')]
    for row in ladder.rows:
        budget, small = by_name.get(row.layer), lie_by_name.get(row.layer)
        shown = row.decibels if not ladder.note else row.created
        own = [value for value in row.created if not math.isnan(value)]
        rows.append(
            (
                row.label,
                f'{row.rate:g}',
                *(number(value) for value in shown),
                number(min(own, default=math.nan)),
                number(math.nan if budget is None else budget.decibels),
                number(math.nan if small is None else small.created_translation, 3),
                number(math.nan if small is None else small.created_rotation, 3),
            )
        )
    head = f'{task.info.title}: dB of each layer for shifts in image widths, {ladder.samples} latents'
    notes = [ladder.note] if ladder.note else []
    legend = (
        'worst own: lowest dB of what the layer makes of an ideally moved input; alias: its budget; '
        'Lie: 0 = moves, 1 = stays (translation, rotation).'
    )
    numbers = {'ladder': to_json(ladder), 'lie': to_json(lie), 'budgets': to_json(budgets)}
    return Report(numbers, (head, *notes, *table(rows), legend), {'ladder.png': _ladder_picture(ladder)})


def _ladder_picture(ladder: Ladder) -> np.ndarray:
    own = bool(ladder.note)
    values = np.array([row.created if own else row.decibels for row in ladder.rows], dtype=np.float64)
    values = np.where(np.isinf(values), 300.0, values)
    title = 'Made by each layer itself, dB' if own else 'Equivariance of each layer, dB'
    columns = [f'1/{1 / shift:g}' for shift in ladder.shifts]
    return heat_map(values, rows=[row.label for row in ladder.rows], columns=columns, title=title, low=20.0, high=80.0)


def spectrum_report(task: Task) -> Report:
    """The average spectrum of the image or of one layer; for the image also all layers, and real pictures."""
    job = average_spectrum(task.renderer, request=task.request, count=task.samples, first_seed=task.seed)
    spectrum: Spectrum = task.run(job)
    name = task.request.synthesis.layer
    numbers: dict[str, Any] = {'layer': name or 'image', **spectrum_json(spectrum)}
    pictures = {'spectrum.png': _spectrum_picture(spectrum)}
    if name is None:
        job = waterfall(task.renderer, request=task.request, samples=task.samples, first_seed=task.seed, real=task.real)
        fall = task.run(job)
        numbers |= {'layers': to_json(fall.rows), 'real': to_json(fall.real), 'generated': to_json(fall.generated)}
        curves = [Curve(row.label, row.frequencies[1:], row.radial_db[1:]) for row in fall.rows if not row.note]
        pictures['waterfall.png'] = line_plot(
            curves,
            title='Mean radial spectrum of each layer, dB of its variance per squared cycle',
            x_label='cycles per image width',
            y_label='dB',
            log_x=True,
        )
        if fall.real is not None and fall.generated is not None:
            pictures['real.png'] = _real_picture(fall.real, fall.generated)
    layer = None if name is None else task.info.layer(name)
    return Report(numbers, tuple(_spectrum_lines(task.info, layer.label if layer else 'the image', spectrum)), pictures)


def _real_picture(real: Any, generated: Any) -> np.ndarray:
    curves = [
        Curve(f'{one.title[:14]} {angle}', one.frequencies, one.axis_db if angle == '0°' else one.diagonal_db)
        for one in (real, generated)
        for angle in ('0°', '45°')
    ]
    return line_plot(
        curves,
        title=f'Whitened by the real pictures: mean {real.mean:.1f}, deviation {real.std:.1f} of 0 to 255',
        x_label='cycles per image width (45°: times 1.41)',
        y_label='dB',
    )


def sticking_report(task: Task) -> Report:
    """The x-t strip, the neighbourhood average, fixed patterns and the registered average."""
    options: dict[str, Any] = {'request': task.request, 'first_seed': task.seed}
    strip = task.run(walk_strip(task.renderer, frames=max(2 * task.samples, 16), **options))
    around = task.run(
        neighbourhood(task.renderer, request=task.request, samples=max(task.samples, 2), first_seed=task.seed + 1)
    )
    patterns = task.run(fixed_patterns(task.renderer, samples=max(task.samples, 2), **options))
    registered = None
    if 'transform' in task.info.capabilities:
        registered = task.run(registered_average(task.renderer, samples=max(task.samples, 2), **options))
    numbers = _sticking_numbers(strip, around, patterns, registered)
    lines = [
        f'{task.info.title}: share of fine detail that does not move (0 = all moves, 1 = all stays)',
        f'  latent walk, line across the middle   {share(strip.share)}  {strip.note}'.rstrip(),
        f'  average of {around.samples} neighbours              {share(around.share)}  {around.note}'.rstrip(),
    ]
    if registered is not None:
        lines.append(f'  detail kept when moved and moved back {share(registered.kept)} (1 = all)')
    lines += ['Share of each layer that is tied to the place:', *([patterns.note] if patterns.note else [])]
    lines += table(
        [('layer', 'all', 'edge', ''), *((x.label, share(x.share), share(x.edge_share), x.note) for x in patterns.rows)]
    )
    pictures = {
        'strip.png': enlarged(strip.image),
        'average.png': enlarged(around.average),
        'fixed_patterns.png': map_sheet(
            [(f'{row.label} {share(row.share)}', row.map) for row in patterns.rows],
            title='Tied to the place (bright: as strong as all the layer varies)',
        ),
        'decay.png': _decay_picture(around),
    }
    if registered is not None:
        pictures['registered.png'] = enlarged(registered.average)
    return Report(numbers, tuple(lines), pictures)


def _sticking_numbers(strip: Any, around: Any, patterns: Any, registered: Any) -> dict[str, Any]:
    """What is kept of the four, as JSON: no pictures."""
    return {
        'walk': _without(to_json(strip), 'image', 'values'),
        'neighbourhood': _without(to_json(around), 'average', 'residual', 'centre'),
        'patterns': {
            **_without(to_json(patterns), 'rows'),
            'rows': [_without(to_json(row), 'map') for row in patterns.rows],
        },
        'registered': None if registered is None else _without(to_json(registered), 'average', 'loss'),
    }


def _decay_picture(around: Any) -> np.ndarray:
    counts = list(around.counts)
    curves = [Curve('measured', counts, [10 * math.log10(max(x, 1e-12)) for x in around.energies])]
    curves.append(Curve('if all moves', counts, [-10 * math.log10(x) for x in counts]))
    return line_plot(
        curves,
        title='Fine detail of averages of N pictures',
        x_label='N',
        y_label='dB',
        marks=(Mark('single', y=0.0),),
        log_x=True,
    )


HANDLERS: Mapping[Measurement, Handler] = MappingProxyType(
    {
        'eq-t': partial(score_report, 'eq-t'),
        'eq-t-frac': partial(score_report, 'eq-t-frac'),
        'eq-r': partial(score_report, 'eq-r'),
        'layers': layers_report,
        'spectrum': spectrum_report,
        'sticking': sticking_report,
        'diagnose': diagnose_report,
    }
)
"""Measurement -> what `analyze` does for it. One that is missing here is not built yet."""
DEFAULT_SAMPLES: Mapping[Measurement, int] = MappingProxyType({'layers': 2, 'diagnose': 2})
"""Latents where `--samples` is not given; 32 for the others."""


def spectrum_json(spectrum: Spectrum) -> dict[str, Any]:
    """The profiles of a spectrum in JSON types; frequencies in cycles per image width, powers in dB of the mean."""
    return {
        'extent': spectrum.extent,
        'frequencies': spectrum.frequencies.tolist(),
        'radial_db': spectrum.radial_db.tolist(),
        'axis_db': spectrum.axis_db.tolist(),
        'diagonal_db': spectrum.diagonal_db.tolist(),
    }


def _spectrum_lines(info: GeneratorInfo, subject: str, spectrum: Spectrum) -> list[str]:
    """A table of at most `_TABLE_ROWS` frequencies."""
    count = len(spectrum.frequencies)
    chosen = sorted({round(index) for index in np.linspace(0, count - 1, min(count, _TABLE_ROWS))})
    curves = (spectrum.radial_db, spectrum.axis_db, spectrum.diagonal_db)
    rows = [('cycles per image width', 'ring mean dB', '0° dB', '45° dB')]
    rows += [(f'{spectrum.frequencies[index]:.4g}', *(f'{curve[index]:.1f}' for curve in curves)) for index in chosen]
    return [f'{info.title}, {subject}: mean power of {spectrum.samples} latents, dB relative to the mean', *table(rows)]


def _spectrum_picture(spectrum: Spectrum) -> np.ndarray:
    low, high = _PLOT_RANGE_DB
    brightness = torch.from_numpy(spectrum.power_db).sub(low).div((high - low) / 2).sub(1)
    return colour_map_rgba(brightness, 'viridis').numpy()


def decibels(value: float) -> str:
    """'43.2 dB', or in words where there is no number."""
    if math.isnan(value):
        return 'no number'
    return 'no error at all' if math.isinf(value) else f'{value:.1f} dB'


def number(value: float, digits: int = 1) -> str:
    """For tables: '–' for none, '∞' without any error."""
    if math.isnan(value):
        return '–'
    return '∞' if math.isinf(value) else f'{value:.{digits}f}'


def share(value: float) -> str:
    """A part of one, or '–'."""
    return '–' if math.isnan(value) else f'{value:.3f}'


def _without(numbers: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in numbers.items() if name not in names}

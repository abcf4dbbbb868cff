"""Planted defects: does `diagnose` name the cause and the layer, and keep quiet about healthy networks?

    python -m benchmarks.diagnose [--seed S] [--seeds N] [--size 64] [--channels 32] [--json]

At least 48 networks from the tables of T and R with one defect each: every cause in early, middle and late layers, and 8
healthy ones. Random weights, magnitudes calibrated on one batch; no training, no files.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from benchmarks.planted import CAUSES, POSITIONS, Plan, build
from networks.adapters.wrap import wrap
from render.diagnosis import Diagnosis
from render.jobs import run_to_end
from render.jobs_diagnose import diagnose
from render.models import ModelStore
from render.renderer import Renderer
from render.request import ModelKey, RenderRequest

HEALTHY = 8


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was planted and what was said."""

    rung: str
    position: str
    seed: int
    planted: str
    layer: str | None
    detail: str
    named: str
    """Cause of the first finding; 'healthy' if there is none."""
    named_layer: str | None
    findings: int
    cause_right: bool
    layer_right: bool
    """Exactly or a neighbour."""
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; exit code 1 if an aim is missed."""
    parser = argparse.ArgumentParser(description='Planted defects: what diagnose says about them.')
    parser.add_argument('--seed', type=int, default=0, help='of the first set of networks')
    parser.add_argument('--seeds', type=int, default=1, help='how many sets')
    parser.add_argument('--size', type=int, default=64)
    parser.add_argument('--channels', type=int, default=32, help='at most, per layer')
    parser.add_argument('--only', default='', help='a cause, or "healthy"')
    parser.add_argument('--json', action='store_true')
    options = parser.parse_args(arguments)
    outcomes = []
    for plan in plans(options.seed, options.seeds):
        if options.only in ('', plan.cause or 'healthy'):
            outcomes.append(examine(plan, options.size, options.channels))
            print(_line(outcomes[-1]), file=sys.stderr, flush=True)
    summary = summarize(outcomes)
    if options.json:
        print(
            json.dumps({'options': vars(options), **summary, 'networks': [asdict(one) for one in outcomes]}, indent=1)
        )
    else:
        print('\n'.join(_table(outcomes, summary)))
    return 0 if summary['passed'] else 1


def plans(seed: int, sets: int = 1) -> list[Plan]:
    """48 defective networks and 8 healthy ones per set."""
    found = []
    for number in range(sets):
        base = 1000 * seed + 100 * number
        for cause in CAUSES:
            for place, position in enumerate(POSITIONS):
                rungs = ('R', 'R') if cause == 'separable' else ('T', 'R')
                for twin, rung in enumerate(rungs):
                    found.append(Plan(rung, cause, position, base + 10 * CAUSES.index(cause) + 2 * place + twin))
        found += [Plan('TR'[one % 2], None, '', base + 90 + one) for one in range(HEALTHY)]
    return found


def examine(plan: Plan, size: int, channels: int) -> Outcome:
    """Build, diagnose, compare."""
    planted = build(plan, size=size, channels=channels)
    store, key = ModelStore('cpu'), ModelKey('planted', 'planted')
    store.put(key, wrap(planted.generator))
    said: Diagnosis = run_to_end(diagnose(Renderer(store), request=RenderRequest(key), samples=1))
    first = said.findings[0] if said.findings else None
    named = said.state if first is None else first.cause
    labels = ['input', *planted.generator.synthesis.layer_names]
    near = (
        first is not None
        and planted.layer is not None
        and abs(labels.index(first.layer) - labels.index(planted.layer)) <= 1
    )
    wanted = plan.cause or 'healthy'
    return Outcome(
        plan.rung,
        plan.position,
        plan.seed,
        wanted,
        planted.layer,
        planted.detail,
        named,
        None if first is None else first.layer,
        len(said.findings),
        named == wanted,
        named == wanted and (near or plan.cause is None),
        said.seconds,
    )


def summarize(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Shares of causes and layers named right, false alarms, and whether the aims are met."""
    sick = [one for one in outcomes if one.planted != 'healthy']
    well = [one for one in outcomes if one.planted == 'healthy']
    causes = sum(one.cause_right for one in sick) / max(len(sick), 1)
    layers = sum(one.layer_right for one in sick) / max(len(sick), 1)
    alarms = sum(not one.cause_right for one in well)
    extra = sum(max(one.findings - 1, 0) for one in sick)
    return {
        'defective': len(sick),
        'healthy': len(well),
        'cause_right': causes,
        'layer_right': layers,
        'false_alarms': alarms,
        'further_findings': extra,
        'median_seconds': statistics.median(one.seconds for one in outcomes) if outcomes else 0.0,
        'passed': (not sick or (causes >= 0.95 and layers >= 0.9)) and alarms == 0,
    }


def _line(one: Outcome) -> str:
    mark = 'ok  ' if one.layer_right else 'near' if one.cause_right else 'MISS'
    said = one.named if one.named_layer is None else f'{one.named} in {one.named_layer}'
    more = f' (+{one.findings - 1})' if one.findings > 1 else ''
    return f'{mark} {one.rung} {one.position:6} {one.planted:12} {one.layer or "":12} {one.detail}: {said}{more}, {one.seconds:.1f} s'


def _table(outcomes: Sequence[Outcome], summary: dict[str, object]) -> list[str]:
    lines = ['planted        networks  cause  layer ±1']
    for cause in (*CAUSES, 'healthy'):
        mine = [one for one in outcomes if one.planted == cause]
        if mine:
            causes, layers = sum(one.cause_right for one in mine), sum(one.layer_right for one in mine)
            lines.append(f'{cause:14} {len(mine):8}  {causes:5}  {"" if cause == "healthy" else layers:>8}')
    return [
        *lines,
        f'cause {summary["cause_right"]:.1%}, layer {summary["layer_right"]:.1%} of {summary["defective"]}; '
        f'{summary["false_alarms"]} false alarms of {summary["healthy"]}; {summary["further_findings"]} further findings; '
        f'median {summary["median_seconds"]:.1f} s; {"aims met" if summary["passed"] else "AIMS MISSED"}',
    ]


if __name__ == '__main__':
    sys.exit(main())

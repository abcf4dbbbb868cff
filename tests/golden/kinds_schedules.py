"""Compares our tables of layers with the configurations of a manifest's `schedules`."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from networks.config import AliasFreeConfig, from_keywords
from networks.schedule import LayerRecord, Schedule, make_schedule
from networks.stylegan3 import Generator
from tests.golden.fixture import TensorFolder
from tests.golden.runner import Handler, Mismatch, Outcome

KINDS: dict[str, Handler] = {}
"""None: schedules are no cases; the runner finds `check_schedules`."""


def check_schedules(manifest: Mapping[str, Any], tensors: TensorFolder) -> Iterator[Outcome]:
    """Compare our table of layers with each named configuration of the manifest: floats to 1e-12, filters to 1e-7."""
    for name, golden in manifest['schedules'].items():
        config = dict(golden['config'])
        w_dim, image_channels, resolution = (
            config.pop('w_dim'),
            config.pop('img_channels'),
            config.pop('img_resolution'),
        )
        try:
            keywords = from_keywords(AliasFreeConfig, config)
            schedule = make_schedule(resolution, image_channels, keywords)
            _check_table(schedule, golden)
            with torch.device('meta'):
                generator = Generator(w_dim, 0, w_dim, resolution, image_channels, **config)
            _check_parameters(generator, golden)
            error = _filter_error(schedule, golden.get('filters'), tensors)
        except (Mismatch, ValueError) as problem:
            yield Outcome(f'schedules/{name}', False, reason=str(problem))
            continue
        yield Outcome(f'schedules/{name}', error <= 1e-7, error, 1e-7, output='filters')


def _check_table(schedule: Schedule, golden: Mapping[str, Any]) -> None:
    layers = schedule.layers
    _near('num_ws', schedule.num_ws, golden['num_ws'])
    features = golden['input']
    for ours, theirs in (('channels', 'channels'), ('rate', 'sampling_rate'), ('bandwidth', 'bandwidth')):
        _near(f'input.{ours}', getattr(schedule.input, ours), features[theirs])
    _near('input.size', [schedule.input.size] * 2, features['size'])
    columns = {'cutoffs': 'cutoff', 'stopbands': 'stopband', 'sampling_rates': 'rate', 'half_widths': 'half_width'}
    for theirs, ours in {**columns, 'sizes': 'size', 'channels': 'channels'}.items():
        for record, value in zip(layers, golden['arrays'][theirs], strict=True):
            _near(f'{record.name}.{ours}', getattr(record, ours), value)
    for record, expected in zip(layers, golden['layers'], strict=True):
        for key, value in expected.items():
            _near(f'{record.name}.{key}', official(record)[key], value)


def official(record: LayerRecord) -> dict[str, Any]:
    """A record under the official names."""
    return {
        'name': record.name,
        'is_torgb': record.torgb,
        'is_critically_sampled': record.critical,
        'use_fp16': record.half_precision,
        'in_channels': record.channels_in,
        'out_channels': record.channels,
        'in_size': [record.size_in] * 2,
        'out_size': [record.size] * 2,
        'in_sampling_rate': record.rate_in,
        'out_sampling_rate': record.rate,
        'tmp_sampling_rate': record.rate_inside,
        'in_cutoff': record.cutoff_in,
        'out_cutoff': record.cutoff,
        'in_half_width': record.half_width_in,
        'out_half_width': record.half_width,
        'conv_kernel': record.kernel,
        'up_factor': record.up_factor,
        'up_taps': record.up_taps,
        'down_factor': record.down_factor,
        'down_taps': record.down_taps,
        'down_radial': record.radial,
        'padding': list(record.padding(record.up_taps, record.down_taps)) * 2,
    }


def _near(name: str, actual: Any, expected: Any) -> None:
    same = abs(actual - expected) <= 1e-12 * abs(expected) if isinstance(expected, float) else actual == expected
    if not same:
        raise Mismatch(f'{name} is {actual!r}, expected {expected!r}')


def _check_parameters(generator: Generator, golden: Mapping[str, Any]) -> None:
    count = sum(parameter.numel() for parameter in generator.synthesis.parameters())
    _near('number of synthesis parameters', count, golden['num_params'])


def _filter_error(schedule: Schedule, filters: Mapping[str, Any] | None, tensors: TensorFolder) -> float:
    """Largest difference of all filters; also names which filters exist."""
    if filters is None:
        return 0.0
    own = {f'{record.name}.up_filter': record.up_filter() for record in schedule.layers}
    own |= {f'{record.name}.down_filter': record.down_filter() for record in schedule.layers}
    present = {name: taps for name, taps in own.items() if taps is not None}
    if set(present) != set(filters['names']):
        raise Mismatch(f'filters are {sorted(present)}, expected {sorted(filters["names"])}')
    goldens = {name: tensors.get(filters['file'], filters['prefix'] + name) for name in present}
    for name, taps in present.items():
        _near(f'shape of {name}', list(taps.shape), list(goldens[name].shape))
    return max(float((taps.double() - goldens[name].double()).abs().max()) for name, taps in present.items())

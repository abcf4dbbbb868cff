"""`visualizer.py info` and `convert`: what a model is, and the same model in our format."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from networks.bad_file import BadFile, shown
from networks.checkpoint import convert as convert_file
from networks.info import GeneratorInfo, LayerInfo
from networks.sources import is_function, resolve
from render.options import ConvertOptions, InfoOptions
from render.request import ModelKey
from render.source import find_source
from render.terminal import open_source, progress_bar

_COLUMNS = ('layer', 'channels', 'size', 'rate s', 'cutoff f_c', 'stopband f_t', 'half-width f_h', 'up', 'down', 'type')


def info(options: InfoOptions) -> int:
    """Carry out the command; returns the exit code. Raises `BadFile`."""
    source = find_source(options.path, network=None if options.network == 'G_ema' else options.network)
    _, key, found = open_source(source, options.device)
    if options.json:
        print(json.dumps(info_json(key, found), indent=1))
    else:
        print('\n'.join(info_lines(key, found)))
    return 0


def convert(options: ConvertOptions) -> int:
    """Carry out the command; returns the exit code. Raises `BadFile`."""
    if is_function(options.path):
        raise BadFile('no-snapshot', f'{shown(options.path)} is code, not a snapshot; only files can be converted.')
    try:
        options.out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadFile('cannot-write', f'{shown(options.out)} cannot be written ({reason}).') from None
    with progress_bar() as report:
        found = convert_file(resolve(options.path), options.out, network=options.network, on_progress=report)
    print(f'{options.out}: {found.network}, {found.family}, {len(found.tensors)} tensors')
    for note in found.notes:
        print(note)
    return 0


def info_json(key: ModelKey, found: GeneratorInfo) -> dict[str, Any]:
    """Everything known about a generator, in JSON types."""
    whole = asdict(found)
    return {
        'path': key.path,
        'sha256': key.sha256,
        'network': key.network,
        **whole,
        'config': {name: value for name, value in found.config},
        'layers': [layer_json(layer) for layer in found.layers],
        'capabilities': sorted(found.capabilities),
        'missing': dict(found.missing),
        'notes': list(found.notes),
    }


def layer_json(layer: LayerInfo) -> dict[str, Any]:
    """One layer; frequencies in cycles per image width, the rate in samples per image width, None where undefined."""
    return {
        'name': layer.name,
        'label': layer.label,
        'channels': layer.channels,
        'height': layer.height,
        'width': layer.width,
        'dtype': layer.dtype,
        'sampling_rate': layer.rate,
        'cutoff': layer.cutoff,
        'stopband': layer.stopband,
        'half_width': layer.half_width,
        'up_factor': layer.up_factor,
        'down_factor': layer.down_factor,
        'margin': layer.margin,
        'styles': list(layer.styles),
        'filters': [asdict(one) for one in layer.filters],
    }


def info_lines(key: ModelKey, found: GeneratorInfo) -> list[str]:
    """The same for people."""
    head = [
        ('File', key.path if ':' in key.path else str(Path(key.path))),
        ('Model', f'{found.title} ({found.family})'),
        ('Parameters', f'{found.parameters:,}'),
        ('Picture', f'{found.resolution} × {found.resolution}, {found.image_channels} channels'),
        ('Latents', f'z {found.z_dim}, w {found.w_dim}, {found.num_ws} rows'),
        ('Classes', str(found.class_count) if found.class_count else 'none'),
        ('Can', ', '.join(sorted(found.capabilities)).replace('_', ' ') or 'only be shown'),
        ('SHA-256', key.sha256),
        *([('Made from', found.origin)] if found.origin else []),
    ]
    lines = [f'{name:12}{value}' for name, value in head]
    lines += ['', *(f'  {name} = {value}' for name, value in found.config)]
    lines += ['', *table([_COLUMNS, *(_row(layer) for layer in found.layers)])]
    lines += ['', 'Frequencies in cycles per image width; rate in samples per image width.']
    lines += [reason for _, reason in found.missing]
    lines += list(found.notes)
    return lines


def table(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows as lines: the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        '  '.join(cell.ljust(width) if index == 0 else cell.rjust(width) for index, (cell, width) in enumerate(pairs))
        for pairs in ([*zip(row, widths, strict=True)] for row in rows)
    ]


def _row(layer: LayerInfo) -> tuple[str, ...]:
    numbers = (layer.rate, layer.cutoff, layer.stopband, layer.half_width)
    return (
        layer.label,
        str(layer.channels),
        f'{layer.width}×{layer.height}',
        *('–' if number is None else f'{number:.5g}' for number in numbers),
        str(layer.up_factor),
        str(layer.down_factor),
        layer.dtype,
    )

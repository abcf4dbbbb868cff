"""`visualizer.py analyze`: measurements of a model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from networks.bad_file import BadFile
from networks.info import GeneratorInfo, LayerInfo
from ops.fast_cpu.library import use_policy
from render.commands_info import table
from render.commands_render import layer_name
from render.jobs import average_spectrum, run_to_end
from render.options import AnalyzeOptions, WrongUsage
from render.png_session import save_png, write_file
from render.renderer import Renderer
from render.request import LatentSpec, RenderRequest, SpectrumSpec, SynthesisSpec, ViewSpec
from render.result import Spectrum
from render.session import SEED_LIMIT
from render.source import find_source
from render.terminal import open_source, progress_bar
from render.views import colour_map_rgba

MAX_SAMPLES = 1_000_000
_PLOT_RANGE_DB = (-80.0, 40.0)
_TABLE_ROWS = 17


def analyze(options: AnalyzeOptions) -> int:
    """Carry out the command; returns the exit code. Raises `BadFile`, `ValueError`, `WrongUsage`."""
    if not 1 <= options.samples <= MAX_SAMPLES:
        raise WrongUsage(f'--samples {options.samples}: choose from 1 to {MAX_SAMPLES}.')
    if not 0 <= options.seed <= SEED_LIMIT - options.samples:
        raise WrongUsage(f'--seed {options.seed}: seeds go from 0 to {SEED_LIMIT - options.samples}.')
    if options.what != 'spectrum':
        raise BadFile('not-built', f'--what {options.what} is not built yet; this version measures: spectrum.')
    source = find_source(options.path, network=None if options.network == 'G_ema' else options.network)
    store, key, info = open_source(source, options.device)
    name = None if options.layer is None else layer_name(options.layer, info)
    request = RenderRequest(
        key, LatentSpec(), SynthesisSpec(layer=name), ViewSpec(spectrum=SpectrumSpec(kaiser_beta=8.0))
    )
    job = average_spectrum(Renderer(store), request=request, count=options.samples, first_seed=options.seed)
    with progress_bar() as report, use_policy('wait'):
        spectrum = run_to_end(job, lambda progress: report(progress.fraction, progress.text))
    result = {'what': 'spectrum', 'path': key.path, 'sha256': key.sha256, 'model': info.title, 'layer': name or 'image',
              'samples': options.samples, 'seed': options.seed, **spectrum_json(spectrum)}  # fmt: skip
    if options.out is not None:
        _write(options.out, spectrum, result)
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        print('\n'.join(_lines(info, None if name is None else info.layer(name), spectrum)))
    return 0


def spectrum_json(spectrum: Spectrum) -> dict[str, Any]:
    """The profiles of a spectrum in JSON types; frequencies in cycles per image width, powers in dB of the mean."""
    return {
        'extent': spectrum.extent,
        'frequencies': spectrum.frequencies.tolist(),
        'radial_db': spectrum.radial_db.tolist(),
        'axis_db': spectrum.axis_db.tolist(),
        'diagonal_db': spectrum.diagonal_db.tolist(),
    }


def _lines(info: GeneratorInfo, layer: LayerInfo | None, spectrum: Spectrum) -> list[str]:
    """A table of at most `_TABLE_ROWS` frequencies."""
    count = len(spectrum.frequencies)
    chosen = sorted({round(index) for index in np.linspace(0, count - 1, min(count, _TABLE_ROWS))})
    rows = [('cycles per image width', 'ring mean dB', '0° dB', '45° dB')]
    rows += [
        (
            f'{spectrum.frequencies[index]:.4g}',
            *(f'{curve[index]:.1f}' for curve in (spectrum.radial_db, spectrum.axis_db, spectrum.diagonal_db)),
        )
        for index in chosen
    ]
    subject = 'the image' if layer is None else layer.label
    return [f'{info.title}, {subject}: mean power of {spectrum.samples} latents, dB relative to the mean', *table(rows)]


def _write(folder: Path, spectrum: Spectrum, result: dict[str, Any]) -> None:
    """Numbers and the two-dimensional plot. Raises `BadFile`."""
    low, high = _PLOT_RANGE_DB
    brightness = torch.from_numpy(spectrum.power_db).sub(low).div((high - low) / 2).sub(1)
    save_png(folder / 'spectrum.png', colour_map_rgba(brightness, 'viridis').numpy())
    write_file(folder / 'spectrum.json', json.dumps(result, indent=1).encode('utf-8'))

"""`visualizer.py analyze`: measurements of a model."""

import json

from networks.bad_file import BadFile
from render.analyze_measures import DEFAULT_SAMPLES, HANDLERS, Report, Task
from render.commands_render import layer_name
from render.options import AnalyzeOptions, WrongUsage
from render.png_session import save_png, write_file
from render.renderer import Renderer
from render.request import LatentSpec, RenderRequest, SpectrumSpec, SynthesisSpec, ViewSpec
from render.session import SEED_LIMIT
from render.source import find_source
from render.terminal import open_source, progress_bar

MAX_SAMPLES = 1_000_000


def analyze(options: AnalyzeOptions) -> int:
    """Carry out the command; returns the exit code. Raises `BadFile`, `ValueError`, `WrongUsage`.

    Where nothing could be measured, the answer for programs is null and the reason; to people `BadFile` says it.
    """
    samples = _samples(options)
    handler = HANDLERS.get(options.what)
    if handler is None:
        known = ', '.join(HANDLERS)
        raise BadFile('not-built', f'--what {options.what} is not built yet; this version measures: {known}.')
    source = find_source(options.path, network=None if options.network == 'G_ema' else options.network)
    store, key, info = open_source(source, options.device)
    name = None if options.layer is None else layer_name(options.layer, info)
    view = ViewSpec(spectrum=SpectrumSpec(kaiser_beta=8.0))
    request = RenderRequest(key, LatentSpec(), SynthesisSpec(layer=name), view)
    with progress_bar() as report:
        task = Task(Renderer(store), request, info, samples, options.seed, options.real, report)
        found = handler(task)
    head = {'what': options.what, 'path': key.path, 'sha256': key.sha256, 'model': info.title}
    result = {**head, 'samples': samples, 'seed': options.seed, **found.numbers}
    if options.out is not None:
        _write(options, found, result)
    if options.json:
        print(json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False))
        return 0
    if found.nothing:
        raise BadFile('not-measurable', found.nothing)
    print('\n'.join(found.lines))
    return 0


def _samples(options: AnalyzeOptions) -> int:
    """How many latents; raises `WrongUsage` for options that do not go together."""
    samples = DEFAULT_SAMPLES.get(options.what, 32) if options.samples is None else options.samples
    if not 1 <= samples <= MAX_SAMPLES:
        raise WrongUsage(f'--samples {samples}: choose from 1 to {MAX_SAMPLES}.')
    if not 0 <= options.seed <= SEED_LIMIT - 2 * samples:
        raise WrongUsage(f'--seed {options.seed}: seeds go from 0 to {SEED_LIMIT - 2 * samples}.')
    if options.layer is not None and options.what != 'spectrum':
        raise WrongUsage(f'--layer goes with --what spectrum only, not with {options.what}.')
    if options.real is not None and (options.what != 'spectrum' or options.layer is not None):
        raise WrongUsage('--real goes with --what spectrum of the image only.')
    return samples


def _write(options: AnalyzeOptions, found: Report, result: dict[str, object]) -> None:
    """Numbers and plots into the folder. Raises `BadFile`."""
    assert options.out is not None
    for name, picture in found.pictures.items():
        save_png(options.out / name, picture)
    for name, data in found.files.items():
        write_file(options.out / name, data)
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False)
    write_file(options.out / f'{options.what}.json', text.encode('utf-8'))

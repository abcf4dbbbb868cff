"""`visualizer.py render`: one picture, tensor or clip into a file, and a JSON that says how."""

import io
import json
import math
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from analysis.colormap import colormap_names
from networks.bad_file import BadFile, shown
from networks.info import Capability, GeneratorInfo
from render.clips import clip_requests
from render.jobs import clip, run_to_end
from render.options import RenderOptions, WrongUsage, is_given
from render.png_session import save_png, shared_text, write_file
from render.renderer import Renderer
from render.request import RenderRequest
from render.result import RenderResult
from render.session import LATTICE_ROW, SEED_LIMIT, Session, Side, is_animating, to_request
from render.session_file import MAX_BYTES, REQUEST_FORMAT, parse_json
from render.source import Source, find_source, with_model
from render.terminal import open_source, progress_bar, say

PICTURE, CLIP, TENSORS = '.png', '.mp4', ('.npy', '.exr')


def render(options: RenderOptions) -> int:
    """Carry out the command; returns the exit code. Raises `BadFile`, `ValueError`, `WrongUsage`."""
    suffix = options.out.suffix.lower()
    if suffix not in (PICTURE, CLIP, *TENSORS):
        raise WrongUsage(f'--out {shown(options.out.name)}: the name must end in .png, .npy, .exr or .mp4.')
    _check_usage(options, suffix)
    network = None if options.network == 'G_ema' else options.network
    source = find_source(options.path, session_file=options.session, network=network)
    store, key, info = open_source(source, options.device)
    for note in info.notes:
        if 'not finite' in note:  # the one remark of the reader that explains a blank picture
            say(note)
    session = chosen_session(with_model(source, key), options, info)
    renderer = Renderer(store)
    request = chosen_request(session, options, info)
    record: dict[str, Any] = {'output': options.out.name, 'model': info.title, 'request': asdict(request)}
    if suffix == CLIP:
        record |= _write_clip(renderer, _clip_session(session, options, source, info), options, info)
    elif suffix == PICTURE:
        record |= _write_picture(renderer, request, options.out, session)
    else:
        record |= _write_tensor(renderer, request, options)
    _write_record(record, session, options)
    print(options.out)
    return 0


def _check_usage(options: RenderOptions, suffix: str) -> None:
    """What can be said without the model."""
    if options.seed is not None and not 0 <= options.seed < SEED_LIMIT:
        raise WrongUsage(f'--seed {options.seed}: seeds go from 0 to {SEED_LIMIT - 1}.')
    if options.scale is not None and not 0.01 <= options.scale <= 100:
        raise WrongUsage(f'--scale {options.scale}: choose from 0.01 to 100.')
    for name in ('truncation', 'rotate_degrees', 'scale', 'gain_db', 'seconds'):
        value = getattr(options, name)
        if value is not None and not math.isfinite(value):
            raise WrongUsage(f'--{name.replace("_", "-")} {value}: must be a finite number.')
    if is_given(options.translate) and not all(math.isfinite(value) for value in options.translate):
        raise WrongUsage(f'--translate {options.translate}: must be two finite numbers.')
    if suffix in (PICTURE, CLIP) and len(options.channels) not in (0, 1, 3):
        raise WrongUsage(f'--channels: a picture has one channel or three, not {len(options.channels)}.')
    if options.colormap is not None and options.colormap not in colormap_names():
        raise WrongUsage(f'--colormap {shown(options.colormap)}: choose {", ".join(colormap_names())}.')
    if suffix in TENSORS and (options.undo_transform or options.sheet):
        raise WrongUsage(f'--undo-transform and --sheet are for pictures; {suffix} holds the tensor as it is.')
    if suffix != CLIP and (options.motion or options.seconds or options.frames_per_second):
        raise WrongUsage('--motion, --seconds and --frames-per-second are for clips; --out must end in .mp4.')
    if options.seconds is not None and not 0 < options.seconds <= 3600:
        raise WrongUsage(f'--seconds {options.seconds}: choose from 0 to 3600.')
    if options.frames_per_second is not None and not 1 <= options.frames_per_second <= 240:
        raise WrongUsage(f'--frames-per-second {options.frames_per_second}: choose from 1 to 240.')


def chosen_session(session: Session, options: RenderOptions, info: GeneratorInfo) -> Session:
    """`session` with the options in it. Raises `ValueError` for what the model cannot do."""
    side = session.current
    side = _with_latent(side, options, info)
    side = _with_synthesis(side, options, info)
    side = _with_layer(side, options, info)
    canvas = replace(session.canvas, undo_transform=options.undo_transform or session.canvas.undo_transform)
    performance = session.performance
    if options.full_precision:
        performance = replace(performance, precision='float32')
    return replace(session.with_current(side), canvas=canvas, performance=performance)


def chosen_request(session: Session, options: RenderOptions, info: GeneratorInfo) -> RenderRequest:
    """What to render: derived from the session, plus what only options can say."""
    request = to_request(session)
    assert request is not None
    return _with_view(request, session, options, info)


def _with_view(request: RenderRequest, session: Session, options: RenderOptions, info: GeneratorInfo) -> RenderRequest:
    view = replace(request.view, spectrum=None, response_layer=None, meter=False)
    if options.channels:
        layer = None if request.synthesis.layer is None else info.layer(request.synthesis.layer)
        count = info.image_channels if layer is None else layer.channels
        bad = [channel for channel in options.channels if not 0 <= channel < count]
        if bad:
            raise ValueError(f'There is no channel {bad[0]}: the channels are 0 to {count - 1}.')
        view = replace(view, channels=options.channels, mode='channel' if len(options.channels) == 1 else 'rgb')
    if options.sheet:
        first = options.channels[0] if options.channels else session.current.layer.channel
        view = replace(view, mode='sheet', sheet_first=first, normalize=not options.raw_scale)
    return replace(request, view=view)


def _with_latent(side: Side, options: RenderOptions, info: GeneratorInfo) -> Side:
    latent, truncation = side.latent, side.truncation
    if options.seed is not None:
        row, column = divmod(options.seed, LATTICE_ROW)
        latent = replace(latent, x=float(column), y=float(row))
    if options.class_index is not None:
        _need('classes', info)
        latent = replace(latent, class_index=options.class_index)
    if options.truncation is not None or options.truncation_layers is not None:
        _need('truncation', info)
        psi = truncation.psi if options.truncation is None else options.truncation
        truncation = replace(truncation, psi=psi, layers=options.truncation_layers or truncation.layers)
    return replace(side, latent=latent, truncation=truncation)


def _with_synthesis(side: Side, options: RenderOptions, info: GeneratorInfo) -> Side:
    transform, filters, noise = side.transform, side.filters, side.noise
    if is_given(options.translate) or options.rotate_degrees is not None or options.scale is not None:
        _need('transform', info)
        x, y = options.translate if is_given(options.translate) else (transform.x, transform.y)
        degrees = transform.degrees if options.rotate_degrees is None else options.rotate_degrees
        scale = transform.scale if options.scale is None else options.scale
        transform = replace(transform, x=x, y=y, degrees=degrees, scale=scale)
    if options.filters is not None:
        _need('filters', info)
        filters = replace(  # instead of all filters of the session; oversampling, margin and clamp are none
            filters, kind=options.filters, direction=options.filter_direction, layers=None, taps=None, edits=()
        )
    if options.noise is not None or options.noise_seed is not None:
        _need('noise', info)
        mode = options.noise or ('random' if options.noise_seed is not None else noise.mode)
        noise = replace(noise, mode=mode, seed=noise.seed if options.noise_seed is None else options.noise_seed)
    return replace(side, transform=transform, filters=filters, noise=noise)


def _with_layer(side: Side, options: RenderOptions, info: GeneratorInfo) -> Side:
    state = side.layer
    if options.layer is not None:
        state = replace(state, layer=layer_name(options.layer, info))
    if options.channels:
        state = replace(state, channel=options.channels[0], mode='channel' if len(options.channels) == 1 else 'rgb')
    if options.sheet:
        state = replace(state, mode='sheet')
    if options.gain_db is not None:
        state = replace(state, gain_db=options.gain_db)
    if options.raw_scale:
        state = replace(state, normalize=False)
    if options.colormap is not None:
        state = replace(state, colormap=options.colormap)
    return replace(side, layer=state)


def layer_name(text: str, info: GeneratorInfo) -> str | None:
    """The full name of the layer that `text` names in full or by its label; None for 'image'. Raises `ValueError`."""
    found = next((layer for layer in info.layers if text in (layer.name, layer.label)), None)
    if found is not None:
        return found.name
    if text == 'image':
        return None
    names = ', '.join(layer.label for layer in info.layers)
    raise ValueError(f'There is no layer {shown(text)}; there are: {shown(names, limit=180)}.')


def _need(capability: Capability, info: GeneratorInfo) -> None:
    """Raise `ValueError` with the reason if the model cannot do what was asked for."""
    reason = info.why_not(capability)
    if reason is not None:
        raise ValueError(f'{info.title}: {reason}')


def _clip_session(session: Session, options: RenderOptions, source: Source, info: GeneratorInfo) -> Session:
    """The session with what the options say about the clip; without a session a clip shows a drag, if it can."""
    capture = session.capture
    motion = options.motion
    if motion is None and source.session == Session():
        motion = 'drag' if info.why_not('transform') is None else 'latents'
    motion = motion or capture.motion
    if motion in ('drag', 'turn'):
        _need('transform', info)
    if motion == 'animations' and not is_animating(session):
        raise ValueError('Nothing is animated in this session, so there is no motion; choose another --motion.')
    capture = replace(
        capture,
        motion=motion,
        seconds=options.seconds or capture.seconds,
        frames_per_second=options.frames_per_second or capture.frames_per_second,
    )
    return replace(session, capture=capture)


def _write_picture(renderer: Renderer, request: RenderRequest, out: Path, session: Session) -> dict[str, Any]:
    result = renderer.render(request)
    assert result.image is not None
    save_png(out, result.image, shared_text(session))
    return _described(result)


def _write_tensor(renderer: Renderer, request: RenderRequest, options: RenderOptions) -> dict[str, Any]:
    """The tensor itself, all channels or the chosen ones, as .npy or .exr."""
    x = renderer.tensor(request)
    values = x[list(options.channels)] if options.channels else x
    array = np.ascontiguousarray(values.float().cpu().numpy())
    if options.out.suffix.lower() == '.npy':
        data = io.BytesIO()
        np.save(data, array, allow_pickle=False)
        write_file(options.out, data.getvalue())
    else:
        _write_exr(options.out, array, options.channels or tuple(range(len(array))))
    return {'shape': list(array.shape), 'dtype': 'float32'}


def _write_exr(path: Path, array: np.ndarray, channels: tuple[int, ...]) -> None:
    """`array` [channels, height, width] as OpenEXR: R, G, B for three, Y for one, else C000, C001, …"""
    try:
        import OpenEXR
    except ImportError as error:
        raise BadFile('no-exr', f'.exr needs the package OpenEXR ({error}); install it, or write .npy.') from None
    names = {1: ('Y',), 3: ('R', 'G', 'B')}.get(len(array), tuple(f'C{channel:04d}' for channel in channels))
    header = {'compression': OpenEXR.ZIP_COMPRESSION, 'type': OpenEXR.scanlineimage}
    planes = dict(zip(names, array, strict=True))
    _write_beside(path, lambda temporary: OpenEXR.File(header, planes).write(str(temporary)))


def _write_beside(path: Path, write: Callable[[Path], None]) -> None:
    """Let a library write a file, and move it to `path` when it is complete. Raises `BadFile`."""
    temporary = path.with_name(f'.{path.stem[:80]}.{os.getpid()}-{secrets.token_hex(4)}.tmp{path.suffix}')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, 'strerror', None) or shown(error, limit=90)
        raise BadFile('cannot-write', f'{shown(path)} cannot be written ({reason}); choose another folder.') from None
    finally:
        with suppress(OSError):
            temporary.unlink()


def _write_clip(renderer: Renderer, session: Session, options: RenderOptions, info: GeneratorInfo) -> dict[str, Any]:
    requests = [_with_view(request, session, options, info) for request in clip_requests(session)]
    rate = session.capture.frames_per_second
    job = clip(
        renderer,
        requests=requests,
        path=options.out,
        frames_per_second=rate,
        session_text=shared_text(session),
    )
    with progress_bar() as report:
        run_to_end(job, lambda progress: report(progress.fraction, progress.text))
    return {'frames': len(requests), 'frames_per_second': rate, 'motion': session.capture.motion}


def _described(result: RenderResult) -> dict[str, Any]:
    """What the JSON says about a picture, beside the request."""
    for note in result.notes:
        if ': ' not in note or ' ' in note.partition(': ')[0]:  # those about operators are no news
            say(note)
    if result.statistics is not None and result.statistics.nan_count:
        say(f'{result.statistics.nan_count} values are NaN; they are shown in magenta.')
    return {
        'statistics': None if result.statistics is None else _finite(asdict(result.statistics)),
        'notes': list(result.notes),
        'device': result.device,
    }


def _write_record(record: dict[str, Any], session: Session, options: RenderOptions) -> None:
    """The JSON beside the output. It can be opened like a session."""
    target = options.out.with_suffix('.json')
    if target.exists() and not _belongs_to(target, options.out.name):
        target = options.out.with_name(options.out.name + '.json')  # never over what is something else's
    whole = {'format': REQUEST_FORMAT, 'version': 1, **record, 'session': json.loads(shared_text(session))}
    text = json.dumps(whole, indent=1, allow_nan=False, ensure_ascii=False)
    write_file(target, text.encode('utf-8'))


def _belongs_to(record: Path, output: str) -> bool:
    """Whether a JSON file is the record of an output of that name, so that a new one may replace it."""
    try:
        with open(record, 'rb') as file:
            found = parse_json(file.read(MAX_BYTES + 1))
    except (OSError, BadFile):
        return False
    return isinstance(found, dict) and found.get('format') == REQUEST_FORMAT and found.get('output') == output


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """With None for what JSON cannot say."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()
    }

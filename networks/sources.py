"""What a person may write where a model is wanted: a file, a run directory, `demo:NAME`, `random-face:`, or their own
function."""

import importlib
import re
from pathlib import Path

import torch
from torch import nn

from networks.adapters import random_face
from networks.adapters.base import Inspectable
from networks.adapters.wrap import wrap
from networks.bad_file import BadFile, shown
from networks.checkpoint import load_generator
from networks.files.mapped import Progress

DEMO_FOLDER = Path(__file__).parent / 'demo'
DEFAULT_DEMO = 'ground-64'
TWINS = ('aliased', 'alias-free')
"""`demo:aliased` and `demo:alias-free`: two generators of the same images, one whose texture sticks and one whose does not."""
RANDOM_FACE = 'random-face:'
"""The generator of that installed package."""

_FUNCTION = re.compile(r'[A-Za-z_]\w+(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*')
_DEMO_NAME = re.compile(r'[A-Za-z0-9_-]{1,64}')
_SNAPSHOT = re.compile(r'snapshot-(\d{1,12}(?:-\d{3})?)\.safetensors')
_OFFICIAL_SNAPSHOT = re.compile(r'network-snapshot-(\d{1,12})\.pkl')


def open_model(
    path_text: str,
    device: torch.device | str = 'cpu',
    *,
    allow_code: bool = False,
    network: str = 'G_ema',
    on_progress: Progress | None = None,
) -> Inspectable:
    """The generator that `path_text` names, on `device`. Raises BadFile.

    `allow_code`: whether `package.module:function` may import and call the user's own code. Only true for what the
    user typed; never for a path that came out of a file (a session, a picture) or was dropped on the window.
    """
    if is_function(path_text):
        return _from_function(path_text, torch.device(device), allow_code=allow_code)
    if path_text == RANDOM_FACE:
        face = random_face.load_random_face()
        face.module.to(device)
        return face
    return load_generator(resolve(path_text), device, network=network, on_progress=on_progress)


def is_function(path_text: str) -> bool:
    """Whether `path_text` has the form `package.module:function` and is not the name of a file."""
    named = _FUNCTION.fullmatch(path_text) is not None and not path_text.startswith('demo:')
    return named and not Path(path_text).exists()


def resolve(path_text: str) -> Path:
    """The model file that `path_text` (file, run directory, `demo:NAME`, `random-face:`) names. Raises BadFile."""
    if path_text == RANDOM_FACE:
        return random_face.weights_file()
    if path_text == 'demo:' or path_text.startswith('demo:'):
        return _demo(path_text.removeprefix('demo:') or DEFAULT_DEMO)
    path = Path(path_text).expanduser()
    try:
        return newest_snapshot(path) if path.is_dir() else path
    except (OSError, ValueError) as error:
        raise BadFile('unreadable', f'{shown(path_text)} cannot be read ({shown(error)}); check the path.') from None


def newest_snapshot(folder: Path) -> Path:
    """The newest model in a run directory: the highest numbered snapshot of ours, else latest.safetensors, else the
    highest numbered official snapshot. Raises BadFile when there is none.
    """
    names = sorted(entry.name for entry in folder.iterdir())
    for pattern in (_SNAPSHOT, re.compile(r'(latest)\.safetensors'), _OFFICIAL_SNAPSHOT):
        found = [match for name in names if (match := pattern.fullmatch(name))]
        if found:
            return folder / max(found, key=lambda match: _place(match[1]))[0]
    raise BadFile(
        'no-snapshot',
        f'The folder {shown(folder.name or folder)} holds no snapshot (snapshot-*.safetensors, latest.safetensors or '
        'network-snapshot-*.pkl); open the folder of a training run, or a model file.',
    )


def _place(number: str) -> tuple[int, ...]:
    """'000050' -> (50,), '000050-128' -> (50, 128), which is later; () for what is no number."""
    return tuple(int(part) for part in number.split('-') if part.isdigit())


def _demo(name: str) -> Path:
    path = DEMO_FOLDER / (f'twin-{name}.safetensors' if name in TWINS else f'{name}.safetensors')
    if _DEMO_NAME.fullmatch(name) and path.is_file():
        return path
    known = ', '.join(sorted(found.stem.removeprefix('twin-') for found in DEMO_FOLDER.glob('*.safetensors'))) or 'none'
    raise BadFile('no-demo', f'There is no bundled model "demo:{shown(name)}"; there are: {known}.')


def _from_function(path_text: str, device: torch.device, *, allow_code: bool) -> Inspectable:
    """What the user's own function makes."""
    module_name, function_name = path_text.split(':')
    if not allow_code:
        raise BadFile(
            'code',
            f'{shown(path_text)} names Python code, which only runs when you type it on the command line; '
            'it did not come from there, so nothing was run.',
        )
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        raise BadFile('no-function', f'{shown(path_text)} cannot be imported ({shown(error, limit=90)}).') from error
    made = function()
    if isinstance(made, Inspectable):
        made.module.to(device)
        return made
    if isinstance(made, nn.Module):
        try:
            return wrap(made.to(device), title=path_text)
        except ValueError as error:
            raise BadFile('bad-function', f'{shown(path_text)}: {error}') from error
    raise BadFile(
        'bad-function',
        f'{shown(path_text)} returned a {type(made).__name__}; it must return a torch module or an Inspectable.',
    )

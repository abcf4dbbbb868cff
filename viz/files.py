"""Where the window keeps its things: the session between two starts, captures, the arrangement of panels."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from render.result import GeneratorInfo
from render.session import Session
from viz.hints import layer_label, nearest_seed

SESSION_FILE = 'session.json'
LAYOUT_FILE = 'layout.ini'


def config_folder() -> Path:
    """The user's folder for this program's settings, as the operating system wants it; it need not exist."""
    if sys.platform == 'win32':
        return Path(os.environ.get('APPDATA') or Path.home() / 'AppData/Roaming') / 'AliasScope'
    if sys.platform == 'darwin':
        return Path.home() / 'Library/Application Support/AliasScope'
    return Path(os.environ.get('XDG_CONFIG_HOME') or Path.home() / '.config') / 'aliasscope'


def capture_path(session: Session, model: GeneratorInfo | None, ending: str, *, what: str = '') -> Path:
    """A file in the capture folder that does not exist yet, named after what it shows."""
    side = session.current
    parts = [
        slug(model.title) if model else 'aliasscope',
        f'seed{nearest_seed(side.latent)}',
        what or slug(layer_label(side, model)),
    ]
    folder, stem = Path(session.capture.folder).expanduser(), '-'.join(part for part in parts if part)
    number = 1
    while (path := folder / f'{stem}-{number:03d}{ending}').exists():
        number += 1
    return path


def slug(text: str) -> str:
    """`text` as part of a file name."""
    return re.sub(r'[^a-z0-9]+', '-', text.lower()).strip('-')[:40]

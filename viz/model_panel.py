"""Which generator: opening, what was read, what it is."""

from __future__ import annotations

from dataclasses import replace

from gui_utils import widgets
from gui_utils.widgets import FileType
from render.request import ModelKey
from render.result import GeneratorInfo
from render.session import Session
from viz.commands import CancelOpening, OpenPath
from viz.editing import with_side
from viz.hints import short_path
from viz.view import Desk

OPENABLE = (
    FileType('Models, sessions, pictures', ('.pkl', '.safetensors', '.json', '.png', '.mp4')),
    FileType('Models', ('.pkl', '.safetensors')),
)
NETWORKS = {'G_ema': 'G_ema', 'G': 'G'}
NETWORK_TIP = 'G_ema: the average of the generator over training, as used for pictures. G: as it was trained.'


def model_panel(session: Session, desk: Desk) -> Session:
    """Open a generator and read what it is; returns the session with another network chosen, or the same."""
    key, model = session.current.model, desk.model
    _open_rows(session, desk)
    if desk.view.opening is not None:
        task = desk.view.opening
        if widgets.progress(task.fraction, task.text or task.title):
            desk.ask(CancelOpening())
    if key is None or model is None:
        if desk.view.opening is None:
            widgets.text_muted(
                'No generator is open. Drop a file on the window, choose one above, or type demo: and Enter.'
            )
        return session
    session = _network_row(session, key)
    _card(model)
    for note in model.notes:
        widgets.text_muted(note)
    with widgets.section('Details', open=True) as is_open:
        if is_open:
            widgets.property_table(detail_rows(model, key))
    return session


def _open_rows(session: Session, desk: Desk) -> None:
    shown = session.current.model.path if session.current.model else ''
    typed = widgets.path_input(
        'Open', shown, desk.dialog, types=OPENABLE, hint='File, folder or demo:',
        tooltip='A model, a run folder, a session, or a picture that carries one. Or drop it on the window.',
    )  # fmt: skip
    if typed and typed != shown:
        desk.ask(OpenPath(typed))
    if session.recent:
        options = {'': 'Choose …', **{path: short_path(path) for path in session.recent}}
        chosen = widgets.combo('Recent', '', options, tooltip='What was opened before.')
        if chosen:
            desk.ask(OpenPath(chosen))


def _network_row(session: Session, key: ModelKey) -> Session:
    network = widgets.segmented('Network', key.network, NETWORKS, tooltip=NETWORK_TIP)
    if network == key.network:
        return session
    return with_side(session, replace(session.current, model=replace(key, network=network)))


def _card(model: GeneratorInfo) -> None:
    widgets.heading(model.title, wraps=True)
    classes = f', {model.class_count} classes' if model.class_count else ''
    widgets.text_muted(
        f'{model.resolution} pixels, {len(model.layers)} layers, {count_text(model.parameters)} parameters{classes}'
    )


def count_text(count: int) -> str:
    """A large number for people: '23.3 million'."""
    if count >= 1_000_000:
        return f'{count / 1e6:.1f} million'
    return f'{count:,}'


def detail_rows(model: GeneratorInfo, key: ModelKey) -> list[tuple[str, str]]:
    """Names and values of everything that is known about the generator."""
    rows = [
        ('File', key.path),
        ('SHA-256', key.sha256),
        *([('Made from', model.origin)] if model.origin else []),
        ('Family', model.family),
        ('Parameters', f'{model.parameters:,}'),
        ('Latent', f'z {model.z_dim}, w {model.w_dim}, {model.num_ws} rows'),
        ('Can', ', '.join(sorted(name.replace('_', ' ') for name in model.capabilities)) or 'nothing but render'),
    ]
    return rows + [(name, str(value)) for name, value in model.config]

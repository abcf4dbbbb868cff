"""What a person may open, on the command line: a model by itself, or a session that names one. No torch."""

from dataclasses import dataclass, replace
from pathlib import Path

from networks.bad_file import BadFile, shown
from render.png_session import load_carried_session
from render.request import ModelKey
from render.session import Session
from render.session_file import load_session

_PICTURES = ('.png', '.mp4')


@dataclass(frozen=True, slots=True)
class Source:
    """A model to open, and the choices to begin with."""

    path: str
    network: str
    session: Session
    """Its active side has no model yet if PATH named a model."""
    allow_code: bool
    """The path was typed, so it may name the user's own function."""
    remarks: tuple[str, ...] = ()
    wanted: ModelKey | None = None
    """The content that a session was made with."""


def find_source(path: str, *, session_file: Path | None = None, network: str | None = None) -> Source:
    """What `path` (model, session .json, PNG or MP4 with a session) stands for.

    `session_file`: choices to begin with, whose model is replaced by that of `path`. Raises `BadFile`.
    """
    session, remarks = (Session(), ()) if session_file is None else load_session(session_file)
    suffix = Path(path).suffix.lower()
    if suffix != '.json' and suffix not in _PICTURES:
        return Source(path, network or 'G_ema', session, allow_code=True, remarks=remarks)
    carried, more = load_session(path) if suffix == '.json' else load_carried_session(path)
    model = carried.current.model
    if model is None:
        raise BadFile('no-model', f'{shown(Path(path).name)} is a session without a model; open a model first.')
    chosen = carried if session_file is None else session
    return Source(
        path=_beside(model.path, Path(path)),
        network=network or model.network,
        session=chosen,
        allow_code=False,
        remarks=(*remarks, *more),
        wanted=model,
    )


def with_model(source: Source, key: ModelKey) -> Session:
    """The session of `source` on the model that was opened."""
    return source.session.with_current(replace(source.session.current, model=key))


def _beside(model: str, session: Path) -> str:
    """The model's path as it stands, or else beside the session: both may have been moved together."""
    moved = session.parent / Path(model).name
    named_otherwise = model.startswith('demo:') or Path(model).exists()
    return model if named_otherwise or not moved.exists() else str(moved)

"""Sessions as JSON: bounded before they are parsed, checked value by value, written so that a crash leaves the old file.

session, remarks = load_session(path)       # BadFile if nothing can be used; remarks say what was not
save_session(path, session)
"""

import json
import math
import os
import types
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from networks.bad_file import BadFile, shown
from networks.files.atomic import write_atomically
from render.session import SEED_LIMIT, Session

FORMAT = 'aliasscope session'
REQUEST_FORMAT = 'aliasscope request'
"""Of the JSON beside a rendered picture, which holds a session."""
VERSION = 1
MAX_BYTES = 4 << 20
MAX_DEPTH = 32
MAX_DIGITS = 18
MAX_TEXT = 4096
MAX_ITEMS = 1024
MAX_REMARKS = 20
_LARGEST = 1e6
"""Of any number that has no range of its own."""
_RANGES: dict[str, tuple[float, float]] = {
    'x': (-1e7, 1e7),
    'y': (-3e7, 3e7),
    'speed': (-100, 100),
    'scale': (0.01, 100),
    'seed': (0, SEED_LIMIT - 1),
    'class_index': (0, 1e6),
    'channel': (0, 1e6),
    'gain_db': (-200, 200),
    'kaiser_beta': (0, 50),
    'average_count': (1, 100_000),
    'waterfall_count': (1, 1024),
    'zoom': (1e-3, 1e4),
    'seconds': (0.01, 3600),
    'frames_per_second': (1, 240),
    'psi': (-10, 10),
    'start_x': (0, 1),
    'start_y': (0, 1),
    'end_x': (0, 1),
    'end_y': (0, 1),
    'walk_frames': (0, 4096),
    'walk_stops': (0, 256),
    'neighbours': (0, 4096),
    'radius': (0, 1),
    'patterns': (0, 4096),
    'moves': (0, 4096),
    'taps': (1, 64),
    'oversampling': (1, 8),
    'factor': (1, 8),
    'margin': (0, 64),
    'wipe': (0, 1),
}
"""By field name: outside, a number is as bad as a word would be."""
T = TypeVar('T')


def load_session(path: Path | str) -> tuple[Session, tuple[str, ...]]:
    """The session in the JSON file at `path`, and remarks on what in it was not used. Raises `BadFile`."""
    path = Path(path)
    try:
        with open(path, 'rb') as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or str(error)
        raise BadFile('unreadable', f'{shown(path.name)} cannot be read ({shown(reason)}); check the path.') from None
    try:
        return session_from_bytes(data)
    except BadFile as error:
        raise error.named(path.name) from None


def recover_session(path: Path | str) -> tuple[Session, tuple[str, ...]]:
    """`load_session` for the program's own autosave: a file that cannot be used is kept aside as '.bad', and a fresh
    session comes back with the sentence. A missing file is a fresh session without a word."""
    path = Path(path)
    if not path.exists():
        return Session(), ()
    try:
        return load_session(path)
    except BadFile as error:
        aside = path.with_name(path.name + '.bad')
        try:
            os.replace(path, aside)
        except OSError:
            return Session(), (str(error),)
        return Session(), (f'{error} It was kept as {shown(aside.name)}.',)


def save_session(path: Path | str, session: Session) -> None:
    """Write `session` to `path` by a temporary file and a rename. Raises `BadFile` when that is not possible."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, [session_text(session).encode('utf-8')])
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadFile('cannot-write', f'{shown(path)} cannot be written ({reason}); choose another folder.') from error


def session_text(session: Session) -> str:
    """`session` as JSON: what a file, a PNG or an MP4 carries."""
    return json.dumps(
        {'format': FORMAT, 'version': VERSION, **asdict(session)}, indent=1, allow_nan=False, ensure_ascii=False
    )


def session_from_bytes(data: bytes) -> tuple[Session, tuple[str, ...]]:
    """The session in JSON text, and remarks. Raises `BadFile` when it is no session."""
    tree = parse_json(data)
    if not isinstance(tree, dict):
        raise BadFile('not-a-session', 'The file holds no session; open a session that this program saved.')
    if tree.get('format') == REQUEST_FORMAT and isinstance(tree.get('session'), dict):
        tree = tree['session']  # the JSON beside a rendered picture
    known = {field.name for field in fields(Session)}
    if tree.get('format', FORMAT) != FORMAT or not known & tree.keys():
        raise BadFile('not-a-session', 'The file holds JSON, but no session; open one that this program saved.')
    remarks: list[str] = []
    body = {name: value for name, value in tree.items() if name not in ('format', 'version')}
    session = from_json(Session, body, remarks)
    if len(remarks) > MAX_REMARKS:
        remarks = [*remarks[:MAX_REMARKS], f'… and {len(remarks) - MAX_REMARKS} more.']
    return session, tuple(remarks)


def parse_json(data: bytes) -> Any:
    """The value in JSON text. Raises `BadFile` for what is too large, too deep, or no strict JSON.

    Refused: more than `MAX_BYTES`, `MAX_DEPTH` levels, NaN and infinities (also as 1e999), duplicate keys, integers of more
    than `MAX_DIGITS` digits.
    """
    if len(data) > MAX_BYTES:
        raise BadFile('too-big', f'The file is larger than {MAX_BYTES >> 20} MB, which no session is.')
    try:
        text = data.decode('utf-8-sig')
    except UnicodeDecodeError:
        raise BadFile('not-json', 'The file is not text; open a session that this program saved.') from None
    if _depth(text) > MAX_DEPTH:
        raise BadFile('too-deep', f'The file is nested more than {MAX_DEPTH} levels deep, which no session is.')
    try:
        return json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_int=_integer,
            parse_float=_finite,
        )
    except ValueError as error:
        where = f'line {error.lineno}' if isinstance(error, json.JSONDecodeError) else str(error)
        raise BadFile('not-json', f'The file is not valid JSON ({where}); it may be cut short.') from None


def from_json(kind: type[T], data: Any, remarks: list[str], where: str = '') -> T:
    """A dataclass from parsed JSON: unknown keys are ignored, bad values replaced by the default; `remarks` says so.

    Raises `ValueError` if `data` is no object, or lacks or spoils a value that has no default.
    """
    if not isinstance(data, dict):
        raise ValueError(f'{where or "the session"} must be an object')
    hints = get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    for name in data:
        if name not in known:
            remarks.append(f'{_path(where, shown(name))} is not known here and was ignored.')
    values = {}
    for name, field in known.items():
        if name not in data:
            if field.default is MISSING and field.default_factory is MISSING:
                raise ValueError(f'{_path(where, name)} is missing')
            continue
        try:
            values[name] = _value(hints[name], data[name], remarks, _path(where, name), name)
        except ValueError as error:
            if field.default is MISSING and field.default_factory is MISSING:
                raise
            remarks.append(f'{error}; the default was kept.')
    return kind(**values)


def _value(kind: Any, data: Any, remarks: list[str], where: str, name: str) -> Any:
    """`data` as a value of the annotated type `kind`; `ValueError` if it is none."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _union(kind, data, remarks, where, name)
    if origin is Literal:
        if data not in get_args(kind) or isinstance(data, bool):
            raise ValueError(f'{where} = {shown(data)} is none of {", ".join(map(str, get_args(kind)))}')
        return data
    if origin is tuple:
        return _tuple(kind, data, remarks, where, name)
    if is_dataclass(kind):
        return from_json(kind, data, remarks, where)  # type: ignore[arg-type]
    if kind is bool and isinstance(data, bool):
        return data
    if kind is str and isinstance(data, str):
        return _text(data, where)
    if kind in (int, float) and isinstance(data, (int, float)) and not isinstance(data, bool):
        return _number(kind, data, where, name)
    raise ValueError(f'{where} = {shown(data)} is not {_article(kind)}')


def _union(kind: Any, data: Any, remarks: list[str], where: str, name: str) -> Any:
    """None, or the one other type that our unions have."""
    if data is None:
        return None
    (other,) = [one for one in get_args(kind) if one is not type(None)]
    return _value(other, data, remarks, where, name)


def _tuple(kind: Any, data: Any, remarks: list[str], where: str, name: str) -> tuple[Any, ...]:
    """A list of up to `MAX_ITEMS` values of one type."""
    if not isinstance(data, list) or len(data) > MAX_ITEMS:
        raise ValueError(f'{where} = {shown(data)} is not a list of at most {MAX_ITEMS} values')
    (item, *_rest) = get_args(kind)
    return tuple(_value(item, one, remarks, f'{where}[{index}]', name) for index, one in enumerate(data))


def _text(data: str, where: str) -> str:
    if len(data) > MAX_TEXT or '\0' in data:
        raise ValueError(f'{where} is longer than {MAX_TEXT} characters or holds a NUL')
    try:
        data.encode('utf-8')
    except UnicodeEncodeError:
        raise ValueError(f'{where} is not valid text') from None
    return data


def _number(kind: type, data: float, where: str, name: str) -> float | int:
    low, high = _RANGES.get(name, (-_LARGEST, _LARGEST))
    if kind is int and isinstance(data, float):
        raise ValueError(f'{where} = {shown(data)} is not a whole number')
    if not (math.isfinite(data) and low <= data <= high):
        raise ValueError(f'{where} = {shown(data)} is outside {low:g} to {high:g}')
    return kind(data)


def _path(where: str, name: str) -> str:
    return f'{where}.{name}' if where else name


def _article(kind: Any) -> str:
    return {bool: 'true or false', str: 'a text', int: 'a whole number', float: 'a number'}.get(kind, str(kind))


def _depth(text: str) -> int:
    """How deep brackets nest outside strings; counted before any recursion can happen."""
    depth = deepest = 0
    in_string = escaped = False
    for character in text:
        if in_string:
            if escaped:
                escaped = False
            elif character == '\\':
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in '[{':
            depth += 1
            deepest = max(deepest, depth)
            if deepest > MAX_DEPTH:
                return deepest
        elif character in ']}':
            depth -= 1
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError('a key appears twice')
    return found


def _refuse_constant(text: str) -> None:
    raise ValueError(f'{text} is not a number here')


def _integer(text: str) -> int:
    if len(text.lstrip('-')) > MAX_DIGITS:
        raise ValueError(f'a number has more than {MAX_DIGITS} digits')
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f'{text[:20]} is too large')
    return value

"""Sessions as files: there and back, bounded, and never an exception of another kind."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from networks.bad_file import BadFile
from render.request import FilterEdit, FilterSpec, LayerOversampling, ModelKey
from render.session import (
    CanvasState,
    FilterState,
    LatentState,
    LayerState,
    MixingState,
    NoiseState,
    Session,
    Side,
    SpectrumState,
    TransformState,
    TruncationState,
    WindowState,
    filter_spec,
)
from render.session_file import (
    MAX_BYTES,
    MAX_DEPTH,
    load_session,
    parse_json,
    recover_session,
    save_session,
    session_from_bytes,
    session_text,
)

FULL = Session(
    a=Side(
        model=ModelKey('C:\\models\\größe 😀.pkl', 'f' * 64, 'G'),
        latent=LatentState(3.25, -7.5, 2, True, 1.5),
        truncation=TruncationState(0.7, 8),
        mixing=MixingState(True, 77, (0, 3, 5)),
        noise=NoiseState('random', 3, True),
        transform=TransformState(0.1, -0.2, 33.0, 1.5, 'rotate', 0.1),
        filters=FilterState(
            'lanczos',
            'up',
            ('synthesis.L1',),
            'synthesis.L2',
            'down',
            taps=8,
            oversampling=4,
            edits=(FilterEdit('synthesis.L2', 'down', 'jinc', 5, 12.5, 3.25), FilterEdit('synthesis.L3', 'up')),
            layer_oversampling=(LayerOversampling('synthesis.L4', 1),),
            margin=0,
            clamp=False,
            one_place=True,
        ),
        layer=LayerState('synthesis.L3', 'sheet', 4, gain_db=-6.0, normalize=False, colormap='magma'),
        spectrum=SpectrumState(False, 4.5, 3, 100, 'profiles'),
    ),
    b=Side(model=ModelKey('demo:ground', 'a' * 64)),
    active='b',
    link_view=False,
    canvas=CanvasState(2.0, 0.1, 0.2, True, True, False, True),
    window=WindowState(('Filters',), True, 1.5),
    follow='runs/00003',
    recent=('a.pkl', 'b c.pkl'),
)


@pytest.mark.parametrize('session', [Session(), FULL])
def test_a_session_comes_back_as_it_was(session: Session, tmp_path: Path):
    save_session(tmp_path / 'new folder' / 's.json', session)
    assert load_session(tmp_path / 'new folder' / 's.json') == (session, ())


def test_unknown_keys_are_ignored_and_said():
    data = json.loads(session_text(FULL))
    data['a']['latent']['hat'] = 1
    data['shoes'] = {}
    session, remarks = session_from_bytes(json.dumps(data).encode())
    assert session == FULL
    assert sorted(remark.split(' ')[0] for remark in remarks) == ['a.latent.hat', 'shoes']


def test_missing_keys_are_defaults_without_a_word():
    assert session_from_bytes(b'{"a": {"latent": {"x": 3}}}') == (Session(a=Side(latent=LatentState(x=3.0))), ())


@pytest.mark.parametrize(
    ('where', 'value'),
    [
        ('a.latent.x', 'three'),
        ('a.latent.x', True),
        ('a.latent.x', None),
        ('a.latent.class_index', -1),
        ('a.latent.animate', 1),
        ('a.mixing.layers', [1, 'two']),
        ('a.mixing.layers', [1] * 2000),
        ('a.mixing.seed', 2**31),
        ('a.mixing.seed', 1.5),
        ('a.noise.mode', 'loud'),
        ('a.transform.scale', 0),
        ('a.spectrum.average_count', 10**12),
        ('a.layer.layer', 'x' * 5000),
        ('a.layer.layer', '\ud800'),
        ('a.model', {'path': 'x'}),
        ('a.filters', []),
        ('capture.frames_per_second', 0),
        ('active', 'c'),
        ('b', 7),
        ('recent', 'abc'),
    ],
)
def test_a_bad_value_keeps_its_default_and_is_said(where: str, value: object):
    data = json.loads(session_text(Session()))
    *path, name = where.split('.')
    inner = data
    for step in path:
        inner = inner[step]
    inner[name] = value
    session, remarks = session_from_bytes(json.dumps(data).encode())
    assert session == Session() and len(remarks) == 1 and remarks[0].startswith(where) and 'default' in remarks[0]


@pytest.mark.parametrize(
    ('data', 'code'),
    [
        (b'', 'not-json'),
        (b'\xff\xfe', 'not-json'),
        (b'\x89PNG\r\n', 'not-json'),
        (b'[]', 'not-a-session'),
        (b'3', 'not-a-session'),
        (b'{}', 'not-a-session'),
        (b'{"name": "package.json"}', 'not-a-session'),
        (b'{"format": "other", "a": {}}', 'not-a-session'),
        (b'{"a": {"latent": {"x": NaN}}}', 'not-json'),
        (b'{"a": {"latent": {"x": -Infinity}}}', 'not-json'),
        (b'{"a": {"latent": {"x": 1e999}}}', 'not-json'),
        (b'{"a": {"latent": {"x": ' + b'9' * 19 + b'}}}', 'not-json'),
        (b'{"a": {}, "a": {}}', 'not-json'),
        (b'{"a": {}', 'not-json'),
        (b'{"a": ' + b'[' * 100_000 + b'}', 'too-deep'),
        (b'{"a": "' + b'x' * MAX_BYTES + b'"}', 'too-big'),
    ],
)
def test_a_file_that_is_no_session_is_one_sentence(data: bytes, code: str, tmp_path: Path):
    path = tmp_path / 'mine.json'
    path.write_bytes(data)
    with pytest.raises(BadFile) as found:
        load_session(path)
    assert found.value.code == code
    assert str(found.value).startswith('mine.json') and '\n' not in str(found.value)


def test_brackets_inside_text_are_not_depth():
    assert parse_json(json.dumps({'a': '[' * 100 + '\\"' + '{' * 100}).encode()) == {'a': '[' * 100 + '\\"' + '{' * 100}
    nested = '[' * MAX_DEPTH + ']' * MAX_DEPTH
    assert parse_json(nested.encode())
    with pytest.raises(BadFile, match='deep'):
        parse_json(f'[{nested}]'.encode())


def test_a_missing_file_is_one_sentence(tmp_path: Path):
    with pytest.raises(BadFile, match=r'nowhere\.json cannot be read'):
        load_session(tmp_path / 'nowhere.json')


def test_a_damaged_autosave_is_kept_aside(tmp_path: Path):
    path = tmp_path / 'session.json'
    assert recover_session(path) == (Session(), ())
    path.write_bytes(b'{"a": {')
    session, remarks = recover_session(path)
    assert session == Session() and 'session.json.bad' in remarks[0]
    assert not path.exists() and (tmp_path / 'session.json.bad').read_bytes() == b'{"a": {'
    save_session(path, FULL)
    assert recover_session(path) == (FULL, ())


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch):
    path = tmp_path / 's.json'
    save_session(path, FULL)

    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('os.replace', full)
    with pytest.raises(BadFile, match='No space left'):
        save_session(path, Session())
    monkeypatch.undo()
    assert load_session(path)[0] == FULL and [one.name for one in tmp_path.iterdir()] == ['s.json']


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(BadFile, match='cannot be written'):
        save_session(tmp_path / 'file' / 's.json', Session())


def test_a_mutated_session_never_raises_anything_else():
    """Bytes flipped, cut, doubled and swapped: a session, or one `BadFile`."""
    draw = random.Random(20240611)
    original = session_text(FULL).encode()
    outcomes = {'session': 0, 'refused': 0}
    for _ in range(600):
        data = bytearray(original)
        for _ in range(draw.randint(1, 6)):
            start = draw.randrange(len(data))
            end = min(start + draw.randint(1, 40), len(data))
            choice = draw.randrange(4)
            if choice == 0:
                data[start] = draw.randrange(256)
            elif choice == 1:
                del data[start:end]
            elif choice == 2:
                data[start:start] = data[draw.randrange(len(data)) :][: end - start]
            else:
                data[start:end] = draw.choice([b'null', b'-1', b'1e30', b'[]', b'{}', b'"x"', b'true', b'99999999999'])
        outcomes[_outcome(bytes(data))] += 1
    assert min(outcomes.values()) > 5, outcomes


def test_swapped_values_never_raise_anything_else():
    """Valid JSON with values of every kind in every place is a session with remarks."""
    draw = random.Random(7)
    values = [None, True, -1, 0, 1e300, -0.5, '', 'sinc', [], [[]], {}, {'x': []}, 10**17, ['a', None]]
    for _ in range(400):
        data = json.loads(session_text(FULL))
        for _ in range(draw.randint(1, 4)):
            inner = data
            while isinstance(inner, dict) and inner:
                name = draw.choice(list(inner))
                if not isinstance(inner[name], dict) or draw.random() < 0.2:
                    inner[name] = draw.choice(values)
                    break
                inner = inner[name]
        assert _outcome(json.dumps(data).encode()) in ('session', 'refused')


def _outcome(data: bytes) -> str:
    try:
        session, remarks = session_from_bytes(data)
    except BadFile as error:
        assert '\n' not in str(error) and len(str(error)) <= 240
        return 'refused'
    assert isinstance(session, Session) and all('\n' not in remark for remark in remarks)
    assert session_from_bytes(session_text(session).encode()) == (session, ())
    return 'session'


def test_text_of_a_session_holds_no_secrets_of_python():
    """`asdict` of the session, plain JSON: other programs can read it."""
    data = json.loads(session_text(replace(FULL, b=None)))
    assert data['a']['latent']['x'] == 3.25 and data['b'] is None and data['format'] == 'aliasscope session'


def test_filters_with_numbers_out_of_range_keep_the_rest():
    edit = {'layer': 'synthesis.L2', 'direction': 'down', 'kind': 'sinc', 'taps': 4000, 'cutoff': 12.5}
    data = {'a': {'filters': {'kind': 'jinc', 'margin': -1, 'oversampling': 2.5, 'edits': [edit]}}}
    session, remarks = session_from_bytes(json.dumps(data).encode())
    assert session.a.filters == FilterState('jinc', edits=(FilterEdit('synthesis.L2', 'down', 'sinc', cutoff=12.5),))
    assert len(remarks) == 3 and any('taps = 4000 is outside 1 to 64' in remark for remark in remarks)


def test_a_session_of_the_first_version_still_asks_for_its_filters():
    """As it was written before there were single places: the keys and the meaning are the same."""
    data = {
        'a': {'filters': {'kind': 'bilinear', 'direction': 'up', 'layers': ['synthesis.L1'], 'response_layer': None}}
    }
    session, remarks = session_from_bytes(json.dumps(data).encode())
    assert filter_spec(session.a.filters) == FilterSpec('bilinear', 'up', ('synthesis.L1',)) and not remarks

"""Our implementation against the goldens in the repository, and the runner against damaged fixtures."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from ops.backend import BackendName, use_backend
from tests.golden.__main__ import main
from tests.golden.compare import compare
from tests.golden.runner import load_handlers, run_folder

DATA = Path(__file__).parent / 'golden' / 'data'
COMPLETE = Path(__file__).parents[2] / 'shared' / 'golden' / 'official'
KINDS = sorted({entry['kind'] for entry in json.loads((DATA / 'manifest.json').read_text())['entries']})
MAKE = (
    "python -m tests.golden.subset ../shared/golden/official tests/golden/data --max-bytes 1950000 --skip 'formula_*' "
    "--favour 'sg?.Generator' --favour sg3.SynthesisLayer --favour sg2.Discriminator --favour augment"
)
"""How the stored goldens were chosen."""
TOO_SLOW = {'formula_generator', 'formula_discriminator'}
"""Networks of full size: only in the complete set."""
OPERATORS = (
    'bias_act', 'conv2d_resample', 'downsample2d', 'filter2d', 'filtered_lrelu', 'sg2.Discriminator', 'sg2.Generator',
    'sg2.modulated_conv2d', 'sg3.Generator', 'sg3.SynthesisLayer', 'sg3.modulated_conv2d', 'upfirdn2d', 'upsample2d',
)  # fmt: skip
"""Kinds that ask the dispatch."""


@pytest.mark.parametrize('kind', [*KINDS, 'schedules'])
def test_every_case_of_the_stored_goldens_agrees(kind: str):
    with use_backend('reference'):
        outcomes = list(run_folder(DATA, kind))
    assert outcomes
    assert [outcome.line() for outcome in outcomes if not outcome.passed] == []


@pytest.mark.parametrize('backend', ['torch', 'cpu'])
@pytest.mark.parametrize('kind', OPERATORS)
def test_every_other_backend_agrees_as_well(kind: str, backend: BackendName):
    with use_backend(backend):
        outcomes = list(run_folder(DATA, kind))
    assert outcomes
    assert [outcome.line() for outcome in outcomes if not outcome.passed] == []


def test_every_kind_we_answer_is_among_the_stored_goldens():
    handlers, _, broken = load_handlers()
    assert broken == ()
    assert set(handlers) - set(KINDS) == TOO_SLOW, f'choose the stored goldens anew: {MAKE}'


def test_the_stored_goldens_leave_room_for_other_data_in_the_repository():
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 2_000_000


@pytest.mark.slow
@pytest.mark.skipif(not COMPLETE.is_dir(), reason=f'the complete goldens are not at {COMPLETE}')
@pytest.mark.parametrize('backend', ['reference', 'torch', 'cpu'])
def test_every_case_of_the_complete_goldens_that_we_answer_agrees(backend):
    with use_backend(backend):
        outcomes = list(run_folder(COMPLETE))
    wrong = [one.line() for one in outcomes if not one.passed and not one.reason.startswith('not yet')]
    assert wrong == []
    assert sum(one.passed for one in outcomes) >= 417


# The runner itself, on a fixture of one operator that is then damaged.


def write(folder: Path, tensors: Mapping[str, Tensor], case: Mapping[str, Any], **entry: Any) -> Path:
    """A folder with one case `act/one` of y = 2 x, whose parts can be replaced."""
    values = {'x': torch.tensor([1.0, 2.0]), 'y': torch.tensor([2.0, 4.0]), **tensors}
    save_file(values, folder / 'all.safetensors')
    whole = {
        'id': 'one',
        'args': {'act': 'linear', 'gain': 2, 'dim': 0},
        'inputs': {'x': 'x'},
        'outputs': {'y': 'y'},
        'tolerance': {'y': {'atol': 1e-6, 'rtol': 0}},
        **case,
    }
    entries = [{'id': 'act', 'kind': 'bias_act', 'file': 'all.safetensors', 'config': {}, 'cases': [whole], **entry}]
    (folder / 'manifest.json').write_text(json.dumps({'format': 'stylegan-golden', 'entries': entries}))
    return folder


def report(folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, list[str]]:
    """Exit code and lines of a run."""
    code = main([str(folder), *options])
    return code, capsys.readouterr().out.splitlines()


def test_a_passing_case_is_a_line_and_the_count_stands_alone_at_the_end(tmp_path, capsys):
    code, lines = report(write(tmp_path, {}, {}), capsys)
    assert code == 0
    assert lines[0].split() == ['ok', 'act/one', 'error', '0,', 'tolerance', '1e-06', '(y)']
    assert lines[1:] == ['1 passed, 0 failed']


@pytest.mark.parametrize(
    ('tensors', 'case', 'entry', 'words'),
    [
        (
            {'y': torch.tensor([2.0, 4.1])},
            {},
            {},
            'error 0.1, tolerance 1e-06 (y); y: 1 of 2 values are beyond the tolerance',
        ),
        ({'y': torch.zeros(3)}, {}, {}, 'the shape is (2,), not (3,)'),
        ({'x': torch.tensor([1.0, math.nan])}, {}, {}, 'the result holds 1 NaN of 2 values'),
        ({'y': torch.tensor([2.0, math.nan])}, {}, {}, 'the golden holds 1 NaN of 2 values'),
        ({}, {'args': {'act': 'gelu'}}, {}, "ValueError: there is no activation 'gelu'"),
        ({}, {'inputs': {'x': 'z'}}, {}, "all.safetensors holds no readable tensor 'z'"),
        ({}, {'outputs': {'z': 'y'}}, {}, 'z: our implementation does not return it'),
        ({}, {'outputs': {}}, {}, 'the manifest names no output'),
        ({}, {'tolerance': {}}, {}, "KeyError: 'y'"),
        ({}, {'returns_none': True}, {}, 'the result must be None'),
        ({}, {}, {'kind': 'origami'}, 'not yet: nothing of ours answers the kind origami'),
        ({}, {}, {'file': 'gone.safetensors'}, 'the file gone.safetensors is missing'),
        ({}, {}, {'state_from': 'nobody'}, "the entry 'nobody', whose state is to be used, is not in the manifest"),
    ],
)
def test_whatever_is_wrong_with_a_case_fails_it_in_one_line(tmp_path, capsys, tensors, case, entry, words: str):
    code, lines = report(write(tmp_path, tensors, case, **entry), capsys)
    assert code == 1
    assert lines[0].startswith('FAIL act/one') and words in lines[0]
    assert lines[1:] == ['0 passed, 1 failed']


def test_a_file_of_tensors_that_is_cut_short_fails_its_cases(tmp_path, capsys):
    path = write(tmp_path, {}, {}) / 'all.safetensors'
    path.write_bytes(path.read_bytes()[:50])
    code, lines = report(tmp_path, capsys)
    assert code == 1 and 'all.safetensors is not a readable safetensors file' in lines[0]


def test_a_function_that_must_return_none_passes_when_it_does(tmp_path, capsys):
    case = {'args': {'numtaps': 1, 'cutoff': 1, 'width': 1, 'fs': 4}, 'inputs': {}, 'outputs': {}, 'returns_none': True}
    assert report(write(tmp_path, {}, case, kind='design_lowpass_filter'), capsys)[0] == 0


@pytest.mark.parametrize(
    ('pattern', 'found'), [('act/one', 1), ('act', 1), ('*/one', 1), ('bias_*', 1), ('upfirdn2d', 0)]
)
def test_only_chooses_by_a_part_of_the_id_or_a_glob_of_id_or_kind(tmp_path, capsys, pattern: str, found: int):
    code, lines = report(write(tmp_path, {}, {}), capsys, '--only', pattern)
    assert lines[-1] == f'{found} passed, 0 failed'
    assert code == 1 - found, 'a pattern that matches nothing must not look like success'


def test_it_is_said_how_much_the_backend_that_was_asked_for_ran(monkeypatch, capsys):
    monkeypatch.setattr('tests.golden.__main__.backends', lambda: {'torch': 'ready', 'cuda': 'no GPU'})
    for backend in ('torch', 'cuda'):
        main([str(DATA), '--only', 'upfirdn2d', '--backend', backend])
        captured = capsys.readouterr()
        assert captured.out.splitlines()[-1].endswith(' passed, 0 failed')
        assert captured.err.startswith('0 of ') == (backend == 'cuda')
        assert captured.err.endswith('ran on torch\n' if backend == 'torch' else 'cuda, which cannot be used: no GPU\n')


def test_json_is_one_document_on_standard_output(tmp_path, capsys):
    code = main([str(write(tmp_path, {}, {})), '--json'])
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert code == 0 and (document['passed'], document['failed']) == (1, 0)
    assert document['cases'][0] | {'error': 0.0} == {
        'id': 'act/one',
        'passed': True,
        'error': 0.0,
        'tolerance': 1e-6,
        'reason': '',
        'output': 'y',
    }
    assert captured.err == '1 passed, 0 failed\n'


def test_an_infinite_error_is_still_valid_json(tmp_path, capsys):
    main([str(write(tmp_path, {'x': torch.tensor([1.0, math.inf])}, {})), '--json'])
    document = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert document['cases'][0]['error'] is None and not document['cases'][0]['passed']


@pytest.mark.parametrize(
    ('content', 'words'), [(None, 'holds no manifest.json'), ('{', 'not readable JSON'), ('[]', 'no list of entries')]
)
def test_a_folder_without_a_usable_manifest_is_one_sentence(tmp_path, capsys, content: str | None, words: str):
    if content is not None:
        (tmp_path / 'manifest.json').write_text(content)
    assert main([str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert captured.out == '' and words in captured.err and captured.err.count('\n') == 1


ONES = torch.ones(10, dtype=torch.float64)


@pytest.mark.parametrize(
    ('actual', 'tolerance', 'passed'),
    [
        (ONES + 0.5, {'atol': 0.5, 'rtol': 0.0}, True),
        (ONES + 0.5, {'atol': 0.25, 'rtol': 0.25}, True),
        (ONES + 0.5, {'atol': 0.25, 'rtol': 0.2}, False),
        (ONES + torch.tensor([1.0] + 9 * [0.0]), {'atol': 1.0, 'rtol': 0.0, 'max_fraction': 0.1}, True),
        (ONES + torch.tensor([1.0, 1.0] + 8 * [0.0]), {'atol': 1.0, 'rtol': 0.0, 'max_fraction': 0.1}, False),
        (ONES + torch.tensor([2.0] + 9 * [0.0]), {'atol': 1.0, 'rtol': 0.0, 'max_fraction': 0.1}, False),
        (ONES * math.inf, {'atol': 1.0, 'rtol': 0.0}, False),
        (ONES.bool(), {'atol': 0.0, 'rtol': 0.0}, True),
        (None, {'atol': 1.0, 'rtol': 0.0}, False),
    ],
)
def test_the_rule_of_agreement(actual: Tensor | None, tolerance: dict[str, float], passed: bool):
    assert compare(actual, ONES, tolerance).passed == passed


def test_infinities_agree_only_with_themselves():
    assert compare(ONES * math.inf, ONES * math.inf, {'atol': 0.0, 'rtol': 0.0}).passed
    assert not compare(ONES, ONES * math.inf, {'atol': 0.0, 'rtol': 0.1}).passed

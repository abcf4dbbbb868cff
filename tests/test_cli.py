"""Every command of `visualizer.py`, and every bad input: the exit code and exactly one line on stderr."""

import json
import math
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import visualizer
from networks.checkpoint import Checkpoint, load_generator, save_checkpoint
from networks.sampling import image_to_uint8, seed_to_z
from networks.stylegan3 import Generator
from ops.backend import backends
from render.doctor import _operator_report
from render.png_session import load_carried_session
from tests.networks.pickle_writer import write_snapshot
from tests.networks.small import small_ladder, small_stylegan2

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Models:
    """Files of every kind that can be opened, and of many that cannot."""

    folder: Path

    def __getattr__(self, name: str) -> str:
        found = [one for one in self.folder.iterdir() if one.stem == name]
        assert found, name
        return str(found[0])


@pytest.fixture(scope='module')
def models(tmp_path_factory) -> Models:
    folder = tmp_path_factory.mktemp('some models')
    alias_free, classes = small_ladder('T'), small_stylegan2(c_dim=3)
    write_snapshot(folder / 'official.pkl', {'G': alias_free, 'G_ema': alias_free})
    write_snapshot(folder / 'conditional.pkl', {'G_ema': classes})
    visualizer.main(['convert', str(folder / 'official.pkl'), str(folder / 'ours.safetensors')])
    (folder / 'text.pkl').write_text('Not a model at all, just words.\n' * 10)
    (folder / 'cut.pkl').write_bytes((folder / 'official.pkl').read_bytes()[:5000])
    (folder / 'foreign.pkl').write_bytes(b'\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.')
    (folder / 'huge.pkl').write_bytes(b'\x80\x04\x8e' + (10 << 30).to_bytes(8, 'little') + b'x' * 100)
    (folder / 'shapes.safetensors').write_bytes(_with_other_shapes(folder / 'ours.safetensors'))
    (folder / 'damaged.json').write_text('{"a": {"latent": ')
    (folder / 'empty.pkl').write_bytes(b'')
    Image.new('RGB', (8, 8)).save(folder / 'photo.png')
    Image.new('RGB', (8, 8)).save(folder / 'photograph.jpg')
    (folder / 'run').mkdir()
    return Models(folder)


def _with_other_shapes(source: Path) -> bytes:
    """A valid file whose header promises another width than its tensors have."""
    data = source.read_bytes()
    length = int.from_bytes(data[:8], 'little')
    header = json.loads(data[8 : 8 + length])
    config = json.loads(header['__metadata__']['config'])
    header['__metadata__']['config'] = json.dumps({**config, 'w_dim': config['w_dim'] * 2})
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, 'little') + text + data[8 + length :]


@pytest.fixture
def cli(capsys) -> Callable[..., Answer]:
    def call(*arguments: object) -> Answer:
        capsys.readouterr()
        try:
            code = visualizer.main([str(one) for one in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return call


def ok(answer: Answer) -> str:
    assert (answer.code, answer.err) == (0, ''), answer
    return answer.out


# render


def test_a_rendered_picture_is_what_the_network_makes(cli, models, tmp_path):
    ok(cli('render', models.official, '--out', tmp_path / 'new' / 'ä b.png', '--seed', 7))
    generator = load_generator(models.official)
    with torch.inference_mode():
        expected = image_to_uint8(generator.synthesize(generator.latents(seed_to_z(7, 16).float())))[0]
    with Image.open(tmp_path / 'new' / 'ä b.png') as found:
        assert np.array_equal(np.asarray(found), expected.numpy())


def test_a_tensor_is_written_unrounded(cli, models, tmp_path):
    ok(cli('render', models.ours, '--out', tmp_path / 'x.npy', '--layer', 'L3_36_8', '--seed', 2))
    found = np.load(tmp_path / 'x.npy')
    info = json.loads(ok(cli('info', models.ours, '--json')))
    layer = next(one for one in info['layers'] if one['label'] == 'L3_36_8')
    assert found.dtype == np.float32 and found.shape == (layer['channels'], layer['height'], layer['width'])
    ok(
        cli(
            'render',
            models.ours,
            '--out',
            tmp_path / 'y.npy',
            '--layer',
            layer['name'],
            '--seed',
            2,
            '--channels',
            4,
            1,
        )
    )
    assert np.array_equal(np.load(tmp_path / 'y.npy'), found[[4, 1]])


def test_an_exr_holds_the_same_numbers(cli, models, tmp_path):
    exr = pytest.importorskip('OpenEXR')
    for name in ('x.npy', 'x.exr'):
        ok(cli('render', models.ours, '--out', tmp_path / name))
    channels = exr.File(str(tmp_path / 'x.exr'), separate_channels=True).channels()
    assert np.array_equal(np.stack([channels[name].pixels for name in 'RGB']), np.load(tmp_path / 'x.npy'))


def test_the_same_command_gives_the_same_bytes(cli, models, tmp_path):
    options = ('--seed', 5, '--translate', -0.1, 0.05, '--rotate-degrees', -30, '--filters', 'lanczos')
    for name in ('a', 'b'):
        ok(cli('render', models.ours, '--out', tmp_path / name / 'x.png', *options))
    assert (tmp_path / 'a' / 'x.png').read_bytes() == (tmp_path / 'b' / 'x.png').read_bytes()


def test_every_option_changes_the_picture(cli, models, tmp_path):
    layer = ('--layer', 'L2_36_8')
    variants = [
        (), ('--seed', 1), ('--truncation', 0.5), ('--truncation', 0.5, '--truncation-layers', 2), ('--translate', 0.1, 0.0),
        ('--rotate-degrees', 45), ('--scale', 1.3), ('--rotate-degrees', 45, '--undo-transform'), ('--filters', 'nearest'),
        ('--filters', 'nearest', '--filter-direction', 'up'), ('--gain-db', -6), ('--channels', 2, 1, 0), ('--channels', 1),
        ('--channels', 1, '--colormap', 'magma'), layer, (*layer, '--sheet'), (*layer, '--raw-scale'), (*layer, '--channels', 3),
    ]  # fmt: skip
    seen = {}
    for index, options in enumerate(variants):
        ok(cli('render', models.ours, '--out', tmp_path / f'{index}.png', *options))
        with Image.open(tmp_path / f'{index}.png') as found:
            seen[options] = np.asarray(found).tobytes()
    assert len(set(seen.values())) == len(variants)


def test_noise_and_classes_are_for_models_that_have_them(cli, models, tmp_path):
    out = tmp_path / 'x.png'
    for options in (('--noise', 'none'), ('--noise-seed', 3), ('--class-index', 2)):
        ok(cli('render', models.conditional, '--out', out, *options))
        fails(cli('render', models.ours, '--out', out, *options))
    fails(cli('render', models.conditional, '--out', out, '--class-index', 3), 'so there is no 3')
    fails(cli('render', models.conditional, '--out', out, '--translate', 0.1, 0), 'cannot be moved')


def test_a_json_with_the_request_lies_beside_each_output(cli, models, tmp_path):
    ok(cli('render', models.ours, '--out', tmp_path / 'x.png', '--seed', 3))
    ok(cli('render', models.ours, '--out', tmp_path / 'x.npy', '--seed', 4))
    ok(cli('render', models.ours, '--out', tmp_path / 'x.png', '--seed', 5))
    picture, tensor = json.loads((tmp_path / 'x.json').read_text()), json.loads((tmp_path / 'x.npy.json').read_text())
    assert picture['output'] == 'x.png' and picture['request']['latent']['seeds'] == [[5, 1.0]]
    assert tensor['output'] == 'x.npy' and tensor['request']['latent']['seeds'] == [[4, 1.0]]
    assert picture['request']['model']['sha256'] == json.loads(ok(cli('info', models.ours, '--json')))['sha256']


def test_pictures_clips_and_records_can_be_rendered_again(cli, models, tmp_path):
    options = ('--seed', 3, '--rotate-degrees', 20, '--truncation', 0.8)
    ok(cli('render', models.ours, '--out', tmp_path / 'x.png', *options))
    ok(cli('render', tmp_path / 'x.png', '--out', tmp_path / 'again.png'))
    ok(cli('render', tmp_path / 'x.json', '--out', tmp_path / 'third.png'))
    assert (tmp_path / 'x.png').read_bytes() == (tmp_path / 'again.png').read_bytes()
    assert (tmp_path / 'x.png').read_bytes() == (tmp_path / 'third.png').read_bytes()
    clip = ('--motion', 'turn', '--seconds', 0.1, '--frames-per-second', 20)
    ok(cli('render', tmp_path / 'x.png', '--out', tmp_path / 'x.mp4', *clip))
    record = json.loads((tmp_path / 'x.mp4.json').read_text())
    assert (record['frames'], record['motion']) == (2, 'turn')
    ok(cli('render', tmp_path / 'x.mp4', '--out', tmp_path / 'fourth.png'))
    assert load_carried_session(tmp_path / 'fourth.png')[0].capture.motion == 'turn'


def test_a_session_gives_the_choices_and_the_path_the_model(cli, models, tmp_path):
    ok(cli('render', models.ours, '--out', tmp_path / 'x.png', '--seed', 3, '--scale', 1.2))
    ok(cli('render', models.official, '--session', tmp_path / 'x.json', '--out', tmp_path / 'y.png'))
    request = json.loads((tmp_path / 'y.json').read_text())['request']
    assert request['model']['path'].endswith('official.pkl')
    assert request['latent']['seeds'] == [[3, 1.0]] and request['synthesis']['transform'][0] == 1.2
    # its own input is never written over
    ok(cli('render', models.ours, '--session', tmp_path / 'x.json', '--out', tmp_path / 'x.npy'))
    assert json.loads((tmp_path / 'x.json').read_text())['output'] == 'x.png'


def test_a_session_that_moved_with_its_model_still_opens(cli, models, tmp_path):
    for folder in ('before', 'after'):
        (tmp_path / folder).mkdir()
    Path(tmp_path / 'before' / 'g.safetensors').write_bytes(Path(models.ours).read_bytes())
    ok(cli('render', tmp_path / 'before' / 'g.safetensors', '--out', tmp_path / 'before' / 'x.png'))
    for name in ('g.safetensors', 'x.png'):
        (tmp_path / 'before' / name).rename(tmp_path / 'after' / name)
    ok(cli('render', tmp_path / 'after' / 'x.png', '--out', tmp_path / 'y.png'))


def test_a_session_made_with_another_file_is_said(cli, models, tmp_path):
    copy = tmp_path / 'g.safetensors'
    copy.write_bytes(Path(models.ours).read_bytes())
    ok(cli('render', copy, '--out', tmp_path / 'x.png'))
    generator = small_ladder('T', seed=1)
    old = json.loads(ok(cli('info', copy, '--json')))['config']
    config = {name: value for name, value in old.items() if '.' not in name and value is not None}
    save_checkpoint(copy, Checkpoint('stylegan3', config, generator.state_dict(), '', 'test'))
    answer = cli('render', tmp_path / 'x.png', '--out', tmp_path / 'y.png')
    assert answer.code == 0 and answer.err.count('\n') == 1 and 'not the file' in answer.err


def test_weights_that_are_nan_open_with_a_remark(cli, models, tmp_path):
    generator = small_ladder('T')
    generator.synthesis.get_submodule('L3_36_8').weight.data.fill_(math.nan)
    path = write_snapshot(tmp_path / 'nan.pkl', {'G_ema': generator})
    answer = cli('render', path, '--out', tmp_path / 'x.png')
    assert answer.code == 0 and 'not finite' in answer.err
    assert 'not finite' in ok(cli('info', path))


def make_user_module() -> nn.Module:
    """What a person's own function may return."""
    return nn.Sequential(nn.Linear(4, 3 * 8 * 8), nn.Unflatten(1, (3, 8, 8)), nn.Conv2d(3, 3, 1))


def test_the_users_own_function_can_be_opened_when_it_is_typed(cli, tmp_path):
    ok(cli('render', 'tests.test_cli:make_user_module', '--out', tmp_path / 'x.png', '--layer', '2'))
    answer = cli('render', tmp_path / 'x.png', '--out', tmp_path / 'y.png')
    fails(answer, 'nothing was run')


# info, analyze, convert, doctor


def test_info_says_what_a_model_is(cli, models):
    info = json.loads(ok(cli('info', models.official, '--json')))
    generator = small_ladder('T')
    assert info['family'] == 'stylegan3' and info['parameters'] == sum(one.numel() for one in generator.parameters())
    assert info['config']['img_resolution'] == 32 and 'transform' in info['capabilities']
    layer = next(one for one in info['layers'] if one['label'] == 'L3_36_8')
    record = generator.synthesis.get_submodule('L3_36_8').record
    assert (layer['sampling_rate'], layer['cutoff'], layer['stopband']) == (record.rate, record.cutoff, record.stopband)
    assert {'name', 'channels', 'height', 'width', 'half_width', 'up_factor', 'down_factor', 'dtype'} <= set(layer)


def test_info_of_a_session_is_that_of_its_model(cli, models, tmp_path):
    ok(cli('render', models.ours, '--out', tmp_path / 'x.png'))
    assert json.loads(ok(cli('info', tmp_path / 'x.png', '--json')))['path'] == models.ours
    assert 'L3_36_8' in ok(cli('info', models.ours))


def test_info_opens_a_run_directory(cli, models, tmp_path):
    run = tmp_path / '00003 run'
    run.mkdir()
    for name in ('snapshot-000100.safetensors', 'snapshot-000200.safetensors'):
        (run / name).write_bytes(Path(models.ours).read_bytes())
    assert 'StyleGAN3' in ok(cli('info', run))


def test_the_average_spectrum_is_measured(cli, models, tmp_path):
    out = ok(cli('analyze', models.ours, '--what', 'spectrum', '--samples', 3, '--json', '--out', tmp_path / 'new'))
    found = json.loads(out)
    assert found['samples'] == 3 and found['frequencies'][-1] == found['extent'] == 16
    assert len(found['radial_db']) == len(found['frequencies']) == 17
    assert json.loads((tmp_path / 'new' / 'spectrum.json').read_text()) == found
    with Image.open(tmp_path / 'new' / 'spectrum.png') as picture:
        assert picture.size == (33, 33)
    assert '45°' in ok(cli('analyze', models.ours, '--what', 'spectrum', '--samples', 1, '--layer', 'L3_36_8'))


def test_a_converted_model_makes_the_same_picture(cli, models, tmp_path):
    ok(cli('convert', models.official, tmp_path / 'new' / 'x.safetensors'))
    for path, name in ((models.official, 'a.npy'), (tmp_path / 'new' / 'x.safetensors', 'b.npy')):
        ok(cli('render', path, '--out', tmp_path / name))
    assert np.array_equal(np.load(tmp_path / 'a.npy'), np.load(tmp_path / 'b.npy'))


def test_doctor_answers_in_both_forms(cli):
    report = json.loads(ok(cli('doctor', '--json')))
    assert {'python', 'torch', 'device', 'operators', 'backends', 'gl', 'graphics', 'packages'} <= set(report)
    assert report['backends']['reference'] == 'ready' and 'filtered_lrelu' in report['operators']
    assert report['torch'].startswith(torch.__version__)


# bad input


def fails(answer: Answer, words: str = '') -> None:
    """Exit code 1 and one line that says `words`."""
    assert answer.code == 1, answer
    assert answer.err.count('\n') == 1 and answer.err.endswith('\n') and words in answer.err, answer.err
    assert 'Traceback' not in answer.err and not answer.out


BAD_MODELS = ['text', 'cut', 'foreign', 'huge', 'shapes', 'damaged', 'empty', 'photo', 'photograph', 'run']


@pytest.mark.parametrize('name', BAD_MODELS)
@pytest.mark.parametrize('command', [('info',), ('render', '--out', 'x.png'), ('analyze', '--what', 'spectrum')])
def test_a_bad_file_is_one_sentence_that_names_it(name, command, cli, models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = getattr(models, name)
    fails(cli(command[0], path, *command[1:]), Path(path).name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('name', [*BAD_MODELS, 'photo'])
def test_a_bad_file_is_not_converted(name, cli, models, tmp_path):
    fails(cli('convert', getattr(models, name), tmp_path / 'x.safetensors'), Path(getattr(models, name)).name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('path', 'words'),
    [
        ('nowhere.pkl', 'nowhere.pkl'),
        ('demo:nothing', 'demo:nothing'),
        ('no.such_module:function', 'no.such_module:function'),
        ('tests.test_cli:missing', 'tests.test_cli:missing'),
        ('\0', ''),
        ('x' * 5000, 'xxx'),
    ],
)
def test_what_does_not_exist_is_named(path, words, cli):
    fails(cli('info', path), words)


def test_a_damaged_session_is_one_sentence(cli, models, tmp_path):
    fails(cli('render', models.ours, '--session', models.damaged, '--out', tmp_path / 'x.png'), 'damaged.json')


def test_an_output_that_cannot_be_written_is_one_sentence(cli, models, tmp_path):
    (tmp_path / 'file').write_text('')
    for name in ('x.png', 'x.npy', 'x.exr', 'x.mp4'):
        fails(cli('render', models.ours, '--out', tmp_path / 'file' / name), 'cannot be written')


def test_layers_and_channels_that_do_not_exist_are_named(cli, models, tmp_path):
    fails(cli('render', models.ours, '--out', tmp_path / 'x.png', '--layer', 'L99'), 'L0_')
    fails(cli('render', models.ours, '--out', tmp_path / 'x.png', '--channels', 0, 1, 3), '0 to 2')


def test_what_is_not_built_yet_says_so(cli, models):
    answer = cli('analyze', models.ours, '--what', 'diagnose', '--samples', 1)
    if answer.code:  # until it is built: no number
        fails(answer, 'not built yet')


@pytest.mark.parametrize(
    'arguments',
    [
        ('render',),
        ('render', 'x.pkl'),
        ('render', 'x.pkl', '--out', 'x.gif'),
        ('render', 'x.pkl', '--out', 'x.png', '--seed', '-1'),
        ('render', 'x.pkl', '--out', 'x.png', '--seed', 'three'),
        ('render', 'x.pkl', '--out', 'x.png', '--truncation', 'nan'),
        ('render', 'x.pkl', '--out', 'x.png', '--scale', '0'),
        ('render', 'x.pkl', '--out', 'x.png', '--channels', '0', '1'),
        ('render', 'x.pkl', '--out', 'x.png', '--colormap', 'jet'),
        ('render', 'x.pkl', '--out', 'x.png', '--filters', 'cubic'),
        ('render', 'x.pkl', '--out', 'x.png', '--seconds', '3'),
        ('render', 'x.pkl', '--out', 'x.npy', '--sheet'),
        ('analyze', 'x.pkl'),
        ('analyze', 'x.pkl', '--what', 'beauty'),
        ('analyze', 'x.pkl', '--what', 'spectrum', '--samples', '0'),
        ('info',),
        ('convert', 'x.pkl'),
        ('window', '--size', 'large'),
        ('window', '--scale', '0'),
        ('window', '--frames', '0'),
        ('--no-such-option',),
    ],
)
def test_wrong_usage_is_2(arguments, cli):
    answer = cli(*arguments)
    assert answer.code == 2 and answer.err and 'Traceback' not in answer.err and not answer.out


def test_verbose_shows_the_traceback(cli):
    answer = cli('info', 'nowhere.pkl', '--verbose')
    assert answer.code == 1 and 'Traceback' in answer.err and answer.err.splitlines()[-1].startswith('nowhere.pkl')


@pytest.mark.parametrize('command', ['', 'window', 'render', 'info', 'analyze', 'convert', 'doctor'])
def test_help_is_0(command, cli):
    answer = cli(*([command] if command else []), '--help')
    assert answer.code == 0 and '--help' in answer.out


# the program as a process


def test_help_imports_neither_torch_nor_imgui():
    code = (
        'import os, sys, visualizer\n'
        "try: visualizer.main(['render', '--help'])\n"
        'except SystemExit: pass\n'
        "print(os.environ['OMP_WAIT_POLICY'])\n"
        "print([name for name in ('torch', 'imgui_bundle', 'llvmlite', 'glfw') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.splitlines()[-2:] == ['PASSIVE', '[]'], done.stderr  # threads that wait sleep


@pytest.mark.parametrize('missing', [('torch',), ('llvmlite', 'imgui_bundle', 'OpenGL', 'imageio_ffmpeg', 'OpenEXR')])
def test_doctor_says_what_is_missing(missing, tmp_path):
    for name in missing:
        (tmp_path / f'{name}.py').write_text(f"raise ImportError('no {name} on this machine')\n")
    code = f'import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\nimport visualizer\nsys.exit(visualizer.main(["doctor"]))'
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert all(f'no {name} on this machine' in done.stdout for name in missing), done.stdout
    assert not re.search(r'^  (fourier_features|synthesis_layer) +cpu', done.stdout, re.MULTILINE), done.stdout


def test_doctor_names_a_gpu_that_fails_and_goes_on_with_the_cpu(monkeypatch):
    known, move = backends(), Generator.to

    def to(generator, device):
        if device == 'cuda':
            raise RuntimeError('CUDA error: all CUDA-capable devices are busy or unavailable')
        return move(generator, device)

    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(Generator, 'to', to)
    report = _operator_report()
    assert report['backends']['cuda'].startswith(
        'not usable: RuntimeError: CUDA error: all CUDA-capable devices are busy'
    )
    assert report['backends']['cpu'] == known['cpu'] and 'synthesis_layer' in report['operators']


def test_a_console_without_our_characters_still_gets_the_answer(models):
    environment = {**os.environ, 'PYTHONIOENCODING': 'ascii', 'OMP_NUM_THREADS': '1'}
    command = [sys.executable, str(ROOT / 'visualizer.py'), 'info', models.ours]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert done.returncode == 0 and not done.stderr and '52?52' in done.stdout


def test_a_reader_that_goes_away_is_no_failure_of_ours(models):
    process = subprocess.Popen(
        [sys.executable, str(ROOT / 'visualizer.py'), 'info', models.ours],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) in (141, 0) and not errors


@pytest.mark.skipif(os.name == 'nt', reason='Windows has no SIGINT for a child')
def test_an_interrupt_ends_quietly_with_130(models, tmp_path):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would hand on "ignore"
    process = subprocess.Popen(
        [
            sys.executable,
            str(ROOT / 'visualizer.py'),
            'analyze',
            models.ours,
            '--what',
            'spectrum',
            '--samples',
            '1000000',
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPROFILEIMPORTTIME': '1'},
    )
    signal.signal(signal.SIGINT, before)
    assert process.stderr is not None and process.stdout is not None
    for line in process.stderr:  # the import log tells when the work begins, without waiting for a time
        if b'render.views' in line:
            break
    process.send_signal(signal.SIGINT)
    errors = process.stderr.read().decode()
    assert process.wait(60) == 130, errors
    assert 'Traceback' not in errors
    process.stderr.close()
    process.stdout.close()

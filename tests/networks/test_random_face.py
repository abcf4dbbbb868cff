"""Networks in OpenVINO's format, and the generator that the package random-face brings."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from networks.adapters.random_face import package_file, weights_file
from networks.bad_file import BadFile
from networks.files.openvino_ir import MAX_XML_BYTES, read_ir
from networks.openvino import BATCH, Layered, Steps
from networks.sources import RANDOM_FACE, open_model, resolve
from tests.networks.small_ir import Writer, expected_picture, install, numbers, write_synthesis


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    install(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def layered(tmp_path: Path) -> Layered:
    return Layered(read_ir(write_synthesis(tmp_path / 'small.xml')))


def code_of(path: Path) -> str:
    """Why the file at `path` cannot be used as a network that makes pictures."""
    with pytest.raises(BadFile) as caught:
        Layered(read_ir(path))
    return caught.value.code


# Reading and running


def test_a_picture_is_what_the_graph_says(tmp_path: Path):
    w = torch.from_numpy(numbers(9, 2, 4))
    assert torch.allclose(layered(tmp_path)(w), expected_picture(w), atol=1e-5)


def test_pictures_do_not_depend_on_how_many_are_made_at_once(tmp_path: Path):
    network, w = layered(tmp_path), torch.from_numpy(numbers(9, 3, 4))
    assert torch.allclose(network(w)[1:2], network(w[1:2]), atol=1e-6)


def test_the_graph_is_cut_into_layers_that_do_one_thing_each(tmp_path: Path):
    network = layered(tmp_path)
    assert list(network.kinds.values()) == ['start', 'conv', 'noise', 'relu', 'scale', 'up', 'conv']
    assert network.shapes['L4_8_up'] == (BATCH, 3, 8, 8)


def test_a_layer_runs_by_itself_on_other_features(tmp_path: Path):
    noise = layered(tmp_path).get_submodule('L2_4_noise')
    assert isinstance(noise, Steps) and not noise.needs_latents
    added = noise(torch.zeros(1, 3, 4, 4))
    assert torch.equal(added[0, 0], added[0, 2]) and float(added.std()) > 0.5


def test_a_layer_runs_on_larger_features_than_in_the_picture(tmp_path: Path):
    enlarge = layered(tmp_path).get_submodule('L4_8_up')
    assert enlarge(torch.ones(1, 3, 32, 32)).shape == (1, 3, 64, 64)


def test_a_layer_that_needs_the_latent_says_so(tmp_path: Path):
    with pytest.raises(TypeError, match='reads latents'):
        layered(tmp_path).get_submodule('L0_4_start')(None)


# The package


def test_the_package_is_opened_without_being_imported(installed: Path):
    face = open_model(RANDOM_FACE)
    assert 'random_face' not in sys.modules
    assert face.info.resolution == 8 and 'random-face 1.2' in face.info.notes[0]
    z = torch.from_numpy(numbers(9, 1, 4))
    assert torch.allclose(face.synthesize(face.latents(z)), expected_picture(z / 2), atol=1e-5)


def test_layers_that_only_rescale_are_not_listed(installed: Path):
    labels = [layer.label for layer in open_model(RANDOM_FACE).info.layers]
    assert labels == ['L0_4_start', 'L1_4_conv', 'L2_4_noise', 'L3_4_relu', 'L4_8_up', 'L5_8_conv']


def test_noise_can_be_left_out_and_drawn_again(installed: Path):
    face = open_model(RANDOM_FACE)
    w = face.latents(torch.from_numpy(numbers(9, 1, 4)))
    assert torch.allclose(face.synthesize(w, noise='none'), expected_picture(w[:, 0], torch.zeros(1)), atol=1e-5)
    drawn = [face.synthesize(w, noise='random', noise_seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert torch.equal(face.synthesize(w), face.synthesize(w, noise='constant'))


def test_truncation_moves_towards_the_average(installed: Path):
    face = open_model(RANDOM_FACE)
    average = face.average()
    assert average is not None and average.shape == (4,)
    assert float(average.abs().max()) < 0.05  # of half a unit normal, over 4096


def test_a_session_finds_the_weights_again_by_content(installed: Path):
    assert resolve(RANDOM_FACE) == weights_file() and weights_file().name == 'SynthesisNetwork.bin'


def test_without_the_package_a_sentence_says_how_to_get_it():
    with pytest.raises(BadFile, match='pip install --no-deps random-face') as caught:
        open_model(RANDOM_FACE)
    assert caught.value.code == 'not-installed'


def test_a_package_that_lost_a_file_is_reported(installed: Path):
    package_file('random_face/data/MappingNetwork.xml').unlink()
    with pytest.raises(BadFile, match=r'lacks MappingNetwork\.xml'):
        open_model(RANDOM_FACE)


def test_networks_that_do_not_fit_together_are_refused(installed: Path):
    out = Writer()
    z = out.step('Parameter', [], shape='1, 7', element_type='f32')
    out.step('Result', [out.step('Multiply', [z, out.constant(numbers(0, 1, 7))])])
    out.write(package_file('random_face/data/MappingNetwork.xml'))
    with pytest.raises(BadFile, match='reads 4 numbers'):
        open_model(RANDOM_FACE)


# Files that mean harm, or are broken


@pytest.mark.parametrize(
    'head',
    [
        '<!DOCTYPE net [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE net SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE net [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x"> %p;]>',
    ],
)
def test_entities_are_refused_before_anything_is_read(tmp_path: Path, head: str):
    path = write_synthesis(tmp_path / 'evil.xml')
    path.write_text(path.read_text().replace('<net', f'{head}<net', 1))
    assert code_of(path) == 'attack'


def with_constant(**changed: object) -> Writer:
    out = Writer()
    latent = out.step('Parameter', [], shape='1, 4', element_type='f32')
    out.step('Result', [out.step('Add', [latent, out.constant(numbers(0, 1, 4), **changed)])])
    return out


@pytest.mark.parametrize(
    ('changed', 'code'),
    [
        ({'offset': 1}, 'damaged'),
        ({'offset': -16}, 'damaged'),
        ({'offset': 10**14}, 'damaged'),
        ({'size': 15}, 'damaged'),
        ({'shape': '1, 5'}, 'damaged'),
        ({'shape': '1, -4'}, 'damaged'),
        ({'shape': '1, 4', 'size': '1e9'}, 'damaged'),
        ({'shape': '100000, 100000, 1000', 'size': 4 * 10**13}, 'damaged'),
        ({'element_type': 'q3'}, 'foreign'),
    ],
)
def test_a_constant_that_is_not_in_the_file_is_refused(tmp_path: Path, changed: dict[str, object], code: str):
    assert code_of(with_constant(**changed).write(tmp_path / 'lies.xml')) == code


def test_constants_that_repeat_the_file_without_end_are_refused(tmp_path: Path):
    out = with_constant()
    out.data = bytes(1 << 22)
    for _ in range(20):
        out.step('Const', [], element_type='u8', shape=1 << 22, offset=0, size=1 << 22)
    assert code_of(out.write(tmp_path / 'same.xml')) == 'too-big'


def graph_with(kind: str, *more: np.ndarray, **attributes: object) -> Writer:
    out = Writer()
    latent = out.step('Parameter', [], shape='1, 4', element_type='f32')
    out.step('Result', [out.step(kind, [latent, *(out.constant(one) for one in more)], **attributes)])
    return out


@pytest.mark.parametrize(
    ('graph', 'code'),
    [
        (graph_with('ExecutePython', numbers(0, 1)), 'foreign'),
        (graph_with('Tile', np.array([1, 1 << 40])), 'too-big'),
        (graph_with('Broadcast', np.array([1 << 20, 1 << 20])), 'too-big'),
        (graph_with('Reshape', np.array([3, 5]), special_zero='true'), 'damaged'),
        (graph_with('MatMul', numbers(0, 9, 9)), 'damaged'),
        (graph_with('Multiply', numbers(0, 1, 4)), 'foreign'),
        (graph_with('Convolution', numbers(0, 1, 1, 3, 3), pads_begin='1, 1', pads_end='0, 0'), 'foreign'),
    ],
)
def test_steps_that_cannot_run_are_refused(tmp_path: Path, graph: Writer, code: str):
    assert code_of(graph.write(tmp_path / 'step.xml')) == code


def test_steps_that_wait_for_one_another_are_refused(tmp_path: Path):
    out = graph_with('Multiply', numbers(0, 1, 4))
    out.edges[0] = out.edge('2', '2', 0)  # the product is its own factor
    assert code_of(out.write(tmp_path / 'ring.xml')) == 'damaged'


def test_an_edge_from_nowhere_is_refused(tmp_path: Path):
    out = graph_with('Multiply', numbers(0, 1, 4))
    out.edges[0] = out.edges[0].replace('from-layer="0"', 'from-layer="77"')
    assert code_of(out.write(tmp_path / 'edge.xml')) == 'damaged'


@pytest.mark.parametrize(
    ('text', 'code'),
    [
        ('<net><layers>', 'damaged'),
        ('no xml at all', 'damaged'),
        ('<html><body/></html>', 'foreign'),
        ('<net>' + '<a>' * 40 + '</a>' * 40 + '</net>', 'too-big'),
        ('<net name="' + 'a' * 5000 + '"/>', 'too-big'),
        ('<net>' + '<a/>' * 100_001 + '</net>', 'too-big'),
        ('<net>' + ' ' * MAX_XML_BYTES + '</net>', 'too-big'),
    ],
)
def test_xml_that_is_no_network_is_refused(tmp_path: Path, text: str, code: str):
    path = tmp_path / 'text.xml'
    path.write_text(text)
    path.with_suffix('.bin').write_bytes(b'1')
    assert code_of(path) == code


def test_weights_that_are_missing_are_named(tmp_path: Path):
    path = write_synthesis(tmp_path / 'small.xml')
    path.with_suffix('.bin').unlink()
    with pytest.raises(BadFile, match=r'small\.bin does not exist'):
        read_ir(path)

"""Checkpoints and generators from files: round trips, checks before building, notes, conversion, progress."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch

from networks.bad_file import BadFile
from networks.build import build_checked
from networks.checkpoint import (
    Checkpoint,
    convert,
    file_sha256,
    load_checkpoint,
    load_generator,
    make_generator,
    save_checkpoint,
)
from networks.files.safetensors_file import read_header, write_safetensors
from networks.sources import resolve
from networks.stylegan2 import Generator as StyleGAN2
from tests.networks.hostile import tiny
from tests.networks.pickle_writer import write_snapshot
from tests.networks.test_files_snapshot import KINDS, assert_same, make


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """An official-format snapshot."""
    return write_snapshot(tmp_path / 'a.pkl', {'G': tiny(), 'D': make('D'), 'G_ema': tiny()})


def plain(checkpoint: Checkpoint) -> dict:
    """The configuration as JSON gives it back."""
    return json.loads(json.dumps(dict(checkpoint.config)))


@pytest.mark.parametrize('kind', KINDS)
def test_every_kind_of_network_survives_conversion_bit_for_bit(tmp_path: Path, kind: str) -> None:
    module = make(kind)
    network = 'D' if kind.startswith('D') else 'G_ema'
    source = write_snapshot(tmp_path / 'a.pkl', {network: module})
    written = convert(source, tmp_path / 'a.safetensors', network=network)
    again = load_checkpoint(tmp_path / 'a.safetensors')
    assert_same(dict(again.tensors), module)
    assert (again.family, plain(again), again.network) == (written.family, plain(written), network)
    assert again.embedded_code == written.embedded_code != ()


def test_a_converted_generator_makes_the_same_pictures_as_its_snapshot(snapshot: Path, tmp_path: Path) -> None:
    convert(snapshot, tmp_path / 'b.safetensors')
    z = torch.randn(2, 4, generator=torch.Generator().manual_seed(1))
    first, second = load_generator(snapshot), load_generator(tmp_path / 'b.safetensors')
    images = [generator.synthesize(generator.latents(z)) for generator in (first, second)]
    assert torch.equal(images[0], images[1])
    assert images[0].shape == (2, 3, 16, 16)
    original = tiny().eval()
    with torch.no_grad():
        assert torch.equal(original(z), images[0])


def test_a_loaded_generator_is_in_evaluation_mode_without_gradients(snapshot: Path) -> None:
    generator = load_generator(snapshot)
    assert not generator.module.training
    assert not any(parameter.requires_grad for parameter in generator.module.parameters())
    assert generator.info.family == 'stylegan3' and generator.info.resolution == 16


def test_the_metadata_says_where_a_model_comes_from(snapshot: Path, tmp_path: Path) -> None:
    convert(snapshot, tmp_path / 'b.safetensors')
    metadata = read_header(memoryview((tmp_path / 'b.safetensors').read_bytes())).metadata
    assert metadata['format'] == 'aliasscope' and metadata['version'] == '1' and metadata['network'] == 'G_ema'
    assert metadata['family'] == 'stylegan3' and metadata['created_by'].startswith('AliasScope ')
    assert metadata['source'] == 'a.pkl' and metadata['source_sha256'] == file_sha256(snapshot)
    assert json.loads(metadata['config'])['img_resolution'] == 16


def test_a_file_that_was_converted_twice_still_names_its_snapshot(snapshot: Path, tmp_path: Path) -> None:
    convert(snapshot, tmp_path / 'b.safetensors')
    convert(tmp_path / 'b.safetensors', tmp_path / 'c.safetensors')
    origin = f'a.pkl (SHA-256 {file_sha256(snapshot)})'
    for name in ('b', 'c'):
        assert load_generator(tmp_path / f'{name}.safetensors').info.origin == origin
    assert load_generator(snapshot).info.origin == ''


def test_the_bundled_weights_say_who_made_them_even_in_a_copy(tmp_path: Path) -> None:
    convert(resolve('demo:'), tmp_path / 'copy.safetensors')
    assert '0 A.D.' in load_generator(tmp_path / 'copy.safetensors').info.origin


def test_the_hash_is_that_of_the_file(snapshot: Path) -> None:
    import hashlib

    expected = hashlib.sha256(snapshot.read_bytes()).hexdigest()
    assert load_checkpoint(snapshot).sha256 == file_sha256(snapshot) == expected


def test_weights_that_are_not_finite_load_with_a_note_that_reaches_the_window(tmp_path: Path) -> None:
    network = tiny()
    network.get_parameter('mapping.fc1.weight').data[0, 0] = float('nan')
    network.get_parameter('mapping.fc1.weight').data[1, 2] = float('-inf')
    network.get_parameter('synthesis.input.weight').data[0, 1] = float('inf')
    path = write_snapshot(tmp_path / 'a.pkl', {'G_ema': network})
    note = '3 values in 2 tensors are not finite (first: synthesis.input.weight); images may be blank.'
    assert note in load_generator(path).info.notes
    convert(path, tmp_path / 'b.safetensors')
    assert note in load_checkpoint(tmp_path / 'b.safetensors').notes


def test_large_finite_weights_are_not_called_infinite(tmp_path: Path) -> None:
    network = tiny()
    network.get_parameter('mapping.fc1.weight').data.fill_(3e38)  # their sum is not finite
    notes = load_checkpoint(write_snapshot(tmp_path / 'a.pkl', {'G_ema': network})).notes
    assert not any('finite' in note for note in notes)


def checkpoint_of(network: torch.nn.Module, path: Path) -> Checkpoint:
    """What a snapshot of `network` holds."""
    return load_checkpoint(write_snapshot(path, {'G_ema': network}))


def test_missing_unexpected_and_misshapen_tensors_are_named(tmp_path: Path) -> None:
    checkpoint = checkpoint_of(tiny(), tmp_path / 'a.pkl')
    tensors = dict(checkpoint.tensors)
    del tensors['mapping.w_avg']
    tensors['extra.weight'] = torch.zeros(1)
    tensors['mapping.fc0.bias'] = torch.zeros(2, 3)
    save_checkpoint(tmp_path / 'b.safetensors', replace(checkpoint, tensors=tensors))
    with pytest.raises(BadFile) as error:
        load_generator(tmp_path / 'b.safetensors')
    sentence = str(error.value)
    assert error.value.code == 'wrong-tensors' and sentence.startswith('b.safetensors does not match its options: ')
    for part in ('mapping.w_avg is missing', 'extra.weight is unexpected', 'mapping.fc0.bias is 2×3 instead of 4'):
        assert part in sentence


def test_a_file_that_another_program_changed_says_which_tensors_no_longer_fit(tmp_path: Path) -> None:
    convert(write_snapshot(tmp_path / 'a.pkl', {'G_ema': tiny()}), tmp_path / 'b.safetensors')
    with safetensors.safe_open(tmp_path / 'b.safetensors', 'pt') as file:
        metadata = file.metadata()
    tensors = safetensors.torch.load_file(tmp_path / 'b.safetensors')
    changed = tensors | {'mapping.fc0.bias': tensors['mapping.fc0.bias'] + 1}
    safetensors.torch.save_file(changed, tmp_path / 'c.safetensors', metadata=metadata)
    with pytest.raises(BadFile, match='its checksum does not match'):
        load_generator(tmp_path / 'c.safetensors')
    misshapen = tensors | {'mapping.fc0.bias': torch.zeros(5)}
    safetensors.torch.save_file(misshapen, tmp_path / 'c.safetensors', metadata=metadata)
    with pytest.raises(BadFile, match=r'mapping\.fc0\.bias is 5 instead of 4'):
        load_generator(tmp_path / 'c.safetensors')
    del metadata['crc32']
    safetensors.torch.save_file(changed, tmp_path / 'c.safetensors', metadata=metadata)
    assert load_generator(tmp_path / 'c.safetensors').info.family == 'stylegan3'


def test_a_discriminator_is_no_generator(snapshot: Path) -> None:
    with pytest.raises(BadFile, match='holds a discriminator, which makes no pictures'):
        load_generator(snapshot, network='D')


def test_a_network_far_larger_than_its_file_is_refused_before_it_is_allocated() -> None:
    config = {'z_dim': 16384, 'c_dim': 0, 'w_dim': 16384, 'img_resolution': 16, 'img_channels': 3}
    with pytest.raises(BadFile, match='far larger than the tensors it holds'):
        build_checked('stylegan2', config, {'a': torch.zeros(1)})  # 4.3 GB a layer


@pytest.mark.parametrize(
    ('key', 'value', 'code'),
    [
        ('format', 'other', 'foreign-safetensors'),
        ('format', None, 'foreign-safetensors'),
        ('format', 'aliasscope-training-state', 'training-state'),
        ('version', '2', 'version'),
        ('version', None, 'version'),
        ('family', 'stylegan2', 'bad-config'),
        ('family', 'os.system', 'unknown-family'),
        ('family', None, 'unknown-family'),
        ('config', '', 'damaged'),
        ('config', '[]', 'damaged'),
        ('config', '{"z_dim": 4', 'damaged'),
        ('config', '[' * 100_000, 'damaged'),
        ('config', '{"z_dim": 1e999}', 'bad-config'),
        ('config', '{}', 'bad-config'),
        ('config', None, 'damaged'),
        ('embedded_code', '[[1]]', 'damaged'),
        ('embedded_code', '7', 'fine'),
        ('something else', 'x', 'fine'),
    ],
)
def test_our_own_metadata_is_checked(tmp_path: Path, key: str, value: str | None, code: str) -> None:
    checkpoint = checkpoint_of(tiny(), tmp_path / 'a.pkl')
    save_checkpoint(tmp_path / 'b.safetensors', checkpoint)
    metadata = dict(read_header(memoryview((tmp_path / 'b.safetensors').read_bytes())).metadata)
    metadata.pop(key, None)
    changed = metadata if value is None else metadata | {key: value}
    write_safetensors(tmp_path / 'c.safetensors', checkpoint.tensors, changed)
    if code == 'fine':
        assert load_checkpoint(tmp_path / 'c.safetensors').family == 'stylegan3'
        return
    with pytest.raises(BadFile) as error:
        load_checkpoint(tmp_path / 'c.safetensors')
    assert error.value.code == code and str(error.value).startswith('c.safetensors ')


def test_options_of_our_own_files_are_bounded_like_those_of_others(tmp_path: Path) -> None:
    checkpoint = checkpoint_of(tiny(), tmp_path / 'a.pkl')
    for name, value in {'img_resolution': 65536, 'channel_base': 10**12, 'unknown': 1, 'num_layers': -1}.items():
        save_checkpoint(tmp_path / 'b.safetensors', replace(checkpoint, config=dict(checkpoint.config) | {name: value}))
        with pytest.raises(BadFile, match=f'asks for .*{name}'):
            load_checkpoint(tmp_path / 'b.safetensors')


def test_a_checkpoint_made_here_can_be_saved_and_opened(tmp_path: Path) -> None:
    network = StyleGAN2(4, 2, 4, 8, 3, channel_base=16, channel_max=4, mapping_kwargs={'num_layers': 1})
    config = {'z_dim': 4, 'c_dim': 2, 'w_dim': 4, 'img_resolution': 8, 'img_channels': 3, 'channel_base': 16}
    config |= {'channel_max': 4, 'mapping_kwargs': {'num_layers': 1}}
    checkpoint = Checkpoint('stylegan2', config, network.state_dict(), '', 'a test')
    save_checkpoint(tmp_path / 'a.safetensors', checkpoint)
    assert load_generator(tmp_path / 'a.safetensors').info.class_count == 2
    assert make_generator(checkpoint).info.class_count == 2


def test_loading_twice_gives_networks_that_share_nothing(snapshot: Path) -> None:
    checkpoint = load_checkpoint(snapshot)
    first, second = make_generator(checkpoint), make_generator(checkpoint)
    with torch.no_grad():
        first.module.get_parameter('mapping.fc0.bias').fill_(7)
    assert not (second.module.get_parameter('mapping.fc0.bias') == 7).any()
    assert not (checkpoint.tensors['mapping.fc0.bias'] == 7).any()


def test_progress_rises_to_the_end_and_an_exception_in_it_stops_the_reading(snapshot: Path, tmp_path: Path) -> None:
    seen: list[float] = []
    load_generator(snapshot, on_progress=lambda done, text: seen.append(done))
    assert seen == sorted(seen) and 0 <= seen[0] < 0.1 and 0.85 < seen[-1] <= 1 and len(seen) > 10

    class Stop(Exception):
        pass

    def stop(done: float, text: str) -> None:
        if done > 0.5:
            raise Stop

    for run in (
        lambda: load_generator(snapshot, on_progress=stop),
        lambda: convert(snapshot, tmp_path / 'b.safetensors', on_progress=stop),
    ):
        with pytest.raises(Stop):
            run()
    assert [path.name for path in tmp_path.iterdir()] == ['a.pkl']


def test_convert_replaces_a_model_but_no_other_file(snapshot: Path, tmp_path: Path) -> None:
    target = tmp_path / 'b.safetensors'
    convert(snapshot, target)
    convert(snapshot, target)
    target.write_text('my notes')
    with pytest.raises(BadFile, match='exists and is no safetensors file; choose another name'):
        convert(snapshot, target)
    assert target.read_text() == 'my notes'


@pytest.mark.parametrize(
    ('target', 'sentence'),
    [
        ('b.pkl', r'must be called something\.safetensors'),
        ('folder.safetensors', 'exists and is not a file'),
        ('missing/b.safetensors', r'There is no folder .*missing'),
    ],
)
def test_convert_says_why_it_does_not_write(snapshot: Path, tmp_path: Path, target: str, sentence: str) -> None:
    (tmp_path / 'folder.safetensors').mkdir()
    with pytest.raises(BadFile, match=sentence):
        convert(snapshot, tmp_path / target)
    assert not (tmp_path / 'missing').exists()


def test_a_file_that_cannot_be_written_is_one_sentence(snapshot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('networks.files.safetensors_file.write_atomically', fail)
    with pytest.raises(BadFile, match=r'^b\.safetensors cannot be written \(No space left on device\)'):
        convert(snapshot, snapshot.with_name('b.safetensors'))


def test_a_mismatching_source_is_not_converted(tmp_path: Path) -> None:
    from tests.networks.hostile import genuine_options

    (tmp_path / 'a.pkl').write_bytes(genuine_options(z_dim=7))
    with pytest.raises(BadFile, match=r'^a\.pkl does not match its options: mapping\.fc0\.weight'):
        convert(tmp_path / 'a.pkl', tmp_path / 'b.safetensors')
    assert not (tmp_path / 'b.safetensors').exists()


def test_names_of_files_are_made_fit_to_print(tmp_path: Path) -> None:
    path = tmp_path / ('a\x1b[31m\n' + 'b' * 200)
    path.write_bytes(b'\x80\x04.')
    with pytest.raises(BadFile) as error:
        load_checkpoint(path)
    assert str(error.value).isprintable() and len(str(error.value)) <= 240

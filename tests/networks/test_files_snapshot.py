"""Official-format snapshots are read bit for bit, whatever wrote them; the control reads them with `pickle` itself."""

import io
import pickle
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from networks.bad_file import BadFile
from networks.build import build_checked
from networks.checkpoint import load_checkpoint
from networks.discriminator import Discriminator
from networks.files.limits import Budget
from networks.files.pickle_calls import SnapshotActions
from networks.files.pickle_extract import Extractor
from networks.files.pickle_machine import PickleMachine
from networks.stylegan2 import Generator as StyleGAN2
from networks.stylegan3 import Generator as StyleGAN3
from tests.networks.hostile import described, dump, root, state_of, storage, tensor, tiny
from tests.networks.pickle_writer import (
    Call,
    Global,
    SnapshotPickler,
    legacy_stream,
    options_of,
    snapshot_bytes,
    write_snapshot,
)

WIDTHS = {'channel_base': 64, 'channel_max': 8}


def make(name: str) -> nn.Module:
    """A tiny network of each family and kind."""
    torch.manual_seed(7)
    if name == 'T':
        return StyleGAN3(8, 0, 8, 16, 3, num_layers=4, **WIDTHS)
    if name == 'R':
        return StyleGAN3(8, 0, 8, 16, 3, num_layers=4, conv_kernel=1, use_radial_filters=True, **WIDTHS)
    if name == 'T conditional':
        return StyleGAN3(8, 3, 8, 16, 3, num_layers=4, **WIDTHS)
    if name == 'SG2':
        return StyleGAN2(8, 0, 8, 16, 3, mapping_kwargs={'num_layers': 2}, **WIDTHS)
    if name == 'SG2 resnet conditional':
        return StyleGAN2(8, 3, 8, 16, 3, mapping_kwargs={'num_layers': 2}, architecture='resnet', **WIDTHS)
    if name == 'D':
        return Discriminator(0, 16, 3, **WIDTHS)
    assert name == 'D frozen conditional'
    return Discriminator(3, 16, 3, block_kwargs={'freeze_layers': 3}, **WIDTHS)


KINDS = ('T', 'R', 'T conditional', 'SG2', 'SG2 resnet conditional', 'D', 'D frozen conditional')


def assert_same(found: dict, module: nn.Module) -> None:
    """Same names, types and bits."""
    expected = module.state_dict()
    assert list(found) and set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype and found[name].shape == value.shape, name
        assert found[name].numpy().tobytes() == value.contiguous().numpy().tobytes(), name


@pytest.mark.parametrize('protocol', [2, 3, 4, 5])
@pytest.mark.parametrize('kind', KINDS)
def test_every_kind_of_network_is_read_bit_for_bit_in_every_protocol(tmp_path: Path, kind: str, protocol: int) -> None:
    module = make(kind)
    network = 'D' if kind.startswith('D') else 'G_ema'
    numpy2, tables = protocol != 3, OrderedDict if protocol in (2, 3) else dict  # as the writers of their time
    path = write_snapshot(
        tmp_path / 'a.pkl',
        {network: module},
        protocol=protocol,
        numpy2=numpy2,
        tables=tables,
        location='cuda:0' if protocol in (3, 5) else 'cpu',
    )
    checkpoint = load_checkpoint(path, network=network)
    assert_same(dict(checkpoint.tensors), module)
    built = build_checked(checkpoint.family, checkpoint.config, checkpoint.tensors)
    assert_same(built.state_dict(), module)


@pytest.mark.parametrize('numpy2', [False, True])
@pytest.mark.parametrize('protocol', [2, 3, 4, 5])
def test_both_spellings_of_numpy_are_read(protocol: int, numpy2: bool) -> None:
    data = snapshot_bytes({'G_ema': make('T')}, protocol=protocol, numpy2=numpy2)
    assert (b'numpy._core' in data) == numpy2
    assert (b'numpy.core' in data) != numpy2
    assert parse(data)['G_ema'].class_name == 'Generator'


def test_each_network_of_a_snapshot_can_be_chosen(tmp_path: Path) -> None:
    modules = {'G': make('T'), 'D': make('D'), 'G_ema': make('T')}
    modules['G'].get_parameter('mapping.fc0.bias').data += 1
    path = write_snapshot(tmp_path / 'a.pkl', modules)
    for name, module in modules.items():
        checkpoint = load_checkpoint(path, network=name)
        assert_same(dict(checkpoint.tensors), module)
        assert checkpoint.network == name
    assert load_checkpoint(path).network == 'G_ema'


def test_a_missing_network_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    path = write_snapshot(tmp_path / 'a.pkl', {'G': make('T'), 'D': make('D'), 'G_ema': None})
    with pytest.raises(BadFile, match=r'a\.pkl has no network "G_ema"; it has G, D\.'):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ('content', 'sentence'),
    [
        ({'G_ema': [1, 2]}, 'a.pkl has a list as G_ema, where a network belongs; open an official snapshot.'),
        (
            {'G_ema': {'w': 1}, 'D': None},
            'a.pkl has a dict as G_ema, where a network belongs; open an official snapshot.',
        ),
        ({'G_ema': torch.zeros(2)}, 'a.pkl has a tensor as G_ema, where a network belongs; open an official snapshot.'),
        ({'G_ema': None}, 'a.pkl is a pickle without G_ema, G or D; open an official snapshot.'),
        ([1], 'a.pkl is a pickle of a list, no StyleGAN snapshot; open an official snapshot.'),
        (None, 'a.pkl is a pickle of nothing, no StyleGAN snapshot; open an official snapshot.'),
    ],
)
def test_what_stands_where_a_network_belongs_is_said(tmp_path: Path, content: object, sentence: str) -> None:
    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(content))
    with pytest.raises(BadFile) as refused:
        load_checkpoint(tmp_path / 'a.pkl')
    assert str(refused.value) == sentence


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_other_number_types_keep_their_bits_and_become_the_network_s_own(tmp_path: Path, dtype: torch.dtype) -> None:
    module = make('T').to(dtype)
    checkpoint = load_checkpoint(write_snapshot(tmp_path / 'a.pkl', {'G_ema': module}))
    weight = checkpoint.tensors['mapping.fc0.weight']
    assert weight.dtype == dtype and torch.equal(weight, module.get_parameter('mapping.fc0.weight'))
    built = build_checked(checkpoint.family, checkpoint.config, checkpoint.tensors)
    assert built.get_parameter('mapping.fc0.weight').dtype == torch.float32


def test_channels_last_weights_are_read_in_their_logical_order(tmp_path: Path) -> None:
    module, plain = make('T'), make('T')
    for name, parameter in module.named_parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
            assert name.endswith('L4_16_3.weight') or not parameter.is_contiguous()
    assert_same(dict(load_checkpoint(write_snapshot(tmp_path / 'a.pkl', {'G_ema': module})).tensors), plain)


def test_tensors_that_share_a_storage_are_read_as_separate_copies(tmp_path: Path) -> None:
    module = make('SG2')
    together = torch.randn(2, 8)
    module.get_parameter('mapping.fc0.bias').data = together[1]
    module.get_parameter('mapping.fc1.bias').data = together[0]
    data = snapshot_bytes({'G_ema': module})
    path = tmp_path / 'a.pkl'
    path.write_bytes(data)
    found = load_checkpoint(path).tensors
    assert torch.equal(found['mapping.fc0.bias'], together[1]) and torch.equal(found['mapping.fc1.bias'], together[0])
    assert found['mapping.fc0.bias'].untyped_storage().nbytes() == 8 * 4


def test_the_older_form_with_synthesis_kwargs_is_read_with_its_own_defaults(tmp_path: Path) -> None:
    module = make('SG2')
    nested = {'channel_base': 64, 'channel_max': 8}
    options = {name: getattr(module, name) for name in ('z_dim', 'c_dim', 'w_dim', 'img_resolution', 'img_channels')}
    options |= {'mapping_kwargs': {'num_layers': 2}, 'synthesis_kwargs': nested}
    for child in module.modules():
        vars(child).pop('clamp', None)
        for name in ('half_precision', 'w_avg_beta', 'num_layers'):
            vars(child).pop(name, None)
    path = write_snapshot(tmp_path / 'a.pkl', {'G_ema': module}, options={'G_ema': options})
    config = load_checkpoint(path).config
    assert 'synthesis_kwargs' not in config
    assert (config['conv_clamp'], config['num_fp16_res'], config['channel_base']) == (None, 0, 64)
    assert config['mapping_kwargs'] == {'w_avg_beta': 0.995, 'num_layers': 2}


def test_options_the_constructor_was_not_told_come_from_the_attributes_of_the_layers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = StyleGAN2(8, 0, 8, 16, 3, conv_clamp=7.5, num_fp16_res=1, architecture='orig', **WIDTHS)
    options = {name: value for name, value in options_of(module).items() if name in ('channel_base', 'channel_max')}
    path = write_snapshot(tmp_path / 'a.pkl', {'G_ema': module}, options={'G_ema': options})
    config = load_checkpoint(path).config
    assert config['mapping_kwargs'] == {'num_layers': 8, 'w_avg_beta': 0.998}
    told = ('conv_clamp', 'num_fp16_res', 'architecture', 'img_resolution', 'z_dim')
    assert [config[name] for name in told] == [7.5, 1, 'orig', 16, 8]


def test_positional_arguments_of_the_constructor_are_understood() -> None:
    from networks.files.families import stated_options

    module = described(state_of(_init_args=(1, 2, 3, 4, 5), _init_kwargs={'w_dim': 7}))
    data = root(module)
    budget = Budget()
    found = parse(data)['G_ema']
    options = stated_options(found, 'stylegan3', Extractor(memoryview(data), budget))
    assert options == {'z_dim': 1, 'c_dim': 2, 'w_dim': 7, 'img_resolution': 4, 'img_channels': 5}


def test_an_unknown_class_outside_the_wanted_network_is_left_out_and_said(tmp_path: Path) -> None:
    module = make('T')
    foreign = Call(Global('timm.models', 'ViT'), {'a': 1})
    path = write_snapshot(tmp_path / 'a.pkl', {'G_ema': module, 'D': foreign})
    checkpoint = load_checkpoint(path)
    assert_same(dict(checkpoint.tensors), module)
    assert 'Parts of an unknown kind were left out: timm.models.ViT.' in checkpoint.notes
    with pytest.raises(BadFile, match='D of a kind this program does not know'):
        load_checkpoint(path, network='D')


def test_a_dangerous_name_outside_the_wanted_network_is_refused_all_the_same(tmp_path: Path) -> None:
    evil = Call(Global('os', 'system'), 'false')
    unknown = Call(Global('timm.models', 'ViT'))
    path = write_snapshot(tmp_path / 'a.pkl', {'G_ema': make('T'), 'D': unknown}, extra={'later': evil})
    with pytest.raises(BadFile, match=r'"os\.system"') as error:
        load_checkpoint(path)
    assert error.value.code == 'attack'


def test_program_text_is_measured_and_hashed_and_not_kept(tmp_path: Path) -> None:
    import hashlib

    text = 'raise SystemExit\n' * 1000
    path = write_snapshot(tmp_path / 'a.pkl', {'G_ema': make('T'), 'D': make('D')}, module_src=text)
    checkpoint = load_checkpoint(path)
    assert checkpoint.embedded_code == ((17_000, hashlib.sha256(text.encode()).hexdigest()),)
    assert 'The file carries program text (1 part, 17 kB); it was not run.' in checkpoint.notes


def test_frozen_layers_kept_as_buffers_are_found_under_the_same_names() -> None:
    module = make('D frozen conditional')
    assert 'b16.fromrgb.weight' in dict(module.named_buffers())
    data = snapshot_bytes({'D': module})
    views = Extractor(memoryview(data), Budget()).tensors(parse(data)['D'])
    assert set(views) == set(module.state_dict())


def parse(data: bytes) -> dict:
    """The inert tree of a snapshot."""
    budget = Budget()
    view = memoryview(data)
    root = PickleMachine(view, 0, len(view), budget=budget, actions=SnapshotActions(view, budget)).run()
    assert isinstance(root, dict)
    return root


def test_control_python_s_own_unpickler_reads_the_same_numbers_from_our_writer() -> None:
    module = make('R')
    for protocol in (2, 3, 4, 5):
        data = snapshot_bytes({'G_ema': module}, protocol=protocol)
        found = dict(flattened(Stubs(io.BytesIO(data)).load()['G_ema']))
        assert_same(found, module)


class Stubs(pickle.Unpickler):
    """Reads our own files with the standard library; torch's real functions rebuild the tensors."""

    def find_class(self, module: str, name: str) -> object:
        """The real thing where there is one, else a stand-in."""
        if module == 'torch_utils.persistence':
            return lambda meta: meta
        return dict if module == 'dnnlib.util' else super().find_class(module, name)


def flattened(meta: dict, prefix: str = '') -> Iterator[tuple[str, torch.Tensor]]:
    """Tensors of a network description by dotted name."""
    state = meta['state']
    for name, value in [*state['_parameters'].items(), *state['_buffers'].items()]:
        if value is not None:
            yield prefix + name, value.detach()
    for name, child in state['_modules'].items():
        if child is not None:
            yield from flattened(child, f'{prefix}{name}.')


def test_a_stream_that_torch_itself_wrote_is_read() -> None:
    values = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    data = pickle.dumps({'a': values, 'b': values.t()}, protocol=4)
    found = parse(data)
    extractor = Extractor(memoryview(data), Budget())
    assert torch.equal(extractor.read(found['a']), values)
    assert torch.equal(extractor.read(found['b']), values.t())


@pytest.mark.parametrize(
    'dtype', [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool, torch.float16, torch.bfloat16]
)
def test_every_element_type_is_read(dtype: torch.dtype) -> None:
    values = torch.tensor([0, 1, 1, 0, 1, 1]).to(dtype)
    data = dump({'a': values.reshape(2, 3)})
    found = Extractor(memoryview(data), Budget()).read(parse(data)['a'])
    assert found.dtype == dtype and torch.equal(found, values.reshape(2, 3))


def test_empty_and_zero_dimensional_tensors_are_read() -> None:
    data = dump({'a': torch.zeros(0, 3), 'b': torch.tensor(2.5)})
    extractor = Extractor(memoryview(data), Budget())
    assert extractor.read(parse(data)['a']).shape == (0, 3)
    assert extractor.read(parse(data)['b']).item() == 2.5


def test_numpy_values_among_options_become_plain_numbers() -> None:
    values = {
        'a': np.float64(0.25),
        'b': np.bool_(True),
        'c': np.int64(-3),
        'd': np.array([4, 5], dtype=np.int64),
        'e': np.array([[1.5, 2.5]], dtype=np.float32),
        'f': torch.Size([1, 2]),
    }
    for protocol in (2, 3, 4, 5):
        data = dump(values, protocol)
        plain = Extractor(memoryview(data), Budget()).plain(parse(data))
        assert plain == {'a': 0.25, 'b': True, 'c': -3, 'd': [4, 5], 'e': [[1.5, 2.5]], 'f': [1, 2]}


def test_old_names_of_tensors_and_moved_packages_are_known() -> None:
    old = Call(Global('torch._utils', '_rebuild_tensor'), storage(), 0, (4,), (1,))
    moved = Call(
        Global('src.torch_utils.persistence', '_reconstruct_persistent_obj'), meta_of(state_of(_buffers={'a': old}))
    )
    data = root(moved)
    views = Extractor(memoryview(data), Budget()).tensors(parse(data)['G_ema'])
    assert torch.equal(Extractor(memoryview(data), Budget()).read(views['a']), torch.arange(4.0))


def meta_of(state: dict) -> dict:
    """A description of a network."""
    return {'type': 'class', 'version': 6, 'module_src': '', 'class_name': 'G', 'state': state}


def test_a_repeated_view_within_the_allowance_is_read() -> None:
    data = dump({'a': tensor(storage(), size=(3, 4), stride=(0, 1))})
    found = Extractor(memoryview(data), Budget()).read(parse(data)['a'])
    assert torch.equal(found, torch.arange(4.0).expand(3, 4))


def test_the_legacy_stream_of_the_writer_is_what_torch_writes() -> None:
    values = torch.arange(5.0)
    buffer = io.BytesIO()
    torch.save(values.untyped_storage(), buffer, _use_new_zipfile_serialization=False)
    ours = legacy_stream(values)
    assert ours[:100] == buffer.getvalue()[:100]  # magic, version, system
    assert ours[-20:] == buffer.getvalue()[-20:]  # elements


def test_the_writer_pickles_plain_values_as_python_does() -> None:
    value = {'a': [1, 2.5, None, True, (3, 'x')], 'b': b'123', 'c': {1, 2}}
    for protocol in (2, 3, 4, 5):
        buffer = io.BytesIO()
        SnapshotPickler(buffer, protocol).dump(value)
        assert pickle.loads(buffer.getvalue()) == value


def test_reading_a_model_draws_no_random_numbers(tmp_path: Path) -> None:
    path = tmp_path / 'a.pkl'
    path.write_bytes(snapshot_bytes({'G_ema': tiny()}))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    checkpoint = load_checkpoint(path)
    build_checked(checkpoint.family, checkpoint.config, checkpoint.tensors)
    assert torch.equal(torch.rand(3), expected)

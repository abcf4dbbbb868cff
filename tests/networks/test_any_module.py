"""A decoder that somebody else wrote."""

import pytest
import torch
from torch import nn

from networks.adapters.any_module import AnyModule
from networks.adapters.wrap import wrap


class Twice(nn.Module):
    """Runs one layer two times."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Linear(5, 3 * 16)
        self.again = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.again(self.again(self.start(z).reshape(-1, 3, 4, 4)))


def test_layers_are_those_that_yield_maps_in_the_order_of_execution():
    info = wrap(Twice(), title='mine').info
    assert [(one.name, one.channels, one.height, one.width) for one in info.layers] == [
        ('again', 3, 4, 4),
        ('again#2', 3, 4, 4),
    ]
    assert (info.title, info.family, info.resolution, info.image_channels) == ('mine', 'module', 4, 3)


def test_the_latent_is_z_itself():
    module = Twice()
    adapter = wrap(module)
    z = torch.randn(2, 5, dtype=torch.float64)
    ws = adapter.latents(z)
    assert ws.shape == (2, 1, 5)
    torch.testing.assert_close(adapter.synthesize(ws), module(z.float()))


def test_a_latent_may_be_a_map():
    module = nn.Sequential(nn.ConvTranspose2d(4, 8, 4), nn.Conv2d(8, 1, 1))
    adapter = AnyModule(module, latent_shape=(4, 2, 2))
    assert adapter.info.z_dim == 16
    assert adapter.synthesize(adapter.latents(torch.randn(3, 16))).shape == (3, 1, 5, 5)
    assert wrap(module).info.z_dim == 4  # one pixel, where nobody says more


def test_everything_that_is_missing_has_a_reason():
    adapter = wrap(Twice())
    assert adapter.info.capabilities == frozenset()
    for name in ('transform', 'filters', 'noise', 'truncation', 'style_mixing', 'classes'):
        assert str(adapter.info.why_not(name)).endswith('.')
    with pytest.raises(ValueError, match='no input that can be moved'):
        adapter.transform(torch.eye(3))
    with pytest.raises(ValueError, match=r"'again\.weight'"):
        adapter.synthesize(torch.zeros(1, 1, 5), {'again.weight': torch.zeros(1)})
    assert adapter.average() is None
    assert adapter.filters() == {}


def test_a_module_that_yields_no_image_is_refused():
    with pytest.raises(ValueError, match=r'\(1, 7\)'):
        wrap(nn.Linear(3, 7))


def test_a_module_with_unknown_latents_asks_for_them():
    with pytest.raises(ValueError, match='latent_shape='):
        wrap(nn.ReLU())
    with pytest.raises(ValueError, match='latent_shape='):
        AnyModule(Twice(), z_dim=6)


def test_no_hook_stays_behind():
    module = Twice()
    wrap(module)
    assert not any(one._forward_hooks for one in module.modules())

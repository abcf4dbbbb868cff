"""The mapping network: normalisation, truncation, the average, classes."""

import pytest
import torch

from networks.config import MappingConfig
from networks.mapping import MappingNetwork


def mapping(c_dim: int = 0, num_ws: int | None = 5, **options: object) -> MappingNetwork:
    torch.manual_seed(0)
    config = MappingConfig(num_layers=2, lr_multiplier=1.0, **options)
    return MappingNetwork(6, c_dim, 4, num_ws, config).requires_grad_(False)


def test_the_length_of_z_does_not_matter():
    network, z = mapping(), torch.randn(3, 6)
    torch.testing.assert_close(network(7 * z), network(z))


def test_truncation_to_nothing_yields_the_average_in_the_truncated_rows_only():
    network, z = mapping(), torch.randn(3, 6)
    network.w_avg.copy_(torch.randn(4))
    ws = network(z, truncation_psi=0.0, truncation_cutoff=2)
    assert torch.equal(ws[:, :2], network.w_avg.expand(3, 2, 4))
    assert torch.equal(ws[:, 2:], network(z)[:, 2:])


def test_truncation_without_a_cutoff_takes_every_row_and_with_zero_none():
    network, z = mapping(), torch.randn(3, 6)
    network.w_avg.copy_(torch.randn(4))
    plain = network(z)
    halfway = (plain + network.w_avg) / 2
    torch.testing.assert_close(network(z, truncation_psi=0.5), halfway)
    assert torch.equal(network(z, truncation_psi=0.5, truncation_cutoff=0), plain)


def test_the_average_moves_towards_the_batch_by_its_decay():
    network, z = mapping(w_avg_beta=0.75), torch.randn(3, 6)
    before = network.w_avg.copy_(torch.randn(4)).clone()
    ws = network(z, update_emas=True)
    torch.testing.assert_close(network.w_avg, 0.75 * before + 0.25 * ws[:, 0].mean(0))


def test_the_class_changes_the_latent():
    network, z = mapping(c_dim=3), torch.randn(1, 6)
    one, other = (network(z, torch.eye(3)[index : index + 1]) for index in (0, 1))
    assert not torch.allclose(one, other)


def test_a_missing_class_is_named():
    with pytest.raises(ValueError, match=r'\[batch, 3\], got None'):
        mapping(c_dim=3)(torch.randn(1, 6))


def test_without_an_average_truncation_says_so():
    with pytest.raises(ValueError, match='keeps none'):
        mapping(w_avg_beta=None)(torch.randn(1, 6), truncation_psi=0.5)


def test_a_network_with_neither_latent_nor_class_is_refused():
    with pytest.raises(ValueError, match='0 and 0'):
        MappingNetwork(0, 0, 4, None, MappingConfig(num_layers=2))

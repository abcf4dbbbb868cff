"""The discriminator: groups of the batch, frozen layers, classes."""

import pytest
import torch

from networks.discriminator import Discriminator, MinibatchStd


def judge(c_dim: int = 0, **options: object) -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(c_dim, 16, 3, channel_base=64, channel_max=8, **options)


def test_identical_samples_have_no_deviation_but_epsilon():
    x = torch.randn(1, 6, 4, 4).expand(4, -1, -1, -1)
    extra = MinibatchStd(4)(x)[:, 6]
    torch.testing.assert_close(extra, torch.full_like(extra, 1e-4))  # sqrt of 1e-8


def test_groups_are_strided():
    pair = torch.randn(2, 6, 4, 4)
    alternating = pair.repeat(4, 1, 1, 1)  # a b a b …: with groups {0, 2, 4, 6} and {1, 3, 5, 7} nothing varies
    torch.testing.assert_close(MinibatchStd(4)(alternating)[:, 6], torch.full((8, 4, 4), 1e-4))
    consecutive = pair.repeat_interleave(4, 0)
    assert (MinibatchStd(4)(consecutive)[:, 6] > 0.1).all()


def test_the_deviation_is_biased_and_averaged_over_the_picture():
    x = torch.zeros(2, 1, 2, 2)
    x[1] = 3.0
    extra = MinibatchStd(2)(x)[:, 1]
    torch.testing.assert_close(extra, torch.full_like(extra, 1.5))  # sqrt(mean(1.5², 1.5²))


def test_a_batch_that_cannot_be_divided_is_named():
    with pytest.raises(ValueError, match='batch of 6'):
        MinibatchStd(4)(torch.zeros(6, 4, 4, 4))


@pytest.mark.parametrize('architecture', ['orig', 'skip', 'resnet'])
def test_each_sample_gets_one_score(architecture: str):
    scores = judge(architecture=architecture)(torch.randn(4, 3, 16, 16))
    assert scores.shape == (4, 1)
    assert scores.isfinite().all()


def test_frozen_layers_are_no_parameters_and_keep_their_names_and_values():
    free, frozen = judge(), judge(block_kwargs={'freeze_layers': 2})
    assert set(frozen.state_dict()) == set(free.state_dict())
    hidden = {name for name, _ in free.named_parameters()} - {name for name, _ in frozen.named_parameters()}
    assert hidden == {'b16.fromrgb.weight', 'b16.fromrgb.bias', 'b16.conv0.weight', 'b16.conv0.bias'}
    frozen.load_state_dict(free.state_dict())
    image = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(frozen(image), free(image))


def test_the_score_depends_on_the_class():
    conditional = judge(c_dim=3)
    image = torch.randn(1, 3, 16, 16)
    scores = [conditional(image, torch.eye(3)[index : index + 1]).item() for index in range(3)]
    assert len(set(scores)) == 3


def test_a_picture_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r'\(1, 3, 8, 8\)'):
        judge()(torch.zeros(1, 3, 8, 8))

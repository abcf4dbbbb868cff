import pytest
import torch

from networks.feature_network import CHANNELS, FeatureNetwork, load_features
from networks.projected_discriminator import ProjectedDiscriminator


def test_the_features_have_four_strides_and_nothing_to_learn():
    features = load_features()
    found = features(torch.zeros(1, 3, 64, 64))
    assert [tuple(x.shape) for x in found] == [
        (1, channels, side, side) for channels, side in zip(CHANNELS, (32, 16, 8, 4), strict=True)
    ]
    assert not list(features.parameters())


def test_the_features_know_a_checkerboard_from_a_plain_picture():
    """Untrained weights would not: the file's are checked by what they were learned for."""
    board = (torch.arange(64)[:, None] // 8 + torch.arange(64) // 8) % 2 * 2.0 - 1
    noise = torch.randn(64, 64, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    pictures = torch.stack([board, -board, noise, torch.zeros(64, 64)])[:, None].expand(-1, 3, -1, -1)
    vectors = load_features()(pictures)[-1].mean([2, 3])
    vectors = vectors / vectors.norm(dim=1, keepdim=True)
    alike = vectors @ vectors.t()
    assert alike[0, 1] > max(alike[0, 2], alike[0, 3], alike[1, 2], alike[1, 3])


def test_scores_are_64_per_image_and_depend_on_the_class():
    torch.manual_seed(0)
    discriminator = ProjectedDiscriminator(2, 64, width=8)
    image = torch.randn(1, 3, 64, 64)
    first, second = (discriminator(image, torch.eye(2)[index : index + 1]) for index in range(2))
    assert first.shape == (1, 64)
    assert not torch.equal(first, second)


def test_only_the_heads_learn_and_the_image_gets_a_gradient():
    discriminator = ProjectedDiscriminator(0, 64, width=8, features=FeatureNetwork())
    assert all(name.startswith('heads.') for name, _ in discriminator.named_parameters())
    image = torch.randn(1, 3, 64, 64, requires_grad=True)
    ProjectedDiscriminator(0, 64, width=8)(image).sum().backward()
    assert image.grad is not None
    assert float(image.grad.abs().max()) > 0


def test_images_too_small_for_four_scales_are_refused():
    with pytest.raises(ValueError, match='64 pixels or more, got 32'):
        ProjectedDiscriminator(0, 32, features=FeatureNetwork())

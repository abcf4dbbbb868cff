import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from networks.discriminator import Discriminator
from tests.networks.small import small_ladder, small_stylegan2
from training.gan_loss import PHASES, GanBatch, GanLoss, LossConfig, blur, blur_sigma, path_lengths, squared_gradients
from training.random_source import TorchRandom

SIDE = 8


class LinearGenerator(nn.Module):
    """z is w, and the image is `factor` times the first latent, pixel by pixel; counts how often averages were to move."""

    def __init__(self, num_ws: int = 1) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(2.0))
        self.num_ws = num_ws
        self.average_moves = 0

    def mapping(self, z: Tensor, c: Tensor, *, update_emas: bool = False) -> Tensor:
        self.average_moves += update_emas
        return z[:, None].repeat(1, self.num_ws, 1).requires_grad_(True)

    def synthesis(self, ws: Tensor, *, update_emas: bool = False) -> Tensor:
        self.last_ws = ws
        return (self.factor * ws[:, 0]).reshape(-1, 1, SIDE, SIDE)


class LinearDiscriminator(nn.Module):
    """The score is a · x."""

    def __init__(self, a: Tensor) -> None:
        super().__init__()
        self.a = nn.Parameter(a)

    def forward(self, images: Tensor, c: Tensor) -> Tensor:
        return images.flatten(1) @ self.a[:, None]


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def linear_loss(augment: Any = None, *, num_ws: int = 1, **options: Any) -> GanLoss:
    generator, discriminator = LinearGenerator(num_ws), LinearDiscriminator(0.3 * random(SIDE**2, seed=1))
    return GanLoss(generator, discriminator, LossConfig(**options), augment=augment)


def networks(loss: GanLoss) -> tuple[LinearGenerator, LinearDiscriminator]:
    return loss._generator, loss._discriminator


def batch(count: int = 4) -> GanBatch:
    none = torch.zeros(count, 0)
    return GanBatch(random(count, 1, SIDE, SIDE, seed=2), none, random(count, SIDE**2, seed=3), none)


def seeded(seed: int = 0) -> TorchRandom:
    return TorchRandom(torch.Generator().manual_seed(seed))


# The adversarial loss


def test_the_generator_minimises_minus_log_of_the_probability_that_its_images_are_real():
    loss = linear_loss()
    generator, discriminator = networks(loss)
    report = loss.accumulate('Gmain', batch())
    scores = 2 * batch().z @ discriminator.a.detach()[:, None]
    torch.testing.assert_close(report['Loss/scores/fake'], scores)
    torch.testing.assert_close(report['Loss/signs/fake'], scores.sign())
    torch.testing.assert_close(report['Loss/G/loss'], -scores.sigmoid().log())
    expected = ((scores.sigmoid() - 1) * scores / 2).mean()  # d/df of -log sigmoid(f s), at f = 2
    torch.testing.assert_close(generator.factor.grad, expected)


def test_the_discriminator_minimises_minus_log_of_the_probability_of_the_truth():
    loss = linear_loss()
    _, discriminator = networks(loss)
    report = loss.accumulate('Dmain', batch())
    a = discriminator.a.detach()[:, None]
    reals, fakes = batch().real_images.flatten(1), 2 * batch().z
    real, fake = (reals @ a).sigmoid(), (fakes @ a).sigmoid()
    torch.testing.assert_close(report['Loss/D/loss'], -real.log() - (1 - fake).log())
    expected = ((real - 1) * reals + fake * fakes).mean(0)
    torch.testing.assert_close(discriminator.a.grad, expected)


@pytest.mark.parametrize('phase', PHASES)
def test_the_gain_scales_the_gradients_and_not_what_is_reported(phase: Any):
    reports, gradients = [], []
    for gain in (1.0, 4.0):
        loss = linear_loss(path_length_weight=2.0)
        reports.append(loss.accumulate(phase, batch(), gain=gain, source=seeded()))
        subject = networks(loss)[0 if phase[0] == 'G' else 1]
        gradients.append(next(subject.parameters()).grad)
    torch.testing.assert_close(gradients[1], 4 * gradients[0])
    torch.testing.assert_close(reports[1], reports[0])


@pytest.mark.parametrize('phase', PHASES)
def test_only_the_network_of_the_phase_learns(phase: Any):
    loss = linear_loss(path_length_weight=2.0)
    loss.accumulate(phase, batch(), source=seeded())
    generator, discriminator = networks(loss)
    assert (generator.factor.grad is not None) == (phase[0] == 'G')
    assert (discriminator.a.grad is not None) == (phase[0] == 'D')
    assert generator.factor.requires_grad and discriminator.a.requires_grad


def test_a_phase_of_both_terms_adds_what_its_two_phases_add():
    gradients = []
    for phases in (['Dmain', 'Dreg'], ['Dboth']):
        loss = linear_loss(r1_gamma=3.0)
        for phase in phases:
            loss.accumulate(phase, batch())  # type: ignore[arg-type]
        gradients.append(networks(loss)[1].a.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize(('phase', 'moves'), [('Gmain', 0), ('Gboth', 0), ('Dmain', 1), ('Dreg', 0), ('Dboth', 1)])
def test_averages_inside_the_generator_move_where_the_discriminator_learns_from_it(phase: Any, moves: int):
    loss = linear_loss(path_length_weight=2.0)
    loss.accumulate(phase, batch(), source=seeded())
    assert networks(loss)[0].average_moves == moves


def test_after_an_error_the_frozen_network_learns_again():
    loss = linear_loss(augment=lambda images, source: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        loss.accumulate('Gmain', batch())
    assert networks(loss)[1].a.requires_grad


def test_a_phase_without_weight_reports_nothing_and_leaves_no_gradient():
    loss = linear_loss(r1_gamma=0.0)
    assert loss.accumulate('Greg', batch()) == {} and loss.accumulate('Dreg', batch()) == {}
    assert all(parameter.grad is None for network in networks(loss) for parameter in network.parameters())


def test_a_phase_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="'Gsome'"):
        linear_loss().accumulate('Gsome', batch())  # type: ignore[arg-type]


# R1


def test_r1_of_a_linear_discriminator_is_half_gamma_times_the_squared_length_of_its_weights():
    loss = linear_loss(r1_gamma=5.0)
    a = networks(loss)[1].a
    report = loss.accumulate('Dreg', batch())
    squared = a.detach().square().sum()
    torch.testing.assert_close(report['Loss/r1_penalty'], squared.expand(4))
    torch.testing.assert_close(report['Loss/D/reg'], (2.5 * squared).expand(4))
    torch.testing.assert_close(a.grad, 5 * a.detach())


def test_r1_is_taken_at_the_image_before_it_is_augmented():
    loss = linear_loss(augment=lambda images, source: 3 * images)
    squared = networks(loss)[1].a.detach().square().sum()
    torch.testing.assert_close(loss.accumulate('Dreg', batch())['Loss/r1_penalty'], (9 * squared).expand(4))


def test_r1_of_each_image_is_its_own():
    images = random(3, 1, 2, 2).requires_grad_(True)
    lengths = squared_gradients(images.square().sum([1, 2, 3])[:, None], images)
    torch.testing.assert_close(lengths, 4 * images.square().sum([1, 2, 3]))


# Path length


@pytest.mark.parametrize('side', [4, 16])
def test_path_length_of_a_linear_generator_with_orthogonal_columns_is_chi_distributed(side: int):
    features, count, scale = 9, 4000, 3.0
    columns, _ = torch.linalg.qr(random(side**2, features))
    matrix = scale * side * columns  # the noise is divided by the side
    ws = random(count, 1, features, seed=1).requires_grad_(True)
    images = (ws[:, 0] @ matrix.t()).reshape(count, 1, side, side)
    lengths = path_lengths(images, ws, random(*images.shape, seed=2)) / scale
    # Chi with 9 degrees of freedom: sqrt(2) Gamma(5) / Gamma(4.5); its square has the mean 9.
    mean = math.sqrt(2) * math.gamma(5) / math.gamma(4.5)
    assert float(lengths.mean()) == pytest.approx(mean, abs=5 * 0.7 / math.sqrt(count))
    assert float(lengths.square().mean()) == pytest.approx(features, rel=0.04)
    assert float(lengths.std()) == pytest.approx(math.sqrt(features - mean**2), rel=0.06)


def test_path_length_averages_the_squares_over_the_layers():
    ws = random(2, 4, 1).requires_grad_(True)
    images = (ws[:, :1] * 3)[..., None]  # one pixel; three of the four layers do nothing
    noise = torch.full((2, 1, 1, 1), 2.0)
    torch.testing.assert_close(path_lengths(images, ws, noise), torch.full((2,), math.sqrt(36 / 4)))


def test_the_penalty_is_the_distance_from_a_mean_that_moved_first_and_is_differentiated_with_it():
    loss = linear_loss(path_length_weight=2.0, path_length_decay=0.25, path_length_batch_shrink=4)
    loss.path_length_mean = torch.tensor(1.0)
    report = loss.accumulate('Greg', batch(), source=seeded())
    noise = seeded().normal((1, 1, SIDE, SIDE))  # of one image: a quarter of the batch
    slope = noise.norm() / SIDE  # the length is factor times this
    length = 2 * slope
    mean = 0.75 * 1.0 + 0.25 * length
    torch.testing.assert_close(loss.path_length_mean, mean)
    torch.testing.assert_close(report['Loss/pl_penalty'], (length - mean).square()[None])
    torch.testing.assert_close(report['Loss/G/reg'], 2 * (length - mean).square()[None])
    torch.testing.assert_close(networks(loss)[0].factor.grad, 2 * 2 * (length - mean) * 0.75 * slope)


# Style mixing, blur, draws


def test_style_mixing_takes_the_later_layers_from_other_latents_but_never_the_first():
    firsts = set()
    for seed in range(30):
        loss = linear_loss(style_mixing=1.0, num_ws=4)
        loss.accumulate('Gmain', batch(), source=seeded(seed))
        own = batch().z[:, None].expand(-1, 4, -1)
        kept = (networks(loss)[0].last_ws == own).all(2).all(0)
        first = int(kept.sum())
        assert kept.tolist() == [True] * first + [False] * (4 - first)
        firsts.add(first)
    assert firsts == {1, 2, 3}


def test_style_mixing_happens_to_the_given_share_of_minibatches():
    mixed = 0
    loss = linear_loss(style_mixing=0.25, num_ws=3)
    source = seeded()
    for _ in range(400):
        loss.accumulate('Gmain', batch(1), source=source)
        mixed += not bool((networks(loss)[0].last_ws[:, 0] == networks(loss)[0].last_ws[:, 2]).all())
    assert mixed / 400 == pytest.approx(0.25, abs=0.07)


def test_the_blur_fades_linearly_with_the_images_seen():
    config = LossConfig(blur_initial_sigma=10, blur_fade_kimg=2)
    assert [blur_sigma(config, seen) for seen in (0, 500, 2000, 9000)] == [10, 7.5, 0, 0]
    assert blur_sigma(LossConfig(blur_initial_sigma=10), 0) == 0


def test_the_blur_halves_at_sigma_and_keeps_the_mean():
    impulse = torch.zeros(1, 1, 41, 41)
    impulse[..., 20, 20] = 1
    kernel = blur(impulse, 4.0)[0, 0]
    assert float(kernel.sum()) == pytest.approx(1, abs=1e-5)
    assert float(kernel[20, 24] / kernel[20, 20]) == pytest.approx(0.5, abs=1e-5)
    assert float(kernel[28, 20] / kernel[20, 20]) == pytest.approx(2**-4, abs=1e-5)
    assert float(kernel[20, 33]) == 0 and float(kernel[20, 32]) > 0


@pytest.mark.parametrize('phase', ['Gmain', 'Dmain'])
def test_the_discriminator_sees_reals_and_fakes_blurred(phase: Any):
    loss = linear_loss(blur_initial_sigma=1.0, blur_fade_kimg=1.0)
    a = networks(loss)[1].a.detach()[:, None]
    report = loss.accumulate(phase, batch(), images_seen=250)
    fakes = (2 * batch().z).reshape(-1, 1, SIDE, SIDE)
    torch.testing.assert_close(report['Loss/scores/fake'], blur(fakes, 0.75).flatten(1) @ a)
    if phase == 'Dmain':
        torch.testing.assert_close(report['Loss/scores/real'], blur(batch().real_images, 0.75).flatten(1) @ a)


def small_gan(generator: nn.Module) -> GanLoss:
    torch.manual_seed(1)
    discriminator = Discriminator(0, 32, 3, channel_base=256, channel_max=8)
    return GanLoss(generator.requires_grad_(True), discriminator, LossConfig(path_length_weight=2.0, style_mixing=0.9))


def small_batch() -> GanBatch:
    none = torch.zeros(4, 0)
    return GanBatch(random(4, 3, 32, 32), none, random(4, 16), none)


def test_with_the_same_source_a_phase_is_repeated_exactly_noise_inputs_included():
    scores = []
    for global_seed in (0, 1):
        loss = small_gan(small_stylegan2())
        torch.manual_seed(global_seed)
        scores.append(loss.accumulate('Gboth', small_batch(), source=seeded(5)))
    torch.testing.assert_close(scores[0], scores[1], rtol=0, atol=0)


@pytest.mark.parametrize('build', [small_ladder, small_stylegan2])
def test_following_the_gradients_of_its_phase_lowers_the_loss_of_a_real_network(build: Any):
    loss = small_gan(build())
    for phase, name in (('Gmain', 'Loss/G/loss'), ('Dmain', 'Loss/D/loss')):
        parameters = list((loss._generator if phase == 'Gmain' else loss._discriminator).parameters())
        before = loss.accumulate(phase, small_batch(), source=seeded())[name].mean()  # type: ignore[arg-type]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in parameters]
        length = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= 1e-2 * gradient / length
        after = loss.accumulate(phase, small_batch(), source=seeded())[name].mean()  # type: ignore[arg-type]
        assert float(before - after) == pytest.approx(1e-2 * float(length), rel=0.2), phase


def test_our_loss_equals_torchs_own_formula_far_from_zero():
    loss = linear_loss()
    with torch.no_grad():
        networks(loss)[1].a.mul_(1000)
    report = loss.accumulate('Gmain', batch())
    torch.testing.assert_close(report['Loss/G/loss'], -F.logsigmoid(report['Loss/scores/fake']))


# What the twins need beyond the papers


def test_pixels_outside_the_range_are_penalized_by_the_square_of_how_far_they_lie_outside():
    loss, plain = linear_loss(range_weight=3.0), linear_loss()
    images = 2 * batch().z
    outside = (images.abs() - 1).clamp(min=0)
    loss.accumulate('Gmain', batch())
    plain.accumulate('Gmain', batch())
    expected = (3 * 2 * outside * images.sign() * batch().z).mean()  # d/df of the mean of (|f z| - 1)², at f = 2
    torch.testing.assert_close(networks(loss)[0].factor.grad - networks(plain)[0].factor.grad, expected)


def test_given_fakes_take_the_place_of_generated_ones():
    loss, own = linear_loss(), linear_loss()
    generator, discriminator = networks(loss)
    fakes = loss.fakes(batch(), seeded(), for_both=True)
    assert generator.average_moves == 1
    loss.accumulate('Dmain', batch(), fakes=fakes)
    assert generator.factor.grad is None
    own.accumulate('Dmain', batch())
    torch.testing.assert_close(discriminator.a.grad, networks(own)[1].a.grad)
    loss.accumulate('Gmain', batch(), fakes=fakes)
    own.accumulate('Gmain', batch())
    torch.testing.assert_close(generator.factor.grad, networks(own)[0].factor.grad)
    assert generator.average_moves == 1


def test_r1_of_several_scores_is_that_of_their_mean():
    images = random(2, 1, SIDE, SIDE).requires_grad_(True)
    scores = torch.stack([images.sum([1, 2, 3]), 3 * images.sum([1, 2, 3])], 1)
    torch.testing.assert_close(squared_gradients(scores, images), torch.full((2,), 4.0 * SIDE**2))

"""One phase of the training of StyleGAN2 and StyleGAN3: what is minimised, and the gradients of it.

Non-saturating logistic loss, R1 (Mescheder et al. 2018), path length regularization and style mixing (Karras et al. 2019,
2020), augmentation (2020 b), blur of everything the discriminator sees at first (2021, Appendix F.2).
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from networks.stylegan2 import SynthesisNetwork as StyleGAN2Synthesis
from ops.upfirdn2d import filter2d
from training.gradients import GradientSum, Report
from training.random_source import RandomSource, TorchRandom
from training.ranks import ALONE, Ranks

Phase = Literal['Gmain', 'Greg', 'Gboth', 'Dmain', 'Dreg', 'Dboth']
"""Whose gradients (generator or discriminator), and of which terms: the loss, its regularization, or their sum."""
PHASES: tuple[Phase, ...] = ('Gmain', 'Greg', 'Gboth', 'Dmain', 'Dreg', 'Dboth')
Augment = Callable[[Tensor, RandomSource], Tensor]
"""Changes images at random, before the discriminator sees them; `training.augment.AugmentPipe` is one."""
_FAKE_LOSS = 'loss of the fakes'
"""On its way to 'Loss/D/loss'."""


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Weights and schedules of the loss."""

    r1_gamma: float = 10.0
    """gamma: half of it weighs the squared gradient of the scores; 0 = no R1."""
    style_mixing: float = 0.0
    """Probability that a minibatch takes its later layers' latents from other z."""
    path_length_weight: float = 0.0
    """0 = no path length regularization."""
    path_length_batch_shrink: int = 2
    """Path length is measured on the batch divided by this, to save memory."""
    path_length_decay: float = 0.01
    """Speed at which the mean path length follows."""
    blur_initial_sigma: float = 0.0
    """Width of the blur at the start, in pixels: where it is halved."""
    blur_fade_kimg: float = 0.0
    """Thousands of images after which nothing is blurred any more."""
    range_weight: float = 0.0
    """Weight of the mean square of how far generated pixels lie outside [-1, 1]."""


@dataclass(frozen=True, slots=True)
class GanBatch:
    """What one phase learns from."""

    real_images: Tensor
    """[batch, channels, height, width], in [-1, 1]."""
    real_classes: Tensor
    """[batch, class count], one-hot."""
    z: Tensor
    """[batch, z_dim], of the images to generate."""
    z_classes: Tensor
    """[batch, class count]."""


class GanLoss:
    """Computes losses and adds their gradients to the parameters; holds the running mean of the path length."""

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        config: LossConfig,
        *,
        augment: Augment | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        """`generator`: has `mapping`, `synthesis` and `num_ws`, as both families have. Both networks stay where they are.

        `ranks`: the processes that share a minibatch; gradients and the mean path length are those of all of it.
        """
        self.config = config
        self._generator: Any = generator
        self._discriminator: Any = discriminator
        self._augment = augment
        self._ranks = ranks
        self._generator_gradients = GradientSum(generator, ranks)
        self._discriminator_gradients = GradientSum(discriminator, ranks)
        self.path_length_mean = torch.zeros([], device=next(generator.parameters()).device)
        """a, part of the state of a run."""

    def accumulate(
        self,
        phase: Phase,
        batch: GanBatch,
        *,
        gain: float = 1.0,
        images_seen: int = 0,
        source: RandomSource | None = None,
        fakes: Tensor | None = None,
    ) -> Report:
        """Add the gradients of `gain` times the phase's mean loss, and return what it reports.

        Only the phase's own network gets gradients. Averages inside the generator (w, magnitudes) move in 'Dmain' and
        'Dboth' only.  `images_seen`: reals shown so far, for the blur.  `source`: of random numbers, None = torch's global
        generator.  `fakes`: what the generator made of the batch's z, where that is known ('Gmain', 'Dmain').
        A phase whose terms all have weight 0 does and reports nothing.
        """
        if phase not in PHASES:
            raise ValueError(f'there is no phase {phase!r}; choose one of {", ".join(PHASES)}')
        call = _Call(batch, gain, blur_sigma(self.config, images_seen), source or TorchRandom(), fakes)
        main, regularize = phase[1:] in ('main', 'both'), phase[1:] in ('reg', 'both')
        if phase[0] == 'G':
            return self._accumulate_generator(call, main=main, paths=regularize and self.config.path_length_weight != 0)
        return self._accumulate_discriminator(call, main=main, penalize=regularize and self.config.r1_gamma != 0)

    def _accumulate_generator(self, call: '_Call', *, main: bool, paths: bool) -> Report:
        report: dict[str, Tensor] = {}
        with _frozen(self._discriminator):
            if main:
                report |= self._generator_gradients.add(partial(self._generator_main, call), more_follow=paths)
            if paths:
                report |= self._generator_gradients.add(partial(self._path_length, call))
        return report

    def _accumulate_discriminator(self, call: '_Call', *, main: bool, penalize: bool) -> Report:
        report: dict[str, Tensor] = {}
        if main:  # the fakes first, so that their memory is free for the reals
            report |= self._discriminator_gradients.add(partial(self._fakes_term, call), more_follow=True)
        if main or penalize:
            reals = partial(self._reals_term, call, main=main, penalize=penalize)
            report |= self._discriminator_gradients.add(reals)
        if main:
            report['Loss/D/loss'] = report['Loss/D/loss'] + report.pop(_FAKE_LOSS)
        return report

    def _generator_main(self, call: '_Call') -> tuple[Tensor, Report]:
        batch, images = call.batch, call.fakes
        if images is None:
            images, _ = self._generate(batch.z, batch.z_classes, call.source)
        scores = self._score(images, batch.z_classes, call)
        loss = F.softplus(-scores)  # -log sigmoid(D(fake))
        total = loss.mean()
        if self.config.range_weight > 0:
            total = total + (images.abs() - 1).clamp(min=0).square().mean() * self.config.range_weight
        return total * call.gain, {**_scores('fake', scores), 'Loss/G/loss': loss.detach()}

    def _path_length(self, call: '_Call') -> tuple[Tensor, Report]:
        """Pulls |J^T y| towards its running mean, for noise images y: equal steps in w, equal steps in the image."""
        config, batch = self.config, call.batch
        count = max(len(batch.z) // config.path_length_batch_shrink, 1)
        images, ws = self._generate(batch.z[:count], batch.z_classes[:count], call.source)
        lengths = path_lengths(images, ws, call.source.normal(images.shape).to(images.device))
        # The mean moves first, and the penalty's gradient passes through its step.
        mean = self.path_length_mean.lerp(self._ranks.learning_mean(lengths.mean()), config.path_length_decay)
        self.path_length_mean = mean.detach()
        penalty = (lengths - mean).square()
        loss = penalty * config.path_length_weight
        return loss.mean() * call.gain, {'Loss/pl_penalty': penalty.detach(), 'Loss/G/reg': loss.detach()}

    def _fakes_term(self, call: '_Call') -> tuple[Tensor, Report]:
        fakes = self.fakes(call.batch, call.source) if call.fakes is None else call.fakes
        scores = self._score(fakes.detach(), call.batch.z_classes, call)
        loss = F.softplus(scores)  # -log(1 - sigmoid(D(fake)))
        return loss.mean() * call.gain, {**_scores('fake', scores), _FAKE_LOSS: loss.detach()}

    def _reals_term(self, call: '_Call', *, main: bool, penalize: bool) -> tuple[Tensor, Report]:
        # R1 is measured at the image itself, before blur and augmentation.
        reals = call.batch.real_images.detach().requires_grad_(penalize)
        scores = self._score(reals, call.batch.real_classes, call)
        terms, report = [], _scores('real', scores)
        if main:
            loss = F.softplus(-scores)  # -log sigmoid(D(real))
            terms.append(loss.mean())
            report['Loss/D/loss'] = loss.detach()
        if penalize:
            penalty = squared_gradients(scores, reals)
            weighed = penalty * (self.config.r1_gamma / 2)
            terms.append(weighed.mean())
            report |= {'Loss/r1_penalty': penalty.detach(), 'Loss/D/reg': weighed.detach()}
        return torch.stack(terms).sum() * call.gain, report

    def fakes(self, batch: GanBatch, source: RandomSource, *, for_both: bool = False) -> Tensor:
        """Images of the batch's z; averages inside the generator move. `for_both`: the generator will learn from them too."""
        # On a CPU with gradients even where they are not used: without, compiled kernels take over as soon as their
        # background compilation is done, so that two equal runs would round differently.
        with torch.set_grad_enabled(for_both or batch.z.device.type == 'cpu'):
            return self._generate(batch.z, batch.z_classes, source, update_emas=True)[0]

    def _generate(
        self, z: Tensor, classes: Tensor, source: RandomSource, *, update_emas: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Images, and the latents ws [batch, num_ws, w_dim] that they were made of."""
        generator = self._generator
        ws = generator.mapping(z, classes, update_emas=update_emas)
        if self.config.style_mixing > 0:
            ws = self._mix(ws, z, classes, source)
        is_noisy = isinstance(generator.synthesis, StyleGAN2Synthesis)
        noise = {'noise_draw': source.normal} if is_noisy else {}
        return generator.synthesis(ws, update_emas=update_emas, **noise), ws

    def _mix(self, ws: Tensor, z: Tensor, classes: Tensor, source: RandomSource) -> Tensor:
        """`ws` with the layers from a random one on taken from other z, in a random share of the minibatches."""
        if float(source.uniform((1,))) >= self.config.style_mixing:
            return ws
        first = 1 + int(source.uniform((1,)) * (ws.shape[1] - 1))
        other = self._generator.mapping(source.normal(z.shape).to(z.device), classes)
        return torch.cat([ws[:, :first], other[:, first:]], 1)

    def _score(self, images: Tensor, classes: Tensor, call: '_Call') -> Tensor:
        """Scores [batch, 1] of the images, blurred and augmented."""
        learning = images.requires_grad
        if images.device.type == 'cpu' and not learning:
            images = images.detach().requires_grad_(True)  # as in `fakes`: equal runs round alike
        images = blur(images, call.blur_sigma)
        if self._augment is not None:
            images = self._augment(images, call.source)
        return self._discriminator(images if learning else images.detach(), classes)


@dataclass(frozen=True, slots=True)
class _Call:
    """What the parts of one phase share."""

    batch: GanBatch
    gain: float
    blur_sigma: float
    source: RandomSource
    fakes: Tensor | None


def path_lengths(images: Tensor, ws: Tensor, noise: Tensor) -> Tensor:
    """[batch]: root mean square over layers of the length of J^T y, differentiable (Karras et al. 2020, Sec. 3.2).

    `images` [batch, channels, height, width] must depend on `ws` [batch, num_ws, w_dim].  `noise`: unit normal, of the
    shape of the images; y is it over the root of the number of pixels, so that the result depends less on the resolution.
    """
    pixels = images.shape[2] * images.shape[3]
    (gradient,) = torch.autograd.grad((images * noise).sum() / math.sqrt(pixels), ws, create_graph=True)
    return gradient.square().sum(2).mean(1).sqrt()


def squared_gradients(scores: Tensor, images: Tensor) -> Tensor:
    """[batch]: squared length of the gradient of each image's score (mean, if several) to the image, differentiable (R1)."""
    (gradient,) = torch.autograd.grad(scores.mean(1).sum(), images, create_graph=True)
    return gradient.square().sum([1, 2, 3])


def blur_sigma(config: LossConfig, images_seen: int) -> float:
    """Width of the blur in pixels: from `blur_initial_sigma` linearly to 0 at `blur_fade_kimg`."""
    if config.blur_fade_kimg <= 0:
        return 0.0
    return max(1 - images_seen / (config.blur_fade_kimg * 1000), 0) * config.blur_initial_sigma


def blur(images: Tensor, sigma: float) -> Tensor:
    """`images` under the kernel 2^-(distance / sigma)², up to 3 sigma, zeros around; unchanged below a third of a pixel."""
    radius = math.floor(3 * sigma)
    if radius < 1:
        return images
    distance = torch.arange(-radius, radius + 1, device=images.device)
    taps = torch.exp2(-(distance / sigma).square())
    return filter2d(images, taps / taps.sum())


def _scores(kind: str, scores: Tensor) -> dict[str, Tensor]:
    return {f'Loss/scores/{kind}': scores.detach(), f'Loss/signs/{kind}': scores.detach().sign()}


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Inside, the network's parameters get no gradients; what passes through it still does."""
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)

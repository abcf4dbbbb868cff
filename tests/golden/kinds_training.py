"""Handlers for what training adds to the networks: augmentation of images, and the losses."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from networks.discriminator import Discriminator
from networks.stylegan2 import Generator as StyleGAN2
from networks.stylegan3 import Generator as StyleGAN3
from tests.golden.runner import Case, Handler, Mismatch
from training.augment import AugmentPipe
from training.gan_loss import Augment, GanBatch, GanLoss, LossConfig


class StoredDraws:
    """A source of random numbers that repeats the stored ones, in order; a shape may be written otherwise."""

    def __init__(self, draws: Sequence[tuple[str, Tensor]]) -> None:
        self._draws = iter(draws)

    def uniform(self, shape: Sequence[int]) -> Tensor:
        return self._next('rand', shape)

    def normal(self, shape: Sequence[int]) -> Tensor:
        return self._next('randn', shape)

    def _next(self, function: str, shape: Sequence[int]) -> Tensor:
        name, values = next(self._draws, ('nothing', torch.empty(0)))
        if name.removesuffix('_like') != function or values.numel() != torch.Size(shape).numel():
            raise Mismatch(f'{function}{tuple(shape)} is drawn where the golden has {name}{tuple(values.shape)}')
        return values.reshape(*shape)


def _augment(case: Case) -> dict[str, Tensor]:
    pipe = AugmentPipe(**case.config)
    for name, own in pipe.state_dict().items():
        if not torch.allclose(own, case.state[name], rtol=0, atol=1e-7):
            raise Mismatch(f'the buffer {name} is built otherwise than the stored one')
    pipe.load_state_dict(dict(case.state))
    if 'p' in case.args:
        pipe.p.fill_(case.args['p'])
    torch.manual_seed(case.args.get('torch_seed', 0))
    source = StoredDraws(case.draws()) if 'rng_draws' in case.flags else None
    images = case.inputs['images'].clone().requires_grad_('dx' in case.wanted)
    outputs = {'y': pipe(images, source, debug_percentile=case.args.get('debug_percentile'))}
    if 'dx' in case.wanted:
        dy = case.inputs['dy'].clone().requires_grad_(True)
        (outputs['dx'],) = torch.autograd.grad(outputs['y'], images, dy, create_graph=True)
        (outputs['g2_dy'],) = torch.autograd.grad((outputs['dx'] * case.inputs['v']).sum(), dy)
    return {name: x.detach() for name, x in outputs.items()}


def _network(case: Case, letter: str) -> nn.Module:
    """The generator or discriminator of the case's loss, with its tensors."""
    config = dict(case.config[letter])
    build = {'sg3.Generator': StyleGAN3, 'sg2.Generator': StyleGAN2, 'sg2.Discriminator': Discriminator}
    network = build[config.pop('class')](**config)
    _load(network, case, letter)
    own = {name for name, _ in network.named_parameters()}
    if own != set(case.entry[f'parameters_{letter}']):
        raise Mismatch(f'parameters of {letter} are {sorted(own)}')
    return network


def _load(module: nn.Module, case: Case, letter: str) -> None:
    prefix = f'{letter}.'
    module.load_state_dict({n.removeprefix(prefix): x for n, x in case.state.items() if n.startswith(prefix)})


def _augmentation(case: Case) -> Augment | None:
    if 'augment' not in case.config:
        return None
    keywords = dict(case.config['augment'])
    percentile = keywords.pop('debug_percentile')
    pipe = AugmentPipe(**keywords)
    _load(pipe, case, 'A')
    return lambda images, source: pipe(images, source, debug_percentile=percentile)


def _loss_config(case: Case) -> LossConfig:
    """Ours, from the official keywords."""
    names = {
        'r1_gamma': 'r1_gamma',
        'pl_weight': 'path_length_weight',
        'blur_init_sigma': 'blur_initial_sigma',
        'blur_fade_kimg': 'blur_fade_kimg',
    }
    no_value = {'pl_no_weight_grad'}  # saves time in the official code, changes no number
    return LossConfig(**{names[key]: value for key, value in case.config['loss'].items() if key not in no_value})


def _loss(case: Case) -> dict[str, Tensor]:
    generator, discriminator = _network(case, 'G'), _network(case, 'D')
    loss = GanLoss(generator, discriminator, _loss_config(case), augment=_augmentation(case))
    if 'pl_mean' in case.inputs:
        loss.path_length_mean = case.inputs['pl_mean']
    inputs = case.inputs
    batch = GanBatch(inputs['real_img'], inputs['real_c'], inputs['gen_z'], inputs['gen_c'])
    args = case.args
    # The stored draws begin with the first weights of the networks; those of the phase come last.
    source = StoredDraws(case.draws()[-1:])
    report = loss.accumulate(args['phase'], batch, gain=args['gain'], images_seen=args['cur_nimg'], source=source)
    expected = {name.removeprefix('report/') for name in case.wanted if name.startswith('report/')}
    if set(report) != expected:
        raise Mismatch(f'reported are {sorted(report)}, expected {sorted(expected)}')
    return _outcome(case, generator, discriminator) | {
        'pl_mean': loss.path_length_mean,
        **{f'report/{name}': values for name, values in report.items()},
    }


def _outcome(case: Case, generator: nn.Module, discriminator: nn.Module) -> dict[str, Tensor]:
    """Gradients that the phase left, and the generator's buffers."""
    args = case.args
    subject, other = (generator, discriminator) if args['phase'][0] == 'G' else (discriminator, generator)
    touched = [name for name, parameter in other.named_parameters() if parameter.grad is not None]
    if touched:
        raise Mismatch(f'{args["phase"]} gives gradients to the other network: {", ".join(touched)}')
    parameters = dict(subject.named_parameters())
    gradients = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in parameters.items()}
    ordered = [gradients[name] for name in case.entry[f'parameters_{args["phase"][0]}']]
    return {
        'param_grad_norms': torch.stack([gradient.norm() for gradient in ordered]),
        'param_grad_sums': torch.stack([gradient.sum() for gradient in ordered]),
        **{f'grad/{name}': gradient for name, gradient in gradients.items()},
        **{f'post/{name}': buffer for name, buffer in generator.named_buffers()},
    }


KINDS: dict[str, Handler] = {'augment': _augment, 'loss': _loss}

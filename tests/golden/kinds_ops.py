"""Handlers for filters, operators and the helpers of the command line."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from networks.sampling import image_to_uint8, make_transform, seed_to_z
from ops.bias_act import bias_act
from ops.conv2d_resample import conv2d_resample
from ops.filtered_lrelu import filtered_lrelu
from ops.filters import lowpass, setup_filter
from ops.modulated_conv2d import modulated_conv2d, modulated_conv2d_resample
from ops.upfirdn2d import downsample2d, filter2d, upfirdn2d, upsample2d
from tests.golden.runner import Case, Handler

Leaves = Mapping[str, Tensor]
"""The case's inputs, those that a wanted gradient names prepared for autograd."""


def with_gradients(case: Case, compute: Callable[[Leaves], Tensor]) -> dict[str, Tensor]:
    """Output `y` of an operator, and those first and second derivatives that the case wants.

    `dX`: gradient of sum(y * dy) with respect to input X.  `g2_X`: gradient of sum(dx * v) with respect to X.
    """
    first = [name for name in case.inputs if f'd{name}' in case.wanted]
    second = [name for name in case.inputs if f'g2_{name}' in case.wanted]
    if second and 'x' not in first:
        first.append('x')
    names = {*first, *second}
    leaves = {name: x.detach().clone().requires_grad_(name in names) for name, x in case.inputs.items()}
    outputs = {'y': compute(leaves)}
    if first:
        sources = [leaves[name] for name in first]
        gradients = _gradients(outputs['y'], sources, leaves['dy'], create_graph=bool(second))
        outputs |= {f'd{name}': gradient for name, gradient in zip(first, gradients, strict=True)}
    if second:
        sources = [leaves[name] for name in second]
        gradients = _gradients(outputs['dx'], sources, leaves['v'], create_graph=False)
        outputs |= {f'g2_{name}': gradient for name, gradient in zip(second, gradients, strict=True)}
    return outputs


def _gradients(y: Tensor, leaves: list[Tensor], weights: Tensor, *, create_graph: bool) -> list[Tensor]:
    """Vector-Jacobian products; zero where the graph has no path."""
    if not y.requires_grad:
        return [torch.zeros_like(leaf) for leaf in leaves]
    found = torch.autograd.grad(y, leaves, weights, create_graph=create_graph, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(leaf) if one is None else one for one, leaf in zip(found, leaves, strict=True)]


def _lowpass(case: Case) -> dict[str, Tensor | None]:
    a = case.args
    return {'f': lowpass(a['numtaps'], a['cutoff'], a['width'], a['fs'], radial=a.get('radial', False))}


def _setup_filter(case: Case) -> dict[str, Tensor]:
    return {'f': setup_filter(case.args['f'], **{k: v for k, v in case.args.items() if k != 'f'})}


def _filtering(function: Callable[..., Tensor]) -> Handler:
    """Handler of an operator of x and a filter f."""
    return lambda case: with_gradients(case, lambda i: function(i['x'], i.get('f'), **case.args))


def _bias_act(case: Case) -> dict[str, Tensor]:
    return with_gradients(case, lambda i: bias_act(i['x'], i.get('b'), **case.args))


def _multiply_add(case: Case) -> dict[str, Tensor]:
    return with_gradients(case, lambda i: torch.addcmul(i['c'], i['a'], i['b']))


def _grid_sample(case: Case) -> dict[str, Tensor]:
    def compute(i: Leaves) -> Tensor:
        return torch.nn.functional.grid_sample(i['x'], i['grid'], 'bilinear', 'zeros', align_corners=False)

    return with_gradients(case, compute)


def _conv2d_resample(case: Case) -> dict[str, Tensor]:
    return with_gradients(case, lambda i: conv2d_resample(i['x'], i['w'], i.get('f'), **case.args))


def _filtered_lrelu(case: Case) -> dict[str, Tensor]:
    return with_gradients(case, lambda i: filtered_lrelu(i['x'], i.get('fu'), i.get('fd'), i.get('b'), **case.args))


def _modulated_conv2d(case: Case) -> dict[str, Tensor]:
    def compute(i: Leaves) -> Tensor:
        return modulated_conv2d(i['x'], i['w'], i['s'], input_gain=i.get('input_gain'), **case.args)

    return with_gradients(case, compute)


def _modulated_conv2d_resample(case: Case) -> dict[str, Tensor]:
    args = {{'fused_modconv': 'fused'}.get(name, name): value for name, value in case.args.items()}

    def compute(i: Leaves) -> Tensor:
        options = {'noise': i.get('noise'), 'resample_filter': i.get('f'), **args}
        return modulated_conv2d_resample(i['x'], i['w'], i['s'], **options)

    return with_gradients(case, compute)


def _make_transform(case: Case) -> dict[str, Tensor]:
    matrix = make_transform(case.args['translate'], case.args['rotate'])
    return {'m': matrix, 'm_inv': matrix.inverse()}


KINDS: dict[str, Handler] = {
    'design_lowpass_filter': _lowpass,
    'setup_filter': _setup_filter,
    'upfirdn2d': _filtering(upfirdn2d),
    'filter2d': _filtering(filter2d),
    'upsample2d': _filtering(upsample2d),
    'downsample2d': _filtering(downsample2d),
    'bias_act': _bias_act,
    'fma': _multiply_add,
    'grid_sample': _grid_sample,
    'conv2d_resample': _conv2d_resample,
    'filtered_lrelu': _filtered_lrelu,
    'sg3.modulated_conv2d': _modulated_conv2d,
    'sg2.modulated_conv2d': _modulated_conv2d_resample,
    'make_transform': _make_transform,
    'seed_to_z': lambda case: {'z': seed_to_z(case.args['seed'], case.args['z_dim'])},
    'image_to_uint8': lambda case: {'u8': image_to_uint8(case.inputs['img'])},
}

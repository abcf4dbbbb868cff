"""Handlers for the equivariance metrics and the picture transforms under them."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from analysis.equivariance import PooledError, rotation_error, translation_error
from analysis.moving import Moved, affine_lowpass, apply_affine, pseudo_rotate, rotate, translate, translate_whole
from networks.stylegan3 import Generator
from tests.golden.runner import Case, Handler


def _moved(moved: Moved, like: Tensor) -> dict[str, Tensor]:
    return {'z': moved.image, 'mask': moved.mask.expand_as(like)}


def _translation(move: Callable[..., Moved]) -> Handler:
    def handler(case: Case) -> dict[str, Tensor]:
        x, (tx, ty) = case.inputs['x'], case.inputs['t'].tolist()
        options = {'lobes': case.args['a']} if 'a' in case.args else {}
        return _moved(move(x.double(), tx, ty, **options), x)

    return handler


def _rotation(move: Callable[..., Moved]) -> Handler:
    def handler(case: Case) -> dict[str, Tensor]:
        x = case.inputs['x']
        return _moved(move(x.double(), float(case.inputs['angle']), lobes=case.args.get('a', 3)), x)

    return handler


def _filter(case: Case) -> dict[str, Tensor]:
    names = {
        'a': 'lobes',
        'amax': 'reach',
        'aflt': 'grid',
        'up': 'up',
        'cutoff_in': 'cutoff_in',
        'cutoff_out': 'cutoff_out',
    }
    return {'f': affine_lowpass(case.inputs['mat'], **{names[key]: value for key, value in case.args.items()})}


def _affine(case: Case) -> dict[str, Tensor]:
    x = case.inputs['x']
    reach = case.args.get('amax', 16)  # the official default
    return _moved(apply_affine(x.double(), case.inputs['mat'], lobes=case.args.get('a', 3), reach=reach), x)


def _metrics(case: Case) -> dict[str, Tensor]:
    generator = Generator(**case.config).eval().requires_grad_(False)
    generator.load_state_dict(case.state)
    totals: dict[str, PooledError] = {}
    for step, z in enumerate(case.inputs['z']):
        latents = generator.mapping(z, torch.zeros(len(z), 0))

        def synthesize(matrix: Tensor, latents: Tensor = latents) -> Tensor:
            generator.synthesis.input.transform.copy_(torch.linalg.inv(matrix))
            return generator.synthesis(latents)

        base = synthesize(torch.eye(3, dtype=torch.float64))
        for name, error in _step_errors(case.inputs, case.args, step, synthesize, base):
            totals[name] = totals.get(name, PooledError()) + error
    return {name: torch.tensor(total.psnr(), dtype=torch.float64) for name, total in totals.items()}


def _step_errors(
    draws: Mapping[str, Tensor],
    args: Mapping[str, float],
    step: int,
    synthesize: Callable[[Tensor], Tensor],
    base: Tensor,
) -> list[tuple[str, PooledError]]:
    largest = args['translate_max']
    errors = []
    for name, key, fractional in (('eqt_int', 'u_int', False), ('eqt_frac', 'u_frac', True)):
        if key in draws:
            x, y = ((2 * draws[key][step] - 1) * largest).tolist()
            errors.append((name, translation_error(synthesize, base, x, y, fractional=fractional)))
    if 'u_rot' in draws:
        radians = float((2 * draws['u_rot'][step] - 1) * args['rotate_max'] * math.pi)
        errors.append(('eqr', rotation_error(synthesize, base, radians)))
    return errors


KINDS: dict[str, Handler] = {
    'eq.apply_integer_translation': _translation(translate_whole),
    'eq.apply_fractional_translation': _translation(translate),
    'eq.construct_affine_bandlimit_filter': _filter,
    'eq.apply_affine_transformation': _affine,
    'eq.apply_fractional_rotation': _rotation(rotate),
    'eq.apply_fractional_pseudo_rotation': _rotation(pseudo_rotate),
    'eq.metrics': _metrics,
}

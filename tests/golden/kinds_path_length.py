"""Handlers for perceptual path length."""

import torch
from torch import Tensor

from analysis.path_length import PathOptions, path_steps, slerp
from networks.stylegan3 import Generator
from tests.golden.runner import Case, Handler


def _slerp(case: Case) -> dict[str, Tensor]:
    return {'y': slerp(case.inputs['a'], case.inputs['b'], case.inputs['t'])}


def _sampler(case: Case) -> dict[str, Tensor]:
    generator = Generator(**case.config).eval().requires_grad_(False)
    generator.load_state_dict(dict(case.state))
    first, last = case.inputs['z'].chunk(2)
    steps = path_steps(
        lambda z: generator.mapping(z, torch.zeros(len(z), generator.c_dim)),
        generator.synthesis,
        lambda pictures: (pictures / 255).flatten(1),
        (first, last),
        case.inputs['u'],
        PathOptions(**case.args),
    )
    return {'images_to_features': steps.pictures, 'dist': steps.distances}


KINDS: dict[str, Handler] = {'ppl.slerp': _slerp, 'ppl.sampler': _sampler}

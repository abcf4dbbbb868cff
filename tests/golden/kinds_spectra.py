"""Handlers for spectra and for what the viewer makes of a captured tensor."""

import torch
from torch import Tensor

from analysis.dataset_spectrum import dataset_moments, dataset_spectrum, smoothed
from analysis.spectrum import decibel, power_spectrum
from render.request import ViewSpec
from render.views import picture
from tests.golden.runner import Case, Handler


def _calc(case: Case) -> dict[str, Tensor]:
    args, images = case.args, case.inputs['images']
    options = {'mean': args['mean'], 'std': args['std'], 'beta': args['beta'], 'interpolation': args['interp']}
    spectrum = dataset_spectrum(images.split(3), **options)
    outputs = {
        'spectrum': spectrum.power,
        'stats_mean_std': torch.tensor(dataset_moments(images), dtype=torch.float64),
        'slice0_db': spectrum.axis_db(),
        'slice45_db': spectrum.diagonal_db(),
    }
    if args['smooth'] > 0:
        outputs['heatmap_smooth_db'] = smoothed(spectrum.centred_db(), args['smooth'] * args['interp'])
    return outputs


def _render(case: Case) -> dict[str, Tensor]:
    args, x = case.args, case.inputs['out'][0]
    count, first = args.get('sel_channels', 3), args.get('base_channel', 0)
    selected = x[first : first + count]
    power = power_spectrum(x if args.get('fft_all', True) else selected, args.get('fft_beta', 8))
    span = args.get('fft_range_db', 50)
    view = ViewSpec(
        mode='rgb',
        channels=tuple(range(first, first + count)),
        normalize=args.get('img_normalize', False),
        gain_db=args.get('img_scale_db', 0),
    )
    numbers = [part for name in ('mean', 'std', 'max') for part in (_number(x, name), _number(selected, name))]
    return {
        'fft_db': decibel(power).clamp(-span, span),
        'stats': torch.tensor(numbers),
        'image_uint8': torch.from_numpy(picture(x, view).image[..., :3].copy()),
    }


def _number(x: Tensor, name: str) -> float:
    values = x.double()
    return float({'mean': values.mean, 'std': values.std, 'max': values.abs().max}[name]())


KINDS: dict[str, Handler] = {'spectra.calc': _calc, 'viz.render': _render}

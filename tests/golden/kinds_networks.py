"""Handlers for layers, networks and the tables of layers."""

import zlib
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from networks.config import AliasFreeConfig, MappingConfig, from_keywords
from networks.discriminator import Discriminator, MinibatchStd
from networks.layers import Conv2d, FullyConnected
from networks.mapping import MappingNetwork
from networks.schedule import InputRecord, LayerRecord
from networks.stylegan2 import Generator as StyleGAN2
from networks.stylegan3 import Generator as StyleGAN3
from networks.stylegan3 import SynthesisInput, SynthesisLayer
from tests.golden.runner import Case, Handler, Mismatch

Inputs = Mapping[str, Tensor]
Compute = Callable[[nn.Module, Inputs], dict[str, Tensor]]
"""Outputs of a module for the inputs of a case; those that a gradient is wanted of require one."""


def _module(case: Case, build: Callable[..., nn.Module]) -> nn.Module:
    """Our module of the case's configuration with the case's tensors, in evaluation mode."""
    config = dict(case.config)
    module = build(*config.pop('_args', ()), **config).eval()
    state = dict(case.state)
    own = {name for name, _ in module.named_parameters()}
    if own != set(case.entry.get('parameters') or own):
        raise Mismatch(f'parameters are {sorted(own)}, expected {sorted(case.entry["parameters"])}')
    module.load_state_dict(state, strict=True)
    return module


def _handler(build: Callable[..., nn.Module], compute: Compute) -> Handler:
    """Builds, loads, computes, and adds the gradients that the case wants."""

    def handle(case: Case) -> Mapping[str, Tensor | None]:
        module = _module(case, build)
        wants_gradients = 'param_grad_norms' in case.wanted
        inputs = {
            name: x.clone().requires_grad_(wants_gradients and x.is_floating_point() and f'd{name}' in case.wanted)
            for name, x in case.inputs.items()
        }
        with torch.set_grad_enabled(wants_gradients):
            outputs = compute(module, inputs)
        outputs |= {f'post/{name}': buffer.clone() for name, buffer in module.named_buffers()}
        if wants_gradients:
            outputs |= _gradients(case, module, inputs, outputs)
        return {name: x.detach() for name, x in outputs.items()}

    return handle


def _gradients(case: Case, module: nn.Module, inputs: Inputs, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of sum(output * probe): with respect to inputs, and norm and sum of that of every parameter."""
    subject = next(name for name in ('y', 'img', 'logits', 'ws') if name in case.wanted)
    (outputs[subject] * inputs['probe']).sum().backward()
    found = {f'd{name}': x.grad for name, x in inputs.items() if x.grad is not None}
    parameters = dict(module.named_parameters())
    ordered = [parameters[name] for name in case.entry['parameters']]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in ordered]
    found['param_grad_norms'] = torch.stack([gradient.norm() for gradient in gradients])
    found['param_grad_sums'] = torch.stack([gradient.sum() for gradient in gradients])
    return found


def _wrapped(parameters: list[str]) -> Callable[[Case], dict[str, Any]]:
    return lambda case: {name: case.args[name] for name in parameters if name in case.args}


_mapping_options = _wrapped(['truncation_psi', 'truncation_cutoff', 'update_emas'])


def _mapping(default_layers: int) -> Handler:
    def build(z_dim: int, c_dim: int, w_dim: int, num_ws: int | None, **keywords: Any) -> nn.Module:
        config = from_keywords(MappingConfig, keywords, num_layers=default_layers)
        return MappingNetwork(z_dim, c_dim, w_dim, num_ws, config)

    def handle(case: Case) -> Mapping[str, Tensor | None]:
        def compute(module: nn.Module, i: Inputs) -> dict[str, Tensor]:
            return {'ws': module(i.get('z'), i.get('c'), **_mapping_options(case))}

        return _handler(build, compute)(case)

    return handle


def _build_input(w_dim: int, channels: int, size: Any, sampling_rate: float, bandwidth: float) -> nn.Module:
    width, height = _sides(size)
    return SynthesisInput(w_dim, InputRecord(channels, width, sampling_rate, bandwidth, affine=True, height=height))


def _sides(size: Any) -> tuple[int, int]:
    """(width, height) from a number or a list of them."""
    width, height = size if isinstance(size, list) else (size, size)
    return int(width), int(height)


def _input(module: nn.Module, i: Inputs) -> dict[str, Tensor]:
    if 'transform' in i:
        cast(Tensor, module.transform).copy_(i['transform'])
    return {'y': module(i['w'])}


def _build_layer(w_dim: int, in_size: Any, out_size: Any, **keywords: Any) -> nn.Module:
    """The official layer's keywords as our table's record."""
    defaults = AliasFreeConfig()
    torgb, critical = keywords['is_torgb'], keywords['is_critically_sampled']
    rates = keywords['in_sampling_rate'], keywords['out_sampling_rate']
    (width_in, height_in), (width, height) = _sides(in_size), _sides(out_size)
    oversampling = 1 if torgb else keywords.get('lrelu_upsampling', defaults.lrelu_upsampling)
    record = LayerRecord(
        index=0,
        rate_in=rates[0],
        rate=rates[1],
        rate_inside=max(rates) * oversampling,
        cutoff_in=keywords['in_cutoff'],
        half_width_in=keywords['in_half_width'],
        cutoff=keywords['out_cutoff'],
        half_width=keywords['out_half_width'],
        stopband=keywords['out_cutoff'] + keywords['out_half_width'],
        channels_in=keywords['in_channels'],
        channels=keywords['out_channels'],
        size_in=width_in,
        size=width,
        kernel=1 if torgb else keywords.get('conv_kernel', defaults.conv_kernel),
        filter_size=keywords.get('filter_size', defaults.filter_size),
        radial=keywords.get('use_radial_filters', False) and not critical,
        critical=critical,
        torgb=torgb,
        half_precision=keywords['use_fp16'],
        heights=(height_in, height),
    )
    return SynthesisLayer(
        w_dim,
        record,
        conv_clamp=keywords.get('conv_clamp', defaults.conv_clamp),
        magnitude_ema_beta=keywords.get('magnitude_ema_beta', defaults.magnitude_ema_beta),
    )


def _layer(case: Case) -> Mapping[str, Tensor | None]:
    def compute(module: nn.Module, i: Inputs) -> dict[str, Tensor]:
        layer = cast(SynthesisLayer, module)
        _expect(_layer_attributes(layer), case.entry.get('expected_attributes', {}))
        return {'y': layer(i['x'], i['w'], update_emas=case.args.get('update_emas', False))}

    return _handler(_build_layer, compute)(case)


def _layer_attributes(layer: SynthesisLayer) -> dict[str, Any]:
    """What our record says, under the official names."""
    record = layer.record
    taps = record.up_taps, record.down_taps
    return {
        'padding': [*record.padding(*taps), *record.padding(*taps, vertical=True)],
        'up_factor': record.up_factor,
        'down_factor': record.down_factor,
        'up_taps': record.up_taps,
        'down_taps': record.down_taps,
        'down_radial': record.radial and record.down_taps > 1,
        'tmp_sampling_rate': record.rate_inside,
        'conv_kernel': record.kernel,
        'up_filter_is_none': layer.up_filter is None,
        'down_filter_is_none': layer.down_filter is None,
    }


def _expect(actual: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    for name, value in expected.items():
        if name not in actual or actual[name] != value:
            raise Mismatch(f'{name} is {actual.get(name)!r}, expected {value!r}')


def _generator(build: Callable[..., nn.Module]) -> Handler:
    """Whole generators, of both families; the case's arguments choose what is captured."""

    def handle(case: Case) -> Mapping[str, Tensor | None]:
        def compute(module: nn.Module, i: Inputs) -> dict[str, Tensor]:
            _check_structure(case, module)
            if 'transform' in i:
                cast(Any, module).synthesis.input.transform.copy_(i['transform'])
            outputs: dict[str, Tensor] = {}
            handles = _capture(cast(Any, module).synthesis, outputs) if case.args.get('capture_layers') else []
            if case.args.get('from_ws'):
                ws = i['ws']
            else:
                ws = cast(Any, module).mapping(i['z'], i.get('c'), **_mapping_options(case))
            options = _noise_options(case) if 'noise_mode' in case.args else {}
            image = cast(Any, module).synthesis(ws, update_emas=case.args.get('update_emas', False), **options)
            for handle in handles:
                handle.remove()
            return {**outputs, 'ws': ws, 'img': image}

        return _handler(build, compute)(case)

    return handle


def _check_structure(case: Case, module: nn.Module) -> None:
    synthesis = cast(Any, module).synthesis
    expected = {name: case.entry[name] for name in ('num_ws', 'layer_names') if name in case.entry}
    _expect({'num_ws': synthesis.num_ws, 'layer_names': list(getattr(synthesis, 'layer_names', ()))}, expected)


def _capture(synthesis: nn.Module, outputs: dict[str, Tensor]) -> list[Any]:
    """Put every layer's output into `outputs`, as `layer/<path below the synthesis network>`."""

    def hook(name: str) -> Any:
        def keep(module: nn.Module, args: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                outputs[f'layer/{name}'] = output

        return keep

    return [module.register_forward_hook(hook(name)) for name, module in synthesis.named_modules() if name]


def _noise_options(case: Case) -> dict[str, Any]:
    mode = {'const': 'constant'}.get(case.args['noise_mode'], case.args['noise_mode'])
    if mode != 'random':
        return {'noise_mode': mode}
    draws = iter([values for _, values in case.draws()])

    def draw(shape: tuple[int, ...]) -> Tensor:
        return next(values for values in draws if values.shape == shape)  # the constructor's draws come first

    return {'noise_mode': mode, 'noise_draw': draw}


def _discriminator(case: Case) -> Mapping[str, Tensor | None]:
    def compute(module: nn.Module, i: Inputs) -> dict[str, Tensor]:
        outputs: dict[str, Tensor] = {}

        def hook(name: str) -> Any:
            def keep(module: nn.Module, args: Any, output: Any) -> None:
                pair = output if isinstance(output, tuple) else (output,)
                found = dict(zip(('x', 'img'), pair, strict=False))
                outputs.update({f'block/{name}/{key}': x for key, x in found.items() if isinstance(x, Tensor)})

            return keep

        handles = [one.register_forward_hook(hook(name)) for name, one in module.named_modules() if name]
        logits = module(i['img'], i.get('c'))
        for handle in handles:
            handle.remove()
        return {**outputs, 'logits': logits}

    return _handler(Discriminator, compute)(case)


def _plain(build: Callable[..., nn.Module]) -> Handler:
    def handle(case: Case) -> Mapping[str, Tensor | None]:
        gain = {'gain': case.args['gain']} if 'gain' in case.args else {}
        return _handler(build, lambda module, i: {'y': module(i['x'], **gain)})(case)

    return handle


def formula_state(module: nn.Module, weight_seed: int, bandwidth: float) -> dict[str, Tensor]:
    """Tensors by the rule of the fixtures: each drawn from NumPy's legacy generator, seeded by its name."""
    kept = ('resample_filter', 'up_filter', 'down_filter', 'transform')
    return {
        name: value if name.endswith(kept) else _formula_tensor(name, value.shape, weight_seed, bandwidth)
        for name, value in module.state_dict().items()
    }


def _formula_tensor(name: str, shape: torch.Size, weight_seed: int, bandwidth: float) -> Tensor:
    random = np.random.RandomState((zlib.crc32(name.encode()) + weight_seed) % 2**32)
    last = name.rsplit('.', 1)[-1]
    if last == 'freqs':
        draw = random.uniform(-1, 1, shape) * (bandwidth / np.sqrt(2))
    elif last == 'phases':
        draw = random.uniform(-0.5, 0.5, shape)
    else:
        draw = _shaped(name, last, np.asarray(random.standard_normal(shape)))
    return torch.from_numpy(np.asarray(draw).astype(np.float32))


def _shaped(name: str, last: str, draw: np.ndarray) -> np.ndarray:
    """A normal draw made plausible for the tensor called `name`."""
    if name == 'synthesis.input.affine.weight':
        return 0.05 * draw
    if name == 'synthesis.input.affine.bias':
        return np.array([1.0, 0, 0, 0]) + 0.05 * draw
    if name.startswith('mapping.fc') and last == 'weight':
        return 100 * draw
    if last in ('weight', 'const', 'noise_const'):
        return draw
    if name.endswith('affine.bias'):
        return 1 + 0.1 * draw
    if last in ('bias', 'noise_strength'):
        return 0.1 * draw
    if last == 'magnitude_ema':
        return np.exp(0.1 * draw)
    if last == 'w_avg':
        return 0.2 * draw
    raise Mismatch(f'the rule for weights names no {name}')


def _formula_generator(case: Case) -> dict[str, Tensor]:
    config = dict(case.config)
    family = {'sg3.Generator': StyleGAN3, 'sg2.Generator': StyleGAN2}[config.pop('class', 'sg3.Generator')]
    module: Any = family(**config).eval().requires_grad_(False)
    alias_free = family is StyleGAN3
    bandwidth = module.synthesis.schedule.input.bandwidth if alias_free else 0.0
    module.load_state_dict(formula_state(module, case.args['weight_seed'], bandwidth))
    if 'transform' in case.inputs:
        module.synthesis.input.transform.copy_(case.inputs['transform'])
    rms: list[Tensor] = []
    kinds = ('input', 'L') if alias_free else ('b',)
    for name, layer in module.synthesis.named_children():
        if name.startswith(kinds):
            layer.register_forward_hook(lambda module, args, output: rms.append(output.square().mean().sqrt()))
    ws = module.mapping(case.inputs['z'], case.inputs.get('c'))
    image = module.synthesis(ws)
    side = image.shape[-1]
    middle = slice(side // 2 - 8, side // 2 + 8)
    return {
        'w_head': ws[:, 0, :16],
        'layer_rms': torch.stack(rms),
        'stats': torch.stack([image.mean(), image.std(), image.min(), image.max()]),
        'pooled': nn.functional.adaptive_avg_pool2d(image, 16),
        'crop_center': image[:, :, middle, middle],
        'crop_corner': image[:, :, :16, :16],
    }


def _formula_discriminator(case: Case) -> dict[str, Tensor]:
    module = Discriminator(**case.config).eval().requires_grad_(False)
    module.load_state_dict(formula_state(module, case.args['weight_seed'], 0.0))
    random = np.random.RandomState(case.args['image_seed'])
    shape = (case.args['batch'], module.img_channels, module.img_resolution, module.img_resolution)
    image = torch.from_numpy(random.uniform(-1, 1, shape).astype(np.float32))
    return {'logits': module(image, case.inputs.get('c'))}


KINDS: dict[str, Handler] = {
    'sg3.FullyConnectedLayer': _plain(FullyConnected),
    'sg2.FullyConnectedLayer': _plain(FullyConnected),
    'sg2.Conv2dLayer': _plain(Conv2d),
    'sg2.MinibatchStdLayer': _plain(MinibatchStd),
    'sg3.MappingNetwork': _mapping(2),
    'sg2.MappingNetwork': _mapping(8),
    'sg3.SynthesisInput': _handler(_build_input, _input),
    'sg3.SynthesisLayer': _layer,
    'sg3.Generator': _generator(StyleGAN3),
    'sg2.Generator': _generator(StyleGAN2),
    'sg2.Discriminator': _discriminator,
    'formula_generator': _formula_generator,
    'formula_discriminator': _formula_discriminator,
}

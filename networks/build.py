"""From checked options and tensors to a network: built within an allowance, compared, then filled."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from networks import discriminator, stylegan2, stylegan3
from networks.bad_file import BadFile, shown
from networks.config import AliasFreeConfig, from_keywords
from networks.schedule import make_schedule

_MOST_TAPS = 1024
"""Of one filter; the published ones have at most 24."""
_TOP_LEVEL = ('z_dim', 'c_dim', 'w_dim', 'img_resolution', 'img_channels', 'mapping_kwargs')
_MOST_NAMED = 3
_NUMBERS_PER_NUMBER = 8
_SPARE_NUMBERS = 1 << 22
"""While a network is made, for every number it keeps a few are passed by, and filters need a little more."""

Shapes = Mapping[str, tuple[int, ...]]
"""Tensor name -> shape."""


class _Allowance(TorchFunctionMode):
    """Inside the block, tensors of at most `numbers` elements in all can be made, and no random numbers are drawn.

    So a file cannot make its network larger than its own tensors are, and reading one does not disturb the global
    generator of random numbers. What was drawn is replaced by the file's tensors anyway.
    """

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self._left = numbers

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if func in (torch.randn, torch.rand, torch.zeros, torch.ones, torch.empty, torch.full):
            size = args[0] if args and isinstance(args[0], (tuple, list, torch.Size)) else args
            self._spend(math.prod(count for count in size if isinstance(count, int)))
            if func in (torch.randn, torch.rand):
                return torch.zeros(*args, **{name: value for name, value in kwargs.items() if name != 'generator'})
            return func(*args, **kwargs)
        result = func(*args, **kwargs)
        if isinstance(result, Tensor) and result.is_contiguous():
            self._spend(result.numel())
        return result

    def _spend(self, numbers: int) -> None:
        self._left -= numbers
        if self._left < 0:
            raise BadFile(
                'too-big',
                'The file asks for a network far larger than the tensors it holds; get the model from its source.',
            )


def build_checked(family: str, config: Mapping[str, object], tensors: Mapping[str, Tensor]) -> nn.Module:
    """The network that `config` describes, with `tensors` in it: evaluation mode, gradients off, on the CPU.

    Raises BadFile when the options do not fit together, or when names or shapes of tensors differ.
    """
    module = _built(family, config, {name: tuple(tensor.shape) for name, tensor in tensors.items()})
    module.load_state_dict(dict(tensors), strict=True)
    return module.eval().requires_grad_(False)


def check_shapes(family: str, config: Mapping[str, object], shapes: Shapes) -> None:
    """Raise BadFile when `shapes` (by tensor name) are not those of the network that `config` describes."""
    _built(family, config, shapes)


def _built(family: str, config: Mapping[str, object], shapes: Shapes) -> nn.Module:
    """The network that `config` describes, its tensors zero, if they have the `shapes`."""
    held = sum(math.prod(shape) for shape in shapes.values())
    try:
        with _Allowance(_NUMBERS_PER_NUMBER * held + _SPARE_NUMBERS):
            module = _construct(family, config)
    except (ValueError, ArithmeticError, RuntimeError) as error:
        raise BadFile('bad-config', f'The file has options that do not fit together: {error}') from error
    _compare({name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}, shapes)
    return module


def _construct(family: str, config: Mapping[str, object]) -> nn.Module:
    keywords: dict[str, Any] = dict(config)
    if family == 'stylegan3':
        _check_taps(keywords)
        return stylegan3.Generator(**keywords)
    if family == 'stylegan2':
        return stylegan2.Generator(**keywords)
    if family == 'discriminator':
        return discriminator.Discriminator(**keywords)
    raise BadFile('unknown-family', f'The file is of the family "{shown(family)}", which cannot be built.')


def _check_taps(keywords: Mapping[str, Any]) -> None:
    """Refuse filters that are absurdly long before they are designed."""
    synthesis = {name: value for name, value in keywords.items() if name not in _TOP_LEVEL}
    config = from_keywords(AliasFreeConfig, synthesis)
    schedule = make_schedule(keywords['img_resolution'], keywords['img_channels'], config)
    longest = max(max(record.up_taps, record.down_taps) for record in schedule.layers)
    if longest > _MOST_TAPS:
        raise BadFile('bad-config', f'The file asks for filters of {longest} taps; the limit is {_MOST_TAPS}.')


def _compare(expected: Shapes, found: Shapes) -> None:
    """Raise BadFile naming the first tensors that differ."""
    differences = [f'{shown(name)} is missing' for name in expected if name not in found]
    differences += [f'{shown(name)} is unexpected' for name in found if name not in expected]
    differences += [
        f'{shown(name)} is {_text(found[name])} instead of {_text(shape)}'
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    if not differences:
        return
    first = ', '.join(differences[:_MOST_NAMED])
    more = f', and {len(differences) - _MOST_NAMED} more' if len(differences) > _MOST_NAMED else ''
    raise BadFile('wrong-tensors', f'The file does not match its options: {first}{more}.')


def _text(shape: tuple[int, ...]) -> str:
    return '×'.join(map(str, shape)) or 'a single number'

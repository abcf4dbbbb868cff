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
    held = sum(tensor.numel() for tensor in tensors.values())
    try:
        with _Allowance(8 * held + (1 << 22)):
            module = _construct(family, config)
    except (ValueError, ArithmeticError, RuntimeError) as error:
        raise BadFile('bad-config', f'The file has options that do not fit together: {error}') from error
    _compare(module.state_dict(), tensors)
    module.load_state_dict(dict(tensors), strict=True)
    return module.eval().requires_grad_(False)


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


def _compare(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Raise BadFile naming the first tensors that differ."""
    differences = [f'{shown(name)} is missing' for name in expected if name not in found]
    differences += [f'{shown(name)} is unexpected' for name in found if name not in expected]
    differences += [
        f'{shown(name)} is {_shape(found[name])} instead of {_shape(tensor)}'
        for name, tensor in expected.items()
        if name in found and found[name].shape != tensor.shape
    ]
    if not differences:
        return
    first = ', '.join(differences[:_MOST_NAMED])
    more = f', and {len(differences) - _MOST_NAMED} more' if len(differences) > _MOST_NAMED else ''
    raise BadFile('wrong-tensors', f'The file does not match its options: {first}{more}.')


def _shape(tensor: Tensor) -> str:
    return '×'.join(map(str, tensor.shape)) or 'a single number'

"""The adapter that fits a module."""

from torch import nn

from networks.adapters.any_module import AnyModule
from networks.adapters.base import Inspectable
from networks.adapters.stylegan2 import StyleGAN2Adapter
from networks.adapters.stylegan3 import StyleGAN3Adapter
from networks.stylegan2 import Generator as StyleGAN2
from networks.stylegan3 import Generator as StyleGAN3


def wrap(module: nn.Module, *, title: str | None = None, notes: tuple[str, ...] = ()) -> Inspectable:
    """`module`, on the device it is on, ready to be looked into; `notes` go to its info.

    Puts it into evaluation mode with gradients off. Raises `ValueError` for a module that does not make images.
    """
    if isinstance(module, StyleGAN3):
        return StyleGAN3Adapter(module, title=title, notes=notes)
    if isinstance(module, StyleGAN2):
        return StyleGAN2Adapter(module, title=title, notes=notes)
    return AnyModule(module, title=title, notes=notes)

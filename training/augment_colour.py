"""Colour transformations of the augmentation: affine maps of red, green and blue (Karras et al. 2020 b, Appendix B)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from training.augment_options import AugmentOptions, Choice


@dataclass(frozen=True, slots=True)
class ColourMap:
    """colour -> matrix @ colour + offset, per image."""

    matrix: Tensor
    """[batch, 3, 3]."""
    offset: Tensor
    """[batch, 3, 1]."""

    def then(self, matrix: Tensor) -> 'ColourMap':
        """This map, and after it `matrix` [batch, 3, 3]."""
        return ColourMap(matrix @ self.matrix, matrix @ self.offset)


def choose_colours(options: AugmentOptions, choice: Choice) -> ColourMap | None:
    """A random map of colours; None when no kind is switched on."""
    if not (options.brightness or options.contrast or options.lumaflip or options.hue or options.saturation):
        return None
    unit = torch.eye(3).to(choice.strength)
    colours = ColourMap(unit.expand(choice.count, 3, 3), choice.strength.new_zeros(choice.count, 3, 1))
    if options.brightness > 0:
        change = choice.applied(choice.normal() * options.brightness_std, 0, options.brightness)
        colours = ColourMap(colours.matrix, colours.offset + change[:, None, None])
    if options.contrast > 0:
        factor = choice.applied(torch.exp2(choice.normal() * options.contrast_std), 1, options.contrast)
        colours = colours.then(factor[:, None, None] * unit)
    if options.lumaflip > 0:
        colours = colours.then(luma_flip(choice.applied((choice.uniform() * 2).floor(), 0, options.lumaflip)))
    if options.hue > 0:
        angle = choice.applied((choice.uniform() * 2 - 1) * (math.pi * options.hue_max), 0, options.hue)
        colours = colours.then(hue_rotation(angle))
    if options.saturation > 0:
        factor = choice.applied(torch.exp2(choice.normal() * options.saturation_std), 1, options.saturation)
        colours = colours.then(saturation(factor))
    return colours


def recolour(images: Tensor, colours: ColourMap) -> Tensor:
    """`images` [batch, 3 or 1, height, width] with mapped colours; grey images as if their three colours were averaged.

    Raises `ValueError` for another number of channels.
    """
    channels = images.shape[1]
    matrix, offset = colours.matrix.to(images.dtype), colours.offset.to(images.dtype)
    if channels == 1:
        matrix, offset = matrix.sum(2, keepdim=True).mean(1, keepdim=True), offset.mean(1, keepdim=True)
    elif channels != 3:
        raise ValueError(f'colours can be changed in images of 3 channels or 1, got {channels}')
    return (matrix @ images.flatten(2) + offset).reshape(images.shape)


def luma_flip(flipped: Tensor) -> Tensor:
    """[batch, 3, 3] that mirrors the grey axis where `flipped` [batch] is 1, a Householder reflection; identity where 0."""
    grey = _onto_grey(flipped)
    return torch.eye(3).to(grey) - 2 * flipped[:, None, None] * grey


def hue_rotation(radians: Tensor) -> Tensor:
    """[batch, 3, 3] that rotates colours about the grey axis by `radians` [batch] (Rodrigues' formula)."""
    grey = _onto_grey(radians)
    unit = torch.eye(3).to(radians)
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]).to(radians) / math.sqrt(3)
    cos, sin = radians.cos()[:, None, None], radians.sin()[:, None, None]
    return cos * unit + sin * cross + (1 - cos) * grey


def saturation(factor: Tensor) -> Tensor:
    """[batch, 3, 3] that scales the distance from the grey axis by `factor` [batch]."""
    grey = _onto_grey(factor)
    return grey + (torch.eye(3).to(grey) - grey) * factor[:, None, None]


def _onto_grey(like: Tensor) -> Tensor:
    """[3, 3], the projection v v^T onto the grey axis v = (1, 1, 1) / sqrt(3)."""
    return like.new_full((3, 3), 1 / 3)

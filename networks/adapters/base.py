"""The questions that the renderer asks of any generator."""

import abc
import copy
from collections.abc import Mapping
from typing import Literal, Self

from torch import Tensor, nn

from networks.info import GeneratorInfo
from networks.variants import with_submodules

NoiseMode = Literal['none', 'constant', 'random']


class Inspectable(abc.ABC):
    """A generator that can be looked into. Subclasses are final.

    The module is never changed by a render: what a request changes (transform, filters) is passed as
    `overrides`, buffer name -> tensor, for one call.
    """

    module: nn.Module
    """In evaluation mode, gradients off. Hooks and overrides attach here."""
    info: GeneratorInfo
    changes: object = None
    """What a twin was made for: whoever made it recognises it by this. None for a network as it came."""

    def with_submodules(self, modules: Mapping[str, nn.Module], info: GeneratorInfo, *, changes: object) -> Self:
        """The same generator with other modules at these paths, described by `info`; all else is shared, and this one
        stays as it is. Subclasses find their network in `module` alone."""
        twin = copy.copy(self)
        twin.module = with_submodules(self.module, modules)
        twin.info, twin.changes = info, changes
        return twin

    def why_no_parts(self) -> str | None:
        """Why a part of a picture cannot be computed alone, as a sentence; None if it can."""
        return 'Only pictures of StyleGAN3 and StyleGAN2 networks can be computed in part.'

    def part(self, columns: tuple[int, int], rows: tuple[int, int]) -> tuple[Self, float]:
        """The same generator whose pictures are just these columns and rows (from, to) of this one's, exactly; and how many
        times as much work the whole is. Raises `ValueError` where that is not possible (`why_no_parts`)."""
        raise ValueError(self.why_no_parts() or 'This generator computes no parts.')

    @abc.abstractmethod
    def latents(self, z: Tensor, class_index: int | None = None) -> Tensor:
        """Latents of `z` [batch, z_dim], without truncation: [batch, num_ws, w_dim].

        `class_index`: None on a conditional model means class 0.
        """

    @abc.abstractmethod
    def synthesize(
        self,
        latents: Tensor,
        overrides: Mapping[str, Tensor] | None = None,
        *,
        noise: NoiseMode = 'constant',
        noise_seed: int = 0,
        float32: bool = False,
    ) -> Tensor:
        """Images [batch, channels, height, width], nominally in [-1, 1], of `latents` [batch, num_ws, w_dim].

        `noise_seed` fixes the draw of noise='random'. `float32` forces full precision on fp16 networks.
        """

    def average(self) -> Tensor | None:
        """The average latent [w_dim] that truncation moves towards; None when the model has none."""
        return None

    def filters(self) -> Mapping[str, Tensor]:
        """The resampling filter buffers that `overrides` may replace: buffer name -> taps."""
        return {}

    def transform(self, matrix: Tensor) -> Mapping[str, Tensor]:
        """Overrides that apply `matrix` [3, 3] (how the IMAGE moves: x right, y down, image widths) to the input."""
        raise ValueError(self.info.why_not('transform') or 'This generator has no input transform.')

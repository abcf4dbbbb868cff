"""Options of the networks, under the keywords and with the defaults of the published snapshots (they are the file format)."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

Rung = Literal['E', 'F', 'G', 'H']
"""Configurations of the paper's ladder (Fig. 3, left) with a fixed doubling of the rate every second layer."""
RUNGS: tuple[str, ...] = ('E', 'F', 'G', 'H', 'T', 'R')
Architecture = Literal['orig', 'skip', 'resnet']
"""How StyleGAN2 networks join resolutions: not at all, by summed images, by residual blocks (2020, Fig. 7)."""

_Config = TypeVar('_Config')


@dataclass(frozen=True, slots=True)
class AliasFreeConfig:
    """Synthesis network of StyleGAN3 (2021, Appendix F.1); `rung` selects an older schedule of layers."""

    channel_base: int = 32768
    """C_base: channels are C_base / (2 f_c), at most `channel_max`."""
    channel_max: int = 512
    """Most channels of a layer."""
    num_layers: int = 14
    """N, without ToRGB. The rungs E to H derive it from the resolution."""
    num_critical: int = 2
    """N_crit: how many of the last layers are sampled critically."""
    first_cutoff: float = 2.0
    """f_c,0 in cycles per image width; also the band of the Fourier features."""
    first_stopband: float = 2**2.1
    """f_t,0."""
    last_stopband_rel: float = 2**0.3
    """f_t,N / f_c,N."""
    margin_size: int = 10
    """Samples around the canvas on each side, at every rate."""
    output_scale: float = 0.25
    """Factor of the last layer: colours range from -4 to 4 inside (Appendix F.1)."""
    num_fp16_res: int = 4
    """How many of the highest rates run in float16 on a GPU."""
    conv_kernel: int = 3
    """Width of the convolutions: 3 (T) or 1 (R)."""
    filter_size: int = 6
    """n: taps of a filter per sample of the lower rate."""
    lrelu_upsampling: int = 2
    """m: rate of the non-linearity, relative to the layer's."""
    use_radial_filters: bool = False
    """Jinc instead of separable filters when sampling down, but not in critical layers."""
    conv_clamp: float | None = 256.0
    """Largest absolute value of activations, against overflow in float16; None = unlimited."""
    magnitude_ema_beta: float = 0.999
    """Decay per step of the tracked magnitudes; in training --magnitude-ema-kimg decides."""
    rung: Rung | None = None
    """None = flexible layers (T, R, and everything between)."""


@dataclass(frozen=True, slots=True)
class MappingConfig:
    """Mapping network of either family; StyleGAN3 uses 2 layers, StyleGAN2 8."""

    num_layers: int
    """Dense layers."""
    embed_features: int | None = None
    """Features of the embedded class. None = w_dim."""
    layer_features: int | None = None
    """Features between layers. None = w_dim."""
    activation: Literal['lrelu', 'linear', 'relu'] = 'lrelu'
    """Non-linearity between layers."""
    lr_multiplier: float = 0.01
    """How fast the mapping learns, relative to the other layers."""
    w_avg_beta: float | None = 0.998
    """Decay of the average latent; None = keep no average."""


@dataclass(frozen=True, slots=True)
class StyleGAN2Config:
    """Synthesis network of StyleGAN2."""

    channel_base: int = 32768
    """Channels are this over the side, at most `channel_max`."""
    channel_max: int = 512
    """Most channels of a layer."""
    num_fp16_res: int = 4
    """How many of the highest resolutions run in float16 on a GPU."""
    architecture: Architecture = 'skip'
    """How resolutions are joined: orig, skip or resnet."""
    resample_filter: tuple[float, ...] = (1, 3, 3, 1)
    """Taps of the low-pass filter for doubling the resolution."""
    conv_clamp: float | None = 256.0
    """Largest absolute value of activations, against overflow in float16; None = unlimited."""
    use_noise: bool = True
    """Add noise to the pixels of each layer, of a strength that is learned."""
    kernel_size: int = 3
    """Width of the convolutions."""
    fourier_bandwidth: float | None = None
    """Not None: Fourier features up to this many cycles per image width replace the learned constant (configuration B
    of StyleGAN3's ladder), so that the input can be moved. At most 2, the Nyquist frequency of the 4 x 4 grid."""
    fp16_channels_last: bool = False
    """Memory layout of the training code; changes no value here."""
    fused_modconv_default: bool | str = True
    """How the training code computes modulated convolutions; changes no value here."""


@dataclass(frozen=True, slots=True)
class DiscriminatorConfig:
    """Discriminator of StyleGAN2, used by StyleGAN3 as well; `block_kwargs` and `epilogue_kwargs` are joined in."""

    architecture: Architecture = 'resnet'
    """How resolutions are joined: orig, skip or resnet."""
    channel_base: int = 32768
    """Channels are this over the side, at most `channel_max`."""
    channel_max: int = 512
    """Most channels of a layer."""
    num_fp16_res: int = 4
    """How many of the highest resolutions run in float16 on a GPU."""
    conv_clamp: float | None = 256.0
    """Largest absolute value of activations, against overflow in float16; None = unlimited."""
    cmap_dim: int | None = None
    """Features of the mapped class. None = channels at 4 x 4."""
    resample_filter: tuple[float, ...] = (1, 3, 3, 1)
    """Taps of the low-pass filter for halving the resolution."""
    freeze_layers: int = 0
    """How many of the first layers keep their weights as buffers, which no optimizer sees (Freeze-D)."""
    mbstd_group_size: int | None = 4
    """None = the whole batch."""
    mbstd_num_channels: int = 1
    """Channels that say how much the images of a group differ; 0 = none."""
    fp16_channels_last: bool = False
    """Memory layout of the training code; changes no value here."""


def from_keywords(cls: type[_Config], keywords: Mapping[str, Any], **defaults: Any) -> _Config:
    """`cls` from official keywords (lists become tuples); `defaults` replace those of `cls`.

    Raises `ValueError` for a keyword that does not exist: it could change the picture, so it is not skipped.
    """
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(keywords) - known)
    if unknown:
        raise ValueError(f'{cls.__name__} has no option {unknown[0]!r}; it knows {", ".join(sorted(known))}')
    values = {**defaults, **keywords}
    return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def ladder_keywords(rung: str, resolution: int) -> dict[str, Any]:
    """Synthesis keywords of a rung of the paper's ladder, 'E' to 'H', 'T' or 'R', at the width published for `resolution`.

    C_base is 2^14 at 256 and 2^15 from 512 on; R doubles C_base and C_max and convolves 1 x 1 (Fig. 16, Appendix F.1).
    """
    if rung not in RUNGS:
        raise ValueError(f'there is no rung {rung!r}; choose one of {", ".join(RUNGS)}')
    base = min(64 * resolution, 32768)
    if rung == 'R':
        return {'channel_base': 2 * base, 'channel_max': 1024, 'conv_kernel': 1, 'use_radial_filters': True}
    keywords = {'channel_base': base, 'channel_max': 512}
    return keywords if rung == 'T' else {**keywords, 'rung': rung}

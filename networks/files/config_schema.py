"""Bounds on the options that a file may ask a network to be built with, checked before anything is built."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from networks.bad_file import BadFile, shown
from networks.files.limits import bad_option


@dataclass(frozen=True, slots=True)
class Number:
    """A number between `low` and `high`; None too where `optional`."""

    low: float
    high: float
    whole: bool = True
    optional: bool = False
    power_of_two: bool = False

    def accepts(self, value: object) -> bool:
        """Whether `value` is within bounds."""
        if value is None:
            return self.optional
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            return False
        if self.whole and value != int(value):
            return False
        if self.power_of_two and int(value) & (int(value) - 1):
            return False
        return self.low <= value <= self.high

    def clean(self, value: object) -> object:
        """`value` as the constructors take it: whole numbers as int."""
        return int(value) if self.whole and type(value) is float else value

    def __str__(self) -> str:
        kind = 'a power of two' if self.power_of_two else 'a whole number' if self.whole else 'a number'
        return f'{kind} from {_number(self.low)} to {_number(self.high)}{" or none" if self.optional else ""}'


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values."""

    values: tuple[object, ...]

    def accepts(self, value: object) -> bool:
        """Whether `value` is one of them, of the same type."""
        return any(type(value) is type(known) and value == known for known in self.values)

    def clean(self, value: object) -> object:
        """`value` itself."""
        return value

    def __str__(self) -> str:
        return 'one of ' + ', '.join(map(str, self.values))


@dataclass(frozen=True, slots=True)
class Numbers:
    """A short list of finite numbers (filter taps), or None."""

    longest: int = 64

    def accepts(self, value: object) -> bool:
        """Whether `value` is such a list."""
        if value is None:
            return True
        if type(value) is not list or not 1 <= len(value) <= self.longest:
            return False
        return all(type(number) in (int, float) and math.isfinite(number) for number in value)

    def clean(self, value: object) -> object:
        """`value` itself."""
        return value

    def __str__(self) -> str:
        return f'a list of 1 to {self.longest} numbers'


@dataclass(frozen=True, slots=True)
class Fixed:
    """The only value that our networks have; it is checked, then left out of the configuration."""

    value: object

    def accepts(self, value: object) -> bool:
        """Whether `value` is that one."""
        return type(value) is type(self.value) and value == self.value

    def clean(self, value: object) -> object:
        """`value` itself."""
        return value

    def __str__(self) -> str:
        return str(self.value)


Rule = Number | Choice | Numbers | Fixed
Schema = Mapping[str, 'Rule | Schema']

_FLAG = Choice((False, True))
_ACTIVATION = Choice(('lrelu', 'linear', 'relu'))
_LEAKY = Fixed('lrelu')
_ARCHITECTURE = Choice(('orig', 'skip', 'resnet'))
_CLAMP = Number(0, 1e6, whole=False, optional=True)
_LAYERS = Number(0, 64)
_WIDTH = Number(1, 16384)
_OPTIONAL_WIDTH = Number(0, 16384, optional=True)

_MAPPING: Schema = MappingProxyType(
    {
        'num_layers': _LAYERS,
        'embed_features': _OPTIONAL_WIDTH,
        'layer_features': _OPTIONAL_WIDTH,
        'activation': _ACTIVATION,
        'lr_multiplier': Number(1e-9, 1e9, whole=False),
        'w_avg_beta': Number(0, 1, whole=False, optional=True),
    }
)
_IMAGE: Schema = MappingProxyType(
    {
        'c_dim': Number(0, 100_000),
        'img_channels': Number(1, 64),
        'channel_base': Number(1, 1 << 22),
        'channel_max': _WIDTH,
        'num_fp16_res': Number(0, 64),
        'conv_clamp': _CLAMP,
        'mapping_kwargs': _MAPPING,
    }
)
_GENERATOR: Schema = MappingProxyType({'z_dim': Number(0, 16384), 'w_dim': _WIDTH} | _IMAGE)
_BLOCK: Schema = MappingProxyType(
    {
        'activation': _LEAKY,
        'resample_filter': Numbers(),
        'fp16_channels_last': _FLAG,
        'freeze_layers': Number(0, 1000),
    }
)
_EPILOGUE: Schema = MappingProxyType(
    {
        'mbstd_group_size': Number(1, 4096, optional=True),
        'mbstd_num_channels': Number(0, 1024),
        'activation': _LEAKY,
    }
)
_SQUARE = Number(4, 4096, power_of_two=True)

SCHEMAS: Mapping[str, Schema] = MappingProxyType(
    {
        'stylegan3': MappingProxyType(
            {
                **_GENERATOR,
                'img_resolution': Number(4, 4096),
                'num_layers': Number(1, 64),
                'num_critical': Number(0, 64),
                'first_cutoff': Number(1e-3, 4096, whole=False),
                'first_stopband': Number(1e-3, 4096, whole=False),
                'last_stopband_rel': Number(1e-3, 64, whole=False),
                'margin_size': Number(0, 256),
                'output_scale': Number(-1e6, 1e6, whole=False),
                'conv_kernel': Number(1, 15),
                'filter_size': Number(1, 64),
                'lrelu_upsampling': Number(1, 16),
                'use_radial_filters': _FLAG,
                'magnitude_ema_beta': Number(0, 1, whole=False),
                'rung': Choice((None, 'E', 'F', 'G', 'H')),
            }
        ),
        'stylegan2': MappingProxyType(
            {
                **_GENERATOR,
                'img_resolution': _SQUARE,
                'architecture': _ARCHITECTURE,
                'activation': _LEAKY,
                'resample_filter': Numbers(),
                'use_noise': _FLAG,
                'kernel_size': Number(1, 15),
                'fourier_bandwidth': Number(1e-3, 2, whole=False, optional=True),
                'fp16_channels_last': _FLAG,
                'fused_modconv_default': Choice((False, True, 'inference_only')),
            }
        ),
        'discriminator': MappingProxyType(
            {
                **_IMAGE,
                **_BLOCK,
                **_EPILOGUE,
                'img_resolution': _SQUARE,
                'architecture': _ARCHITECTURE,
                'cmap_dim': _OPTIONAL_WIDTH,
                'block_kwargs': _BLOCK,
                'epilogue_kwargs': _EPILOGUE,
            }
        ),
    }
)
"""Family -> options of its constructor, under official names."""

_REQUIRED = MappingProxyType(
    {
        'stylegan3': ('z_dim', 'c_dim', 'w_dim', 'img_resolution', 'img_channels'),
        'stylegan2': ('z_dim', 'c_dim', 'w_dim', 'img_resolution', 'img_channels'),
        'discriminator': ('c_dim', 'img_resolution', 'img_channels'),
    }
)


def check_config(family: str, options: Mapping[str, object]) -> dict[str, object]:
    """The checked options of a network.

    Raises BadFile for an unknown family, a missing or unknown option, or a value out of bounds. An unknown option
    is not skipped: without it the picture could be wrong.
    """
    schema = SCHEMAS.get(family)
    if schema is None:
        known = ', '.join(SCHEMAS)
        raise BadFile('unknown-family', f'The file is of the family "{shown(family)}"; this program knows {known}.')
    for name in _REQUIRED[family]:
        if name not in options:
            raise bad_option(f'does not say the {name} of its network')
    return _checked(schema, options, '')


def _checked(schema: Schema, options: Mapping[str, object], prefix: str) -> dict[str, object]:
    config: dict[str, object] = {}
    for name, value in options.items():
        rule = schema.get(name)
        label = shown(f'{prefix}{name}')
        if rule is None:
            raise BadFile(
                'bad-config',
                f'The file asks for the option {label} = {_brief(value)}, which this program does not know; '
                'without it the picture could be wrong, so it is refused.',
            )
        if isinstance(rule, Mapping):
            if not isinstance(value, Mapping):
                raise BadFile(
                    'bad-config', f'The file asks for {label} = {_brief(value)}, which is no table of options.'
                )
            config[name] = _checked(rule, value, f'{label}.')
        elif not rule.accepts(value):
            raise BadFile('bad-config', f'The file asks for {label} = {_brief(value)}; it must be {rule}.')
        elif not isinstance(rule, Fixed):
            config[name] = rule.clean(value)
    return config


def _brief(value: object) -> str:
    """`value` for a sentence; tables and lists only by their kind, as they may be large."""
    if isinstance(value, Mapping):
        return 'a table'
    return f'a list of {len(value)}' if isinstance(value, list) else shown(value)


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f'{value:g}'

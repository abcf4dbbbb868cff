"""Which family a network belongs to, and its constructor options, from what a snapshot holds.

The class names of a snapshot are ambiguous (both generator families use the same ones), so tensor names decide.
"""

import re
from collections.abc import Iterable
from typing import Literal

from networks.bad_file import BadFile, shown
from networks.files.limits import bad_option
from networks.files.pickle_extract import Extractor
from networks.files.pickle_values import Persistent

Family = Literal['stylegan3', 'stylegan2', 'discriminator']

_GENERATOR_ARGUMENTS = ('z_dim', 'c_dim', 'w_dim', 'img_resolution', 'img_channels')
_DISCRIMINATOR_ARGUMENTS = ('c_dim', 'img_resolution', 'img_channels')
_LAYER_OPTIONS = ('conv_clamp', 'use_noise')


def family_of(names: Iterable[str]) -> Family:
    """The family that tensor `names` belong to. Raises BadFile when none fits."""
    names = list(names)
    known = set(names)
    if 'synthesis.input.freqs' in known:
        return 'stylegan3'
    if any(name.startswith('synthesis.b4.') for name in names):
        return 'stylegan2'
    if 'b4.out.weight' in known:
        return 'discriminator'
    first = ', '.join(shown(name, limit=40) for name in names[:3]) or 'none'
    raise BadFile(
        'unknown-family',
        f'The file has a network of a kind this program does not know (first tensors: {first}); '
        'open a StyleGAN3 or StyleGAN2 model.',
    )


def stated_options(network: Persistent, family: Family, extractor: Extractor) -> dict[str, object]:
    """Constructor options of `network` under official names, in JSON types, not yet checked.

    What the constructor was told comes first. What it was not told is taken from the attributes of the modules,
    because an omitted option means the default of the program that wrote the file, which need not be ours.
    """
    options = _told(network, family, extractor)
    found = _attribute_options(network, family, extractor)
    mapping = _picked(extractor.attributes(network, 'mapping'), ('num_layers', 'w_avg_beta'))
    if family == 'stylegan2' and _is_older_form(network):  # the defaults of StyleGAN2-ADA
        found = {'conv_clamp': None, 'num_fp16_res': 0, **found}
        mapping = {'w_avg_beta': 0.995, **mapping}
    told = options.get('mapping_kwargs', {})
    if mapping and isinstance(told, dict):
        options['mapping_kwargs'] = {**mapping, **told}
    for name, value in found.items():
        options.setdefault(name, value)
    return options


def _told(network: Persistent, family: Family, extractor: Extractor) -> dict[str, object]:
    names = _DISCRIMINATOR_ARGUMENTS if family == 'discriminator' else _GENERATOR_ARGUMENTS
    arguments = extractor.plain(network.state.get('_init_args', ()))
    keywords = extractor.plain(network.state.get('_init_kwargs', {}))
    if not isinstance(arguments, list) or not isinstance(keywords, dict) or len(arguments) > len(names):
        raise bad_option('has a network with malformed options')
    options = {**dict(zip(names, arguments, strict=False)), **keywords}
    nested = options.pop('synthesis_kwargs', None)  # the StyleGAN2-ADA form
    if isinstance(nested, dict):
        options = {**options, **nested}
    return options


def _is_older_form(network: Persistent) -> bool:
    keywords = network.state.get('_init_kwargs')
    return type(keywords) is dict and 'synthesis_kwargs' in keywords


def _attribute_options(network: Persistent, family: Family, extractor: Extractor) -> dict[str, object]:
    top = extractor.attributes(network, '')
    found = {name: top[name] for name in _GENERATOR_ARGUMENTS if name in top}
    if family == 'discriminator':
        found = {name: value for name, value in found.items() if name in _DISCRIMINATOR_ARGUMENTS}
    prefix = '' if family == 'discriminator' else 'synthesis'
    children = _child_names(network, prefix)
    if family == 'stylegan3':
        found |= _picked(extractor.attributes(network, prefix), ('num_fp16_res', 'output_scale', 'margin_size'))
        layers = [name for name in children if re.match(r'L\d+_', name)]
        return found | _picked(
            extractor.attributes(network, f'{prefix}.{layers[0]}') if layers else {}, _LAYER_OPTIONS[:1]
        )
    blocks = [name for name in children if re.fullmatch(r'b\d+', name)]
    return found | _block_options(network, prefix, blocks, extractor)


def _block_options(network: Persistent, prefix: str, blocks: list[str], extractor: Extractor) -> dict[str, object]:
    """Options that the blocks of a StyleGAN2 generator or discriminator tell."""
    found: dict[str, object] = {}
    uses_half = []
    for block in blocks:
        path = f'{prefix}.{block}' if prefix else block
        attributes = extractor.attributes(network, path)
        uses_half.append(attributes.get('use_fp16', False if 'architecture' in attributes else None))
        found |= _picked(attributes, ('architecture',))
        layer_options = _LAYER_OPTIONS if prefix else _LAYER_OPTIONS[:1]
        found |= _picked(extractor.attributes(network, f'{path}.conv1'), layer_options)
    if uses_half and None not in uses_half:
        found['num_fp16_res'] = sum(map(bool, uses_half))
    return found


def _child_names(network: Persistent, path: str) -> list[str]:
    modules = network.state.get('_modules', {})
    if path:
        child = modules.get(path)
        modules = child.state.get('_modules', {}) if type(child) is Persistent else {}
    return [name for name in modules if type(name) is str] if type(modules) is dict else []


def _picked(attributes: dict[str, object], names: tuple[str, ...]) -> dict[str, object]:
    return {name: attributes[name] for name in names if name in attributes}

"""Models as files: official snapshots are read as data, ours are read and written. Nothing in a file is ever run."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor

from networks.adapters.base import Inspectable
from networks.adapters.wrap import wrap
from networks.bad_file import BadFile, shown
from networks.build import build_checked, check_shapes
from networks.files.config_schema import check_config
from networks.files.families import family_of
from networks.files.limits import damaged
from networks.files.mapped import Progress, mapped_file, sha256_of
from networks.files.safetensors_file import Header, read_header, read_tensors, write_safetensors
from networks.files.snapshot import read_snapshot
from networks.files.sniff import foreign_file, looks_like_safetensors

FORMAT = 'aliasscope'
TRAINING_STATE_FORMAT = 'aliasscope-training-state'
"""What the trainer continues from; told apart only to say so."""
VERSION = '1'
CREATED_BY = 'AliasScope 0.1.0'
_HEAD_BYTES = 512
_LONGEST_ORIGIN = 600
"""Letters."""
_HASH_SHARE = 0.3
"""Part of the time that hashing takes, for the progress bar."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One network as data."""

    family: str
    """'stylegan3', 'stylegan2' or 'discriminator'."""
    config: Mapping[str, object]
    """Constructor keywords under official names, in JSON types."""
    tensors: Mapping[str, Tensor]
    """Parameters and buffers under official names, in the stored types, on the CPU."""
    sha256: str
    """Of the file this was read from; empty for one that was made here."""
    source: str
    """Name of that file, or what made it."""
    network: str = 'G_ema'
    """Which network of its snapshot this is."""
    notes: tuple[str, ...] = ()
    """What the reader noticed, in sentences."""
    embedded_code: tuple[tuple[int, str], ...] = ()
    """(bytes, SHA-256) of every program text that the file carries. It was not run."""
    origin: str = ''
    """Of a file of ours: what its weights were first read from, with its SHA-256, or what made them. Empty for others."""


def load_checkpoint(path: Path | str, *, network: str = 'G_ema', on_progress: Progress | None = None) -> Checkpoint:
    """The network called `network` ('G_ema', 'G', 'D') of the model file at `path`. Raises BadFile.

    Reads official-format snapshots (.pkl) and our own .safetensors, which hold one network each: there `network`
    is not needed. `on_progress(fraction, text)` may raise to stop.
    """
    path = Path(path)
    report = on_progress or _ignore
    with _naming(path), mapped_file(path) as data:
        head = bytes(data[:_HEAD_BYTES])
        foreign = foreign_file(head)
        if foreign is not None:
            raise foreign
        sha256 = sha256_of(data, lambda done: report(_HASH_SHARE * done, 'Identifying the file'))

        def report_rest(done: float, text: str) -> None:
            report(_HASH_SHARE + (1 - _HASH_SHARE) * done, text)

        if looks_like_safetensors(head):
            return _read_ours(data, path.name, sha256, report_rest)
        return _read_official(data, path.name, sha256, network, report_rest)


def save_checkpoint(path: Path | str, checkpoint: Checkpoint, *, on_progress: Progress | None = None) -> None:
    """Write `checkpoint` to `path` as our .safetensors, atomically. Raises BadFile when that is not possible."""
    path = Path(path)
    report = on_progress or _ignore
    metadata = {
        'format': FORMAT,
        'version': VERSION,
        'family': checkpoint.family,
        'config': json.dumps(dict(checkpoint.config), sort_keys=True, allow_nan=False),
        'network': checkpoint.network,
        'source': checkpoint.source,
        'source_sha256': checkpoint.sha256,
        'embedded_code': json.dumps(checkpoint.embedded_code),
        'created_by': CREATED_BY,
    }
    if checkpoint.origin:
        metadata['origin'] = checkpoint.origin
    try:
        write_safetensors(path, checkpoint.tensors, metadata, lambda done: report(done, 'Writing the weights'))
    except OSError as error:
        reason = error.strerror or str(error)
        raise BadFile(
            'cannot-write', f'The file cannot be written ({reason}); choose another folder or make room.'
        ).named(path.name) from error


def convert(
    source: Path | str, target: Path | str, *, network: str = 'G_ema', on_progress: Progress | None = None
) -> Checkpoint:
    """Write `network` of the model file `source` to `target` as our .safetensors; what was written comes back.

    The tensors are compared with the network that the options describe first. Raises BadFile for a bad source, a
    target of another kind, or one that cannot be written. A model of ours at `target` is replaced.
    """
    source, target = Path(source), Path(target)
    report = on_progress or _ignore
    _check_target(target)
    checkpoint = load_checkpoint(source, network=network, on_progress=lambda done, text: report(0.6 * done, text))
    with _naming(source):
        build_checked(checkpoint.family, checkpoint.config, checkpoint.tensors)
    save_checkpoint(target, checkpoint, on_progress=lambda done, text: report(0.6 + 0.4 * done, text))
    return checkpoint


def load_generator(
    path: Path | str,
    device: torch.device | str = 'cpu',
    *,
    network: str = 'G_ema',
    on_progress: Progress | None = None,
) -> Inspectable:
    """The generator in the model file at `path`, ready to be looked into, on `device`. Raises BadFile.

    What the reader noticed (weights that are not finite, program text that was not run) is in `info.notes`.
    """
    path = Path(path)
    report = on_progress or _ignore
    checkpoint = load_checkpoint(path, network=network, on_progress=lambda done, text: report(0.9 * done, text))
    report(0.9, 'Building the network')
    with _naming(path):
        return make_generator(checkpoint, device)


def make_generator(checkpoint: Checkpoint, device: torch.device | str = 'cpu') -> Inspectable:
    """The generator that `checkpoint` describes, on `device`. Raises BadFile when tensors and options differ."""
    if checkpoint.family == 'discriminator':
        raise BadFile('no-generator', 'The file holds a discriminator, which makes no pictures; open a generator.')
    module = build_checked(checkpoint.family, checkpoint.config, checkpoint.tensors)
    adapter = wrap(module.to(device), notes=checkpoint.notes)
    adapter.info = replace(adapter.info, origin=checkpoint.origin)
    return adapter


def file_sha256(path: Path | str) -> str:
    """SHA-256 of the file at `path`, in hexadecimal. Raises BadFile when it cannot be read."""
    path = Path(path)
    with _naming(path), mapped_file(path) as data:
        return sha256_of(data)


def _read_official(data: memoryview, source: str, sha256: str, network: str, report: Progress) -> Checkpoint:
    found = read_snapshot(data, network, report)
    notes = []
    if found.codes:
        kilobytes = sum(code.length for code in found.codes) / 1000
        parts = f'{len(found.codes)} part{"s" if len(found.codes) > 1 else ""}, {kilobytes:.3g} kB'
        notes.append(f'The file carries program text ({parts}); it was not run.')
    if found.left_out:
        first, *others = found.left_out
        more = f' and {len(others)} more' if others else ''
        notes.append(f'Parts of an unknown kind were left out: {first}{more}.')
    return Checkpoint(
        family=found.family,
        config=MappingProxyType(found.config),
        tensors=MappingProxyType(found.tensors),
        sha256=sha256,
        source=source,
        network=network,
        notes=(*notes, *_weight_notes(found.tensors)),
        embedded_code=tuple((code.length, code.sha256) for code in found.codes),
    )


def _read_ours(data: memoryview, source: str, sha256: str, report: Progress) -> Checkpoint:
    header = read_header(data)
    metadata = header.metadata
    _check_format(metadata)
    family = metadata.get('family', '')
    options = _json(header, 'config')
    if not isinstance(options, dict):
        raise damaged('its config is not a table')
    config = check_config(family, options)
    if family_of(entry.name for entry in header.entries) != family:
        raise BadFile('wrong-family', f'The file says {shown(family)}, but its tensors are of another kind.')
    try:
        tensors = read_tensors(data, header, lambda done: report(done, 'Reading the weights'))
    except BadFile as error:
        if error.code == 'checksum':  # changed by another program: tensors that do not fit say more
            check_shapes(family, config, {entry.name: entry.shape for entry in header.entries})
        raise
    return Checkpoint(
        family=family,
        config=MappingProxyType(config),
        tensors=MappingProxyType(tensors),
        sha256=sha256,
        source=source,
        network=shown(metadata.get('network', 'G_ema')),
        notes=_weight_notes(tensors),
        embedded_code=_embedded_code(header),
        origin=_origin(metadata),
    )


def _check_format(metadata: Mapping[str, str]) -> None:
    """Raises `BadFile` for a file that is not one of our models, or of a newer version."""
    if metadata.get('format') == TRAINING_STATE_FORMAT:
        raise BadFile(
            'training-state',
            'The file is the state of a training run, not a model; open the folder of the run or one of its snapshots.',
        )
    if metadata.get('format') != FORMAT:
        raise BadFile(
            'foreign-safetensors',
            'The file is a safetensors file without our description of its network; '
            'make one with "visualizer.py convert SNAPSHOT.pkl OUT.safetensors".',
        )
    if metadata.get('version') != VERSION:
        raise BadFile(
            'version',
            f'The file is of version {shown(metadata.get("version"))}; this program reads version {VERSION}: update it.',
        )


def _json(header: Header, name: str) -> object:
    """The JSON value in the metadata entry `name`."""
    try:
        return json.loads(header.metadata[name])
    except (KeyError, ValueError, RecursionError):
        raise damaged(f'its {name} is missing or not valid JSON') from None


def _origin(metadata: Mapping[str, str]) -> str:
    """Where the weights come from, in the words of the file; what was converted twice remembers the first source."""
    source, sha256 = metadata.get('source', ''), metadata.get('source_sha256', '')
    composed = f'{source} (SHA-256 {sha256})' if source and sha256 else source
    return shown(metadata.get('origin', composed), limit=_LONGEST_ORIGIN)


def _embedded_code(header: Header) -> tuple[tuple[int, str], ...]:
    """What the file says about program text in the snapshot that it was converted from."""
    if 'embedded_code' not in header.metadata:
        return ()
    codes = []
    for item in listed if isinstance(listed := _json(header, 'embedded_code'), list) else ():
        match item:
            case [int(length), str(sha256)]:
                codes.append((length, shown(sha256, limit=64)))
            case _:
                raise damaged('its embedded_code is malformed')
    return tuple(codes)


def _weight_notes(tensors: Mapping[str, Tensor]) -> tuple[str, ...]:
    """A sentence when weights are not finite."""
    bad = {name: count for name, tensor in tensors.items() if (count := _count_not_finite(tensor))}
    if not bad:
        return ()
    total = sum(bad.values())
    values = f'{total} value{"s" if total > 1 else ""} in {len(bad)} tensor{"s" if len(bad) > 1 else ""}'
    return (f'{values} {"are" if total > 1 else "is"} not finite (first: {next(iter(bad))}); images may be blank.',)


def _count_not_finite(tensor: Tensor) -> int:
    """How many elements are infinite or not a number."""
    if not tensor.is_floating_point() or tensor.sum().isfinite():  # a finite sum has finite terms, and is cheap
        return 0
    return int((~tensor.isfinite()).sum())


def _check_target(target: Path) -> None:
    """Whether `convert` may write `target`."""
    if target.suffix != '.safetensors':
        raise BadFile('bad-target', f'{shown(target.name)}: the converted model must be called something.safetensors.')
    if not target.parent.is_dir():
        raise BadFile('bad-target', f'There is no folder {shown(target.parent, limit=120)}; make it first.')
    if not target.exists():
        return
    if not target.is_file():
        raise BadFile('bad-target', f'{shown(target.name)} exists and is not a file; choose another name.')
    if target.stat().st_size == 0:
        return
    with _naming(target), mapped_file(target) as data:
        if not looks_like_safetensors(bytes(data[:_HEAD_BYTES])):
            raise BadFile('bad-target', f'{shown(target.name)} exists and is no safetensors file; choose another name.')


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Puts the name of the file into the sentence of a BadFile raised inside."""
    try:
        yield
    except BadFile as error:
        raise error.named(path.name or str(path)) from error.__cause__


def _ignore(done: float, text: str) -> None:
    pass

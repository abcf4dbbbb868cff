"""How much a model file may cost. Every bound is far above any real file, whose figures stand beside it."""

from dataclasses import dataclass

from networks.bad_file import BadFile


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one file may spend."""

    file_bytes: int = 8 << 30
    operations: int = 500_000
    """Pickle operations over all nested streams (real: 7,000 to 66,000)."""
    memo_slots: int = 250_000
    stack_values: int = 100_000
    marks: int = 1_000
    text_bytes: int = 4_096
    """Longer texts are never decoded: they stay places in the file (real: only embedded program text)."""
    text_bytes_total: int = 16 << 20
    name_characters: int = 128
    program_texts: int = 64
    unknown_names: int = 1_000
    storages: int = 10_000
    nodes: int = 20_000
    """Values that walks over the parsed tree may visit (real: up to 700)."""
    depth: int = 64
    config_values: int = 4_096
    """Elements of one array used as a configuration value."""
    tensor_dimensions: int = 8
    tensor_bytes: int = 8 << 30
    amplification: float = 4.0
    """Tensor bytes per file byte: views may share or repeat their storage, but not without bound."""
    header_bytes: int = 4 << 20
    """JSON header of a safetensors file."""
    tensors: int = 10_000


LIMITS = Limits()


class Budget:
    """What has been spent on one file so far, over all of its nested streams."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.limits = limits
        self.operations = 0
        self.text_bytes = 0
        self.storages = 0
        self.respelled_bytes = 0
        self.nodes = 0
        self.tensor_bytes = 0

    def spend_operation(self) -> None:
        """Count one pickle operation."""
        self.operations += 1
        if self.operations > self.limits.operations:
            raise too_big(f'more than {self.limits.operations} parts')

    def spend_text(self, byte_count: int) -> None:
        """Count a text of `byte_count` bytes before it is decoded."""
        self.text_bytes += byte_count
        if self.text_bytes > self.limits.text_bytes_total:
            raise too_big(f'more than {self.limits.text_bytes_total >> 20} MB of text')

    def spend_storage(self) -> None:
        """Count one nested tensor stream before it is opened."""
        self.storages += 1
        if self.storages > self.limits.storages:
            raise too_big(f'more than {self.limits.storages} tensors')

    def spend_respelled(self, byte_count: int, file_bytes: int) -> None:
        """Count bytes that the file spells as text, before they are decoded: no file holds more than its size."""
        self.respelled_bytes += byte_count
        if self.respelled_bytes > file_bytes + (1 << 16):
            raise too_big('the same bytes too many times')

    def spend_node(self, depth: int) -> None:
        """Count one visited value; a shared value is paid for at every visit, so a doubling chain ends here."""
        self.nodes += 1
        if self.nodes > self.limits.nodes:
            raise too_big(f'more than {self.limits.nodes} values')
        if depth > self.limits.depth:
            raise too_big(f'values nested more than {self.limits.depth} deep')

    def spend_tensor(self, byte_count: int, file_bytes: int) -> None:
        """Count a tensor of `byte_count` bytes, from a file of `file_bytes`, before it is copied out."""
        self.tensor_bytes += byte_count
        allowed = min(self.limits.tensor_bytes, int(self.limits.amplification * file_bytes) + (1 << 20))
        if self.tensor_bytes > allowed:
            raise BadFile(
                'too-big',
                f'The file of {file_bytes} bytes asks for {self.tensor_bytes} bytes of tensors, far more than it '
                'holds; refused, get the model from its source.',
            )


def too_big(what: str) -> BadFile:
    """The error for a file that exceeds a bound no real model comes near."""
    return BadFile('too-big', f'The file holds {what}, beyond any real model; refused, get the model from its source.')


def damaged(detail: str) -> BadFile:
    """The error for a stream that makes no sense."""
    return BadFile('damaged', f'The file is damaged ({detail}); download or copy it again.')


def truncated(needed: int, available: int) -> BadFile:
    """The error for a stream that ends before `needed` more bytes."""
    return BadFile(
        'truncated',
        f'The file is cut short or damaged: {needed} more bytes are needed, {available} are left; '
        'download or copy it again.',
    )


def malformed(what: str) -> BadFile:
    """The error for `what`: a known name used in a way that no real snapshot does."""
    return BadFile('malformed', f'The file holds {what}, unlike any snapshot; refused, get the model from its source.')


def forbidden(what: str) -> BadFile:
    """The error for a program that does `what`, which no model file needs."""
    return BadFile(
        'bad-operation', f'The file {what}, which model files never do; refused, get the model from its source.'
    )


def bad_option(what: str) -> BadFile:
    """The error for options that no network of ours has; `what` follows 'The file'."""
    return BadFile('bad-config', f'The file {what}; refused, get the model from its source.')

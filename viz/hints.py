"""Short sentences about what is shown: for the status line, the title bar and the canvas. Pure."""

from __future__ import annotations

from render.filter_choices import CLASSIC
from render.request import RenderRequest
from render.result import GeneratorInfo, RenderResult
from render.session import LATTICE_ROW, SEED_LIMIT, LatentState, Side
from viz.filter_edits import filter_label
from viz.measure import Speed

PLAIN = 'torch', 'reference', 'cpu in plain torch'
"""How notes on operators begin, after the name, that name no kernels."""
NO_KERNELS = 'cpu: compiled kernels are switched off', 'cpu: no kernels can be compiled'
"""How the note on kernels begins where none is used."""


def nearest_seed(latent: LatentState) -> int:
    """The seed of the lattice point next to the latent."""
    return (round(latent.x) + LATTICE_ROW * round(latent.y)) % SEED_LIMIT


def latent_label(latent: LatentState) -> str:
    """'seed 12' on a lattice point, 'near seed 12' between."""
    between = latent.x != round(latent.x) or latent.y != round(latent.y)
    return f'{"near " if between else ""}seed {nearest_seed(latent)}'


def layer_label(side: Side, model: GeneratorInfo | None) -> str:
    """What is shown: the image or a layer's short name."""
    if side.layer.layer is None:
        return 'Image'
    layer = model.layer(side.layer.layer) if model else None
    return layer.label if layer else side.layer.layer


def is_radial(model: GeneratorInfo) -> bool:
    """Whether some filter of the network is radially symmetric, as rotation needs."""
    return any(filter_info.radial for layer in model.layers for filter_info in layer.filters)


def motion_hint(model: GeneratorInfo | None, side: Side) -> tuple[str, str]:
    """What the texture should do when the picture moves: a few words, and the reason as a sentence."""
    if model is None:
        return '', ''
    if (reason := model.why_not('transform')) is not None:
        return 'texture tied to pixels', reason
    label = filter_label(side.filters)
    if label and side.filters.kind in CLASSIC:
        where = 'all layers' if side.filters.layers is None else f'{len(side.filters.layers)} layers'
        return (
            f'{label}: aliasing',
            f'The {side.filters.kind} filters in {where} let through frequencies that the layer cannot hold, '
            'so details may stick to the screen.',
        )
    if label:
        return (
            label,
            'The sampling is not the one that the network was trained with; the panel Filters says what differs.',
        )
    if not any(layer.filters and layer.half_width for layer in model.layers):
        return (
            'texture partly tied to pixels',
            'Noise, zero padding and unfiltered non-linearities tie details to the screen, though the input moves.',
        )
    if is_radial(model):
        return (
            'texture should follow shifts and turns',
            'Radial filters and 1x1 convolutions: the texture should move and turn with the hand.',
        )
    return (
        'texture should follow shifts',
        'The filters are separable: the texture should move with the hand, but not turn with it.',
    )


def shift_label(side: Side, model: GeneratorInfo | None) -> str:
    """The translation in pixels of the image and the rotation; empty without any."""
    transform = side.transform
    parts = []
    if model and (transform.x or transform.y):
        parts.append(f'{transform.x * model.resolution:+.1f}, {transform.y * model.resolution:+.1f} px')
    if transform.degrees:
        parts.append(f'{transform.degrees:+.1f}°')
    if transform.scale != 1:
        parts.append(f'×{transform.scale:.2f}')
    return '  '.join(parts)


def duration(seconds: float) -> str:
    """'7.2 ms', '193 ms', '3.4 s', '121 s'."""
    if seconds < 1:
        return f'{1000 * seconds:.{0 if seconds >= 0.1 else 1}f} ms'
    return f'{seconds:.1f} s' if seconds < 10 else f'{seconds:.0f} s'


def render_time(speed: Speed) -> str:
    """How long a picture takes, in a word or three; empty before the first."""
    if not speed.whole_seconds:
        return ''
    return f'{"first picture " if speed.is_first else ""}{duration(speed.whole_seconds)}'


def is_current(result: RenderResult | None, request: RenderRequest | None) -> bool:
    """Whether the picture is the answer to what is asked now."""
    return request is None or (result is not None and result.request == request)


def short_path(path: str, length: int = 40) -> str:
    """The end of a path that tells files apart, at most about `length` letters."""
    if len(path) <= length:
        return path
    parts = path.replace('\\', '/').split('/')
    name = parts[-1] or parts[-2]
    if len(name) >= length - 2:
        return f'{name[: length // 2 - 1]}…{name[-(length // 2) :]}'
    for part in reversed(parts[:-1]):
        if len(name) + len(part) + 3 > length:
            break
        name = f'{part}/{name}'
    return f'…/{name}'


def another_seed(seed: int) -> int:
    """A seed that looks drawn at random; repeated, it visits every one below 100,000 once."""
    # Full period (Hull and Dobell): the increment shares no factor with the modulus, 4621 - 1 all of its primes and 4.
    return (4621 * seed + 53879) % 100_000


def backend_label(notes: tuple[str, ...]) -> str:
    """What runs the operators, in a few words, as the notes of a picture name it; empty if they name nothing.

    Bias and activation of a few numbers, in mapping networks, are best left to plain torch and do not count. Some operators for
    the CPU have a version in plain torch of their own ('cpu in plain torch'). Without a compiler, calls before that was known still
    name the CPU's kernels.
    """
    plain = (*PLAIN, 'cpu') if any(note.startswith(NO_KERNELS) for note in notes) else PLAIN
    named = (note.partition(': ') for note in notes if not note.startswith(('bias_act:', 'cpu:', 'cuda:')))
    texts = {text for _, colon, text in named if colon and text}
    is_plain = {text.startswith(plain) for text in texts if text.startswith((*PLAIN, 'cpu', 'cuda'))}
    if is_plain == {True, False}:
        return 'partly plain torch'
    return 'plain torch' if True in is_plain else 'fast kernels' if is_plain else ''


def kernel_complaint(notes: tuple[str, ...]) -> str:
    """Why the operators are not as fast as they could be, or what is wrong with the compiler; empty if all is well."""
    status = next((note.removeprefix('cpu: ') for note in notes if note.startswith('cpu: ')), '')
    label = backend_label(notes)
    if any(note.startswith(NO_KERNELS) for note in notes) and label == 'plain torch':
        return f'{label.capitalize()}: {status}.'
    problems = [part for part in status.split('; ') if part and not part.partition(' ')[0].isdigit()]
    if label in ('plain torch', 'partly plain torch'):
        named = (note.partition(': ') for note in notes if not note.startswith(('bias_act:', 'cpu:', 'cuda:')))
        reasons = [f'{name}: {_reason(text)}' for name, _, text in named if text.startswith(PLAIN)]
        more = (f'{len(reasons) - 2} more under Operators',) if len(reasons) > 2 else ()
        problems = [f'{label.capitalize()}: {"; ".join((*reasons[:2], *more))}', *problems]
    return f'{"; ".join(problems)}.' if problems else ''


def _reason(text: str) -> str:
    """What a note on an operator gives as its reason: 'reference: cpu declined (too long)' -> 'too long'."""
    _, declined, reason = text.partition(' declined (')
    return reason.removesuffix(')') if declined else text

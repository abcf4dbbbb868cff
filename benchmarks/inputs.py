"""What nobody can measure is refused in one sentence, before anything is built."""

import os
import sys
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

_AT_LEAST_ONE = ('rounds', 'frames', 'steps', 'batch', 'threads', 'channels', 'channel_base', 'sides', 'sizes')
_NOT_NEGATIVE = ('swaps', 'events', 'channel_max')
_SIDES_OF_PICTURES = ('size', 'side')
_NETWORKS = ('untrained', 'networks')
_MOST_SECONDS = 3600.0
_Result = TypeVar('_Result')


def run_checked(main: Callable[[Any], _Result], options: Any) -> _Result:
    """`main(options)`; what is wrong with the options, a file or the display ends the program with one sentence (exit status 1)."""
    refuse_nonsense(options)
    from gui_utils.graphics import NoDisplay
    from networks.bad_file import BadFile

    try:
        return main(options)
    except NoDisplay as error:
        raise SystemExit(no_display(str(error)) if getattr(options, 'screen', False) else str(error)) from None
    except BadFile as error:
        raise SystemExit(str(error)) from None


def refuse_nonsense(options: Any) -> None:
    """Raises `SystemExit` with one sentence for the first option that cannot be measured. Defaults are never refused."""
    for field in fields(options):
        value = getattr(options, field.name)
        for one in value if isinstance(value, tuple) else (value,):
            problem = None if value == field.default or one is None else _problem(field.name, one)
            if problem is not None:
                raise SystemExit(f'--{field.name.replace("_", "-")} is {one!r}; {problem}.')
    if getattr(options, 'screen', False) and sys.platform == 'linux' and not _names_a_display():
        raise SystemExit(no_display('neither DISPLAY nor WAYLAND_DISPLAY is set'))


def no_display(reason: str) -> str:
    """The sentence for a window that was to be on a screen."""
    short = reason.partition(': add --headless')[0].replace('No window could be opened (', 'none could be opened: ')
    return (
        f'--screen needs a display ({short.removesuffix(")")}); '
        "try xvfb-run -s '-screen 0 1280x800x24' python -m …, or leave out --screen."
    )


def _names_a_display() -> bool:
    return bool(os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY'))


def _problem(name: str, value: Any) -> str | None:
    """What a value of this option has to be; None if it is."""
    if name in _AT_LEAST_ONE and value < 1:
        return 'it has to be 1 or more'
    if name in _NOT_NEGATIVE and value < 0:
        return 'it has to be 0 or more'
    if name == 'seconds' and not 0 < value <= _MOST_SECONDS:
        return f'it has to be more than 0 and at most {_MOST_SECONDS:.0f}'
    if name in _SIDES_OF_PICTURES and not _is_side(value):
        return 'the side of a picture has to be a power of two from 8 on'
    if name in _NETWORKS:
        family, _, side = value.partition('-')
        if family not in ('T', 'R', 'SG2') or not side.isdecimal() or not _is_side(int(side)):
            return 'it has to name T, R or SG2 and a power of two from 8 on, as in T-256'
    return None


def _is_side(value: int) -> bool:
    return value >= 8 and value & (value - 1) == 0

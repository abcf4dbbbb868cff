"""Where the time of a picture goes on a GPU: kernels by their time, and how many are launched.

    python -m benchmarks.gpu_profile [T-256 R-256 …]

Pictures from latents on, batch 1, as published; torch's profiler over a few of them. Standard library and torch only.
"""

import sys
import time

import torch
from torch.profiler import ProfilerActivity, profile

from networks.config import ladder_keywords
from networks.stylegan3 import Generator
from ops.backend import backends, report
from render.graphs import CudaRecorder
from render.models import use_full_float32

_PICTURES, _ROWS, _CHANNEL_BASE = 5, 14, 32768


def main(names: list[str]) -> int:
    """Print a table for each network."""
    if not torch.cuda.is_available():
        print(f'no GPU: {backends()["cuda"]}')
        return 1
    use_full_float32()
    with torch.inference_mode():
        for name in names or ['T-256', 'R-256', 'T-1024', 'R-1024']:
            look_at(name)
    return 0


def look_at(name: str) -> None:
    """Print what its pictures spend."""
    rung, _, side = name.partition('-')
    keywords = {**ladder_keywords(rung, int(side)), 'channel_base': _CHANNEL_BASE}
    generator = Generator(512, 0, 512, int(side), 3, **keywords).eval().requires_grad_(False).cuda()
    ws = torch.randn(1, generator.num_ws, 512, device='cuda')
    started = time.perf_counter()
    generator.synthesis(ws)
    torch.cuda.synchronize()
    first = time.perf_counter() - started
    for _ in range(2):
        generator.synthesis(ws)
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        for _ in range(_PICTURES):
            generator.synthesis(ws)
        torch.cuda.synchronize()
    kernels = [one for one in seen.key_averages() if one.self_device_time_total > 0]
    whole = sum(one.self_device_time_total for one in kernels) / _PICTURES / 1000
    launches = sum(one.count for one in kernels) / _PICTURES
    memory = torch.cuda.max_memory_allocated() / 2**30
    print(f'\n{name}: first picture {first:.2f} s, kernels {whole:.3f} ms in {launches:.0f} launches, {memory:.2f} GiB')
    for one in sorted(kernels, key=lambda one: -one.self_device_time_total)[:_ROWS]:
        spent, count = one.self_device_time_total / _PICTURES / 1000, one.count / _PICTURES
        print(f'{spent:9.4f} ms {100 * spent / whole:5.1f} % {count:5.0f} x  {" ".join(one.key.split())[:100]}')
    print(f'  {report()}')
    torch.cuda.reset_peak_memory_stats()
    replayed(generator, ws)


def replayed(generator: Generator, ws: torch.Tensor) -> None:
    """Print how fast a graph of it is replayed, alone and by the clock on the wall."""
    replay = CudaRecorder().record(generator.synthesis, (ws,)).replay
    replay()
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(20):
        replay()
    torch.cuda.synchronize()
    print(f'  replayed: {50 * (time.perf_counter() - started):.3f} ms a picture', flush=True)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))

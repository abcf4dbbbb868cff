"""CUDA implementations through CuPy and NVRTC. `ops.cuda.offer` registers them where a GPU can run them."""

"""Fast CPU implementations; `ops.fast_cpu.offer` registers them."""

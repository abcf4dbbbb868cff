// What all kernels share: the stored type, conversions without CUDA's headers, small arithmetic.

#ifndef THREADS
#define THREADS 256
#endif

#if HALF
typedef unsigned short number;  // the bits of a float16

__device__ float widen(number bits) {
    float v;
    asm("cvt.f32.f16 %0, %1;" : "=f"(v) : "h"(bits));
    return v;
}

__device__ number narrow(float v) {
    number bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(v));
    return bits;
}
#else
typedef float number;

__device__ float widen(number v) { return v; }
__device__ number narrow(float v) { return v; }
#endif

__host__ __device__ constexpr int larger(int a, int b) { return a > b ? a : b; }

__device__ int floor_divided(int a, int b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

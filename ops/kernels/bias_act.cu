// Bias, activation, gain, clamp, and the first two derivatives, with u = x + bias:
//   ORDER 0: y = clamp(act(u) * gain)
//   ORDER 1: y = a * act'(u) * gain           where act(u) * gain is not clamped, else 0
//   ORDER 2: y = a * b * act''(u) * gain      likewise
// Every tensor lies in memory in the same order, without gaps; the bias of element i is number i / step % size.
//
// Constants by -D: ACT (0 linear, 1 relu, 2 lrelu, 3 tanh, 4 sigmoid, 5 elu, 6 selu, 7 softplus, 8 swish), ORDER, HALF.

#include "common.cuh"

struct Params {
    const number *x;
    number *y;
    const float *bias;  // null: none
    const number *a, *b;
    long long count;
    int step, size;
    float alpha, gain, clamp;
};

__device__ float sigmoid(float u) { return u >= 0.f ? 1.f / (1.f + expf(-u)) : expf(u) / (1.f + expf(u)); }

struct Jet {  // value, first and second derivative
    float value, first, second;
};

__device__ Jet activate(float u, float alpha) {
#if ACT == 0
    return {u, 1.f, 0.f};
#elif ACT == 1 || ACT == 2
    float slope = ACT == 1 ? 0.f : alpha;
    bool above = u > 0.f;
    return {above || u != u ? u : u * slope, above ? 1.f : slope, 0.f};
#elif ACT == 3
    float t = tanhf(u), d = 1.f - t * t;
    return {t, d, -2.f * t * d};
#elif ACT == 4
    float s = sigmoid(u), d = s * (1.f - s);
    return {s, d, d * (1.f - 2.f * s)};
#elif ACT == 5 || ACT == 6
    constexpr float SCALE = ACT == 5 ? 1.f : 1.0507009873554805f, RISE = ACT == 5 ? 1.f : 1.7580993408473766f;
    float e = expf(u);
    return u > 0.f ? Jet{SCALE * u, SCALE, 0.f} : Jet{RISE * expm1f(u), RISE * e, RISE * e};
#elif ACT == 7
    float s = sigmoid(u);
    return u > 20.f ? Jet{u, 1.f, 0.f} : Jet{log1pf(expf(u)), s, s * (1.f - s)};  // 20: as torch
#else
    float s = sigmoid(u), d = s * (1.f - s);
    return {u * s, s + u * d, d * (2.f + u * (1.f - 2.f * s))};
#endif
}

extern "C" __global__ __launch_bounds__(THREADS) void bias_act(const __grid_constant__ Params p) {
    for (long long i = (long long)blockIdx.x * THREADS + threadIdx.x; i < p.count; i += (long long)gridDim.x * THREADS) {
        float u = widen(p.x[i]) + (p.bias ? p.bias[i / p.step % p.size] : 0.f);
        Jet jet = activate(u, p.alpha);
        float v = jet.value * p.gain;
        bool within = v >= -p.clamp && v <= p.clamp;
#if ORDER == 0
        p.y[i] = narrow(within || v != v ? v : v > 0.f ? p.clamp : -p.clamp);
#elif ORDER == 1
        p.y[i] = narrow(within ? widen(p.a[i]) * jet.first * p.gain : 0.f);
#else
        p.y[i] = narrow(within ? widen(p.a[i]) * widen(p.b[i]) * jet.second * p.gain : 0.f);
#endif
    }
}

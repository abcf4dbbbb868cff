// Resampling: zeros between samples, padding, filter, every DOWN-th sample kept; nothing is multiplied with an inserted zero.
//
// Formula, per axis: y[o] = sum over i of taps[i * UP + pad - o * DOWN] * x[i], x zero outside. The taps that meet samples are
// every UP-th one, from number first * UP + pad - o * DOWN on, where `first` is the first input with an index of 0 or more.
// A filter of one row of taps is applied along x, then along y; a full one in both directions at once.
//
// Constants by -D: UP_X, UP_Y, DOWN_X, DOWN_Y, TAPS_X, TAPS_Y, FULL, HALF, TILE_W, TILE_H.

#include "common.cuh"

constexpr int REACH_X = (TAPS_X + UP_X - 1) / UP_X, REACH_Y = (TAPS_Y + UP_Y - 1) / UP_Y;
constexpr int IN_W = ((TILE_W - 1) * DOWN_X + UP_X - 1) / UP_X + REACH_X;
constexpr int IN_H = ((TILE_H - 1) * DOWN_Y + UP_Y - 1) / UP_Y + REACH_Y;
constexpr int IN_PITCH = IN_W | 1;

struct Params {
    const number *x;
    number *y;
    const float *taps;  // null: one tap of 1
    long long x_batch, x_channel, x_row, x_column;
    int channels, height, width, out_height, out_width, tiles_x, tiles_y, pad_y, pad_x, reverse;
    float gain;
};

__device__ int first_input(int output, int up, int down, int pad) { return -floor_divided(pad - output * down, up); }

extern "C" __global__ __launch_bounds__(THREADS) void upfirdn2d(const __grid_constant__ Params p) {
    constexpr int COUNT_Y = FULL ? REACH_Y * UP_Y : 1;
    constexpr int COUNT_X = FULL ? REACH_X * UP_X : larger(REACH_X * UP_X, REACH_Y * UP_Y);
    __shared__ float in[IN_H * IN_PITCH], taps[COUNT_Y * COUNT_X];
    int tile_x = blockIdx.x % p.tiles_x, tile_y = blockIdx.x / p.tiles_x % p.tiles_y;
    int plane = blockIdx.x / p.tiles_x / p.tiles_y;
    int left = tile_x * TILE_W, top = tile_y * TILE_H;
    int in_left = first_input(left, UP_X, DOWN_X, p.pad_x), in_top = first_input(top, UP_Y, DOWN_Y, p.pad_y);
    const number *x = p.x + (plane / p.channels) * p.x_batch + (plane % p.channels) * p.x_channel;
    number *y = p.y + (long long)plane * p.out_height * p.out_width;

    for (int i = threadIdx.x; i < COUNT_Y * COUNT_X; i += THREADS) {
        int row = i / COUNT_X, column = i % COUNT_X, index = row * TAPS_X + column;
        bool inside = column < TAPS_X && (!FULL || row < TAPS_Y);
        int last = (FULL ? TAPS_X * TAPS_Y : TAPS_X) - 1;
        taps[i] = !inside ? 0.f : p.taps ? p.taps[p.reverse ? last - index : index] : 1.f;
    }
    for (int i = threadIdx.x; i < IN_H * IN_W; i += THREADS) {
        int row = in_top + i / IN_W, column = in_left + i % IN_W;
        bool inside = row >= 0 && row < p.height && column >= 0 && column < p.width;
        in[i / IN_W * IN_PITCH + i % IN_W] = inside ? widen(x[row * p.x_row + column * p.x_column]) : 0.f;
    }
    __syncthreads();
#if !FULL
    constexpr int PITCH = TILE_W | 1;
    __shared__ float between[IN_H * PITCH];
    for (int i = threadIdx.x; i < IN_H * TILE_W; i += THREADS) {
        int row = i / TILE_W, column = i % TILE_W, output = left + column;
        int first = first_input(output, UP_X, DOWN_X, p.pad_x), tap = first * UP_X + p.pad_x - output * DOWN_X;
        const float *source = in + row * IN_PITCH + first - in_left;
        float sum = 0.f;
#pragma unroll
        for (int j = 0; j < REACH_X; j++) sum = fmaf(taps[tap + j * UP_X], source[j], sum);
        between[row * PITCH + column] = sum;
    }
    __syncthreads();
#endif
    for (int i = threadIdx.x; i < TILE_H * TILE_W; i += THREADS) {
        int row = top + i / TILE_W, column = left + i % TILE_W;
        if (row >= p.out_height || column >= p.out_width) continue;
        int first_y = first_input(row, UP_Y, DOWN_Y, p.pad_y), tap_y = first_y * UP_Y + p.pad_y - row * DOWN_Y;
        float sum = 0.f;
#if FULL
        int first_x = first_input(column, UP_X, DOWN_X, p.pad_x), tap_x = first_x * UP_X + p.pad_x - column * DOWN_X;
        const float *source = in + (first_y - in_top) * IN_PITCH + first_x - in_left;
        for (int j = 0; j < REACH_Y; j++)
#pragma unroll
            for (int k = 0; k < REACH_X; k++)
                sum = fmaf(taps[(tap_y + j * UP_Y) * COUNT_X + tap_x + k * UP_X], source[j * IN_PITCH + k], sum);
#else
        const float *source = between + (first_y - in_top) * PITCH + i % TILE_W;
#pragma unroll
        for (int j = 0; j < REACH_Y; j++) sum = fmaf(taps[tap_y + j * UP_Y], source[j * PITCH], sum);
#endif
        y[(long long)row * p.out_width + column] = narrow(sum * p.gain);
    }
}

// Filtered leaky ReLU in one pass: up, bias, activation, down, tile by tile in shared memory.
//
// Formulas (Karras et al. 2021, Sec. 2.1 and 3.2; positions u count on the upsampled grid):
//   grid[u]  = gain * sum over i of up_taps[i * UP + pad - u] * (x[i] + bias)          x is zero outside
//   value[u] = activation of grid[u]                                                   MODE 0, 1
//            = grid[u] * derivative of the activation that a forward pass kept for u   MODE 2
//   y[o]     = sum over k of down_taps[k] * value[o * DOWN + origin + k]
// MODE 1 keeps 2 bits a grid value: 1 = not above zero, 2 = clamped. The gradient with respect to x is MODE 2 with the two
// filters exchanged and reversed; the derivative along a tangent is MODE 2 with the filters as they are.
//
// A position belongs to group g and phase r = 1 … UP: u = pad + g * UP + r. All its taps meet the inputs from g + 1 on, namely
// taps[UP - r + j * UP] meets x[g + 1 + j]. So a thread that computes whole groups knows at compile time which tap meets what.
//
// Constants by -D: UP, UP_X, UP_Y (taps), UP_FULL, DOWN, DOWN_X, DOWN_Y, DOWN_FULL, MODE, HALF, TILE_W, TILE_H.

#include "common.cuh"

constexpr int REACH_X = (UP_X + UP - 1) / UP, REACH_Y = (UP_Y + UP - 1) / UP;
constexpr int GROUPS_X = ((TILE_W - 1) * DOWN + DOWN_X + 2 * UP - 2) / UP;
constexpr int GROUPS_Y = ((TILE_H - 1) * DOWN + DOWN_Y + 2 * UP - 2) / UP;
constexpr int IN_W = GROUPS_X + REACH_X - 1, IN_H = GROUPS_Y + REACH_Y - 1;
constexpr int GRID_W = GROUPS_X * UP, GRID_H = GROUPS_Y * UP;
constexpr int IN_PITCH = IN_W | 1, GRID_PITCH = GRID_W | 1, OUT_PITCH = TILE_W | 1;  // odd: no two rows in one bank
constexpr int FIRST = larger(UP_FULL ? 0 : IN_H * IN_PITCH, GRID_H * GRID_PITCH);
constexpr int SECOND = larger(UP_FULL ? IN_H * IN_PITCH : IN_H * GRID_PITCH, DOWN_FULL ? 0 : GRID_H * OUT_PITCH);
constexpr int UP_COUNT = UP_FULL ? UP_X * UP_Y : UP_X, DOWN_COUNT = DOWN_FULL ? DOWN_X * DOWN_Y : DOWN_X;

struct Params {
    const number *x;
    number *y;
    const float *bias, *up_taps, *down_taps;  // null: no bias, one tap of 1
    unsigned char *bits;                      // [planes, bits_height, (bits_width + 3) / 4], four values a byte
    long long x_batch, x_channel, x_row, x_column;
    int channels, height, width, out_height, out_width, tiles_x, tiles_y;
    int pad_y, pad_x, origin_y, origin_x, bits_height, bits_width;
    int reverse_up, reverse_down;
    float gain, slope, clamp;
};

struct Corner {  // of a tile, along one axis
    int group, grid, shift;  // first group; its first position; where in it the window of the first output begins
};

__device__ Corner corner(int output, int origin, int pad) {
    int window = output * DOWN + origin;
    int group = floor_divided(window - pad - 1, UP);
    int grid = pad + group * UP + 1;
    return {group, grid, window - grid};
}

__device__ void load(const Params &p, const Corner &top, const Corner &left, int plane, float *in) {
    const number *x = p.x + (plane / p.channels) * p.x_batch + (plane % p.channels) * p.x_channel;
    float bias = p.bias ? p.bias[plane % p.channels] : 0.f;
    for (int i = threadIdx.x; i < IN_H * IN_W; i += THREADS) {
        int row = top.group + 1 + i / IN_W, column = left.group + 1 + i % IN_W;
        bool inside = row >= 0 && row < p.height && column >= 0 && column < p.width;
        in[i / IN_W * IN_PITCH + i % IN_W] = inside ? widen(x[row * p.x_row + column * p.x_column]) + bias : 0.f;
    }
}

// `LINES` lines of GROUPS + REACH - 1 samples to GROUPS * UP: one line and a few groups a thread.
template <int LINES, int GROUPS, int TAPS>
__device__ void widen_lines(const float *from, int from_line, int from_step, float *to, int to_line, int to_step,
                            const float *taps) {
    constexpr int REACH = (TAPS + UP - 1) / UP, CHUNK = GROUPS < 4 ? GROUPS : 4, CHUNKS = (GROUPS + CHUNK - 1) / CHUNK;
    float t[REACH * UP];
#pragma unroll
    for (int k = 0; k < REACH * UP; k++) t[k] = k < TAPS ? taps[k] : 0.f;
    for (int i = threadIdx.x; i < LINES * CHUNKS; i += THREADS) {
        int first = i / LINES * CHUNK;
        first = first < GROUPS - CHUNK ? first : GROUPS - CHUNK;  // the last chunk may do some groups again
        const float *source = from + i % LINES * from_line + first * from_step;
        float *target = to + i % LINES * to_line + first * UP * to_step;
        float v[CHUNK + REACH - 1];
#pragma unroll
        for (int j = 0; j < CHUNK + REACH - 1; j++) v[j] = source[j * from_step];
#pragma unroll
        for (int g = 0; g < CHUNK; g++)
#pragma unroll
            for (int r = 0; r < UP; r++) {
                float sum = 0.f;
#pragma unroll
                for (int j = 0; j < REACH; j++) sum = fmaf(t[UP - 1 - r + j * UP], v[g + j], sum);
                target[(g * UP + r) * to_step] = sum;
            }
    }
}

// The same in both directions at once, for a filter that is not a product: one group of UP * UP positions a thread.
__device__ void widen_full(const float *in, float *grid, const float *taps) {
    for (int i = threadIdx.x; i < GROUPS_Y * GROUPS_X; i += THREADS) {
        int row = i / GROUPS_X, column = i % GROUPS_X;
        float sum[UP][UP] = {};
        for (int y = 0; y < REACH_Y; y++)
#pragma unroll
            for (int x = 0; x < REACH_X; x++) {
                float v = in[(row + y) * IN_PITCH + column + x];
#pragma unroll
                for (int r = 0; r < UP; r++)
#pragma unroll
                    for (int s = 0; s < UP; s++) {
                        int tap_y = UP - 1 - r + y * UP, tap_x = UP - 1 - s + x * UP;
                        if (tap_y < UP_Y && tap_x < UP_X) sum[r][s] = fmaf(taps[tap_y * UP_X + tap_x], v, sum[r][s]);
                    }
            }
#pragma unroll
        for (int r = 0; r < UP; r++)
#pragma unroll
            for (int s = 0; s < UP; s++) grid[(row * UP + r) * GRID_PITCH + column * UP + s] = sum[r][s];
    }
}

__device__ float activated(float v, const Params &p) {  // NaN stays NaN
    v = v > 0.f ? v : v * p.slope;
    return v > p.clamp ? p.clamp : v < -p.clamp ? -p.clamp : v;
}

// What lies between the filters, of the whole grid of the tile, in place.
__device__ void between(const Params &p, const Corner &top, const Corner &left, int plane, float *grid) {
    for (int i = threadIdx.x; i < GRID_H * GRID_W; i += THREADS) {
        float &value = grid[i / GRID_W * GRID_PITCH + i % GRID_W];
        float v = value * p.gain;
#if MODE == 2
        int y = top.grid + i / GRID_W, x = left.grid + i % GRID_W;
        float factor = 0.f;
        int bytes = (p.bits_width + 3) / 4;
        if (y >= 0 && y < p.bits_height && x >= 0 && x < p.bits_width) {
            int kept = p.bits[((long long)plane * p.bits_height + y) * bytes + x / 4] >> (x % 4 * 2);
            factor = kept & 2 ? 0.f : kept & 1 ? p.slope : 1.f;
        }
        value = v * factor;
#else
        value = activated(v, p);
#endif
    }
}

#if MODE == 1
__device__ int kept_of(float v, const Params &p) {  // as torch differentiates: at zero the slope, at the limit 1
    float wave = v > 0.f ? v : v * p.slope;
    return (v > 0.f ? 0 : 1) | (wave >= -p.clamp && wave <= p.clamp ? 0 : 2);
}

// Each position is kept by the tile of the outputs whose windows begin there; the last tiles keep what is left.
__device__ void keep(const Params &p, const Corner &top, const Corner &left, int plane, int tile_y, int tile_x,
                     const float *grid) {
    int bytes = (p.bits_width + 3) / 4;
    int first_y = tile_y * TILE_H * DOWN, first_x = tile_x * TILE_W * DOWN;  // TILE_W is a multiple of 4
    int end_y = tile_y == p.tiles_y - 1 ? p.bits_height : first_y + TILE_H * DOWN;
    int end_x = tile_x == p.tiles_x - 1 ? p.bits_width : first_x + TILE_W * DOWN;
    int across = (end_x - first_x + 3) / 4;
    for (int i = threadIdx.x; i < (end_y - first_y) * across; i += THREADS) {
        int y = first_y + i / across, x = first_x + i % across * 4, byte = 0;
        const float *row = grid + (y - top.grid) * GRID_PITCH - left.grid;
        for (int j = 0; j < 4 && x + j < end_x; j++) byte |= kept_of(row[x + j] * p.gain, p) << (2 * j);
        p.bits[((long long)plane * p.bits_height + y) * bytes + x / 4] = (unsigned char)byte;
    }
}
#endif

// `LINES` lines to OUTPUTS samples each: one line and a few samples a thread. `store(line, output, value)` takes them.
template <int LINES, int OUTPUTS, int TAPS, class Store>
__device__ void narrow_lines(const float *from, int from_line, int from_step, const float *taps, const Store &store) {
    constexpr int CHUNK = 4;
    float t[TAPS];
#pragma unroll
    for (int k = 0; k < TAPS; k++) t[k] = taps[k];
    for (int i = threadIdx.x; i < LINES * (OUTPUTS / CHUNK); i += THREADS) {
        int first = i / LINES * CHUNK;
        const float *source = from + i % LINES * from_line + first * DOWN * from_step;
        float sum[CHUNK] = {};
#pragma unroll
        for (int j = 0; j < (CHUNK - 1) * DOWN + TAPS; j++) {
            float v = source[j * from_step];
#pragma unroll
            for (int o = 0; o < CHUNK; o++)
                if (j >= o * DOWN && j < o * DOWN + TAPS) sum[o] = fmaf(t[j - o * DOWN], v, sum[o]);
        }
#pragma unroll
        for (int o = 0; o < CHUNK; o++) store(i % LINES, first + o, sum[o]);
    }
}

// The same in both directions at once: a column of a few samples a thread, straight to memory.
__device__ void narrow_full(const Params &p, const float *window, const float *taps, number *y, int height, int width) {
    constexpr int CHUNK = 4;
    for (int i = threadIdx.x; i < TILE_H / CHUNK * TILE_W; i += THREADS) {
        int row = i / TILE_W * CHUNK, column = i % TILE_W;
        const float *source = window + row * DOWN * GRID_PITCH + column * DOWN;
        float sum[CHUNK] = {};
        for (int k = 0; k < DOWN_Y; k++)
#pragma unroll
            for (int l = 0; l < DOWN_X; l++) {
                float tap = taps[k * DOWN_X + l];
#pragma unroll
                for (int o = 0; o < CHUNK; o++) sum[o] = fmaf(tap, source[(o * DOWN + k) * GRID_PITCH + l], sum[o]);
            }
#pragma unroll
        for (int o = 0; o < CHUNK; o++)
            if (row + o < height && column < width) y[(long long)(row + o) * p.out_width + column] = narrow(sum[o]);
    }
}

__device__ void load_taps(float *to, const float *from, int count, int reverse) {
    for (int k = threadIdx.x; k < count; k += THREADS) to[k] = from ? from[reverse ? count - 1 - k : k] : 1.f;
}

extern "C" __global__ __launch_bounds__(THREADS) void filtered_lrelu(const __grid_constant__ Params p) {
    __shared__ float first[FIRST], second[SECOND], up_taps[UP_COUNT], down_taps[DOWN_COUNT];
    int tile_x = blockIdx.x % p.tiles_x, tile_y = blockIdx.x / p.tiles_x % p.tiles_y;
    int plane = blockIdx.x / p.tiles_x / p.tiles_y;
    Corner top = corner(tile_y * TILE_H, p.origin_y, p.pad_y), left = corner(tile_x * TILE_W, p.origin_x, p.pad_x);
    number *y = p.y + ((long long)plane * p.out_height + tile_y * TILE_H) * p.out_width + tile_x * TILE_W;
    int height = p.out_height - tile_y * TILE_H, width = p.out_width - tile_x * TILE_W;

    float *in = UP_FULL ? second : first, *grid = first;
    load_taps(up_taps, p.up_taps, UP_COUNT, p.reverse_up);
    load_taps(down_taps, p.down_taps, DOWN_COUNT, p.reverse_down);
    load(p, top, left, plane, in);
    __syncthreads();
#if UP_FULL
    widen_full(in, grid, up_taps);
#else
    widen_lines<IN_H, GROUPS_X, UP_X>(in, IN_PITCH, 1, second, GRID_PITCH, 1, up_taps);
    __syncthreads();
    widen_lines<GRID_W, GROUPS_Y, UP_Y>(second, 1, GRID_PITCH, grid, 1, GRID_PITCH, up_taps);
#endif
    __syncthreads();
#if MODE == 1
    keep(p, top, left, plane, tile_y, tile_x, grid);
    __syncthreads();
#endif
    between(p, top, left, plane, grid);
    __syncthreads();
    const float *window = grid + top.shift * GRID_PITCH + left.shift;
#if DOWN_FULL
    narrow_full(p, window, down_taps, y, height, width);
#else
    constexpr int ROWS = (TILE_H - 1) * DOWN + DOWN_Y;
    auto keep_line = [&](int row, int column, float v) { second[row * OUT_PITCH + column] = v; };
    narrow_lines<ROWS, TILE_W, DOWN_X>(window, GRID_PITCH, 1, down_taps, keep_line);
    __syncthreads();
    auto write = [&](int column, int row, float v) {
        if (row < height && column < width) y[(long long)row * p.out_width + column] = narrow(v);
    };
    narrow_lines<TILE_W, TILE_H, DOWN_Y>(second, 1, OUT_PITCH, down_taps, write);
#endif
}

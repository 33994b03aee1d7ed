// One product: activations become INT8 digits, tiles are multiplied as the producer brings them.
#pragma once
#include "block.cuh"

namespace step_kernel {

template <int kTokens, int kDim>
struct Products : Block<kTokens, kDim> {
    using Base = Block<kTokens, kDim>;
    using Base::kColumns, Base::kWarpsPerToken, Base::lane, Base::my_tiles, Base::shared, Base::step, Base::warp;
    using Base::place, Base::round, Base::turn;
    using Base::Base;

    static constexpr int kBlocksN = (kColumns + 7) / 8;
    static constexpr int kLanesPerToken = 32 * kWarpsPerToken;
    // float4 of an activation row that a lane keeps between its two passes over it
    static constexpr int kKeep = kTokens == 1 ? 3 : kTokens == 2 ? 4 : 8;

    // Four inputs of the product at hand; a block runs the same few instructions for every kind of product.
    struct Source {
        const float* before;  // residual stream, or null
        const float* rows;    // every rank's parts of the last product, or plain rows (then one), or attention's splits
        int width;            // inputs of a row
        int parts;
        bool splits;
    };

    __device__ __forceinline__ float4 load(const Source& source, int token, int index) const {
        if (source.splits) return attended(token, index);
        const float* row = source.rows + token * source.width + 4 * index;
        float4 v = load_fresh(row);
        if (source.before) {
            const float4 b = load_fresh(source.before + token * source.width + 4 * index);
            v.x += b.x; v.y += b.y; v.z += b.z; v.w += b.w;
        }
#pragma unroll 1
        for (int part = 1; part < source.parts; ++part) {
            const float4 p = load_fresh(row + static_cast<int64_t>(part) * kTokens * source.width);
            v.x += p.x; v.y += p.y; v.z += p.z; v.w += p.w;
        }
        return v;
    }

    // Every block has summed all of the residual stream; each keeps its slice for the next sum.
    __device__ void keep_residual(const Source& source, float* after) {
        const int width4 = step.hidden / 4, share = (width4 + gridDim.x - 1) / gridDim.x;
        for (int i = threadIdx.x; i < kTokens * share; i += kThreads) {
            const int token = i / share, index = blockIdx.x * share + i % share;
            if (index < width4) *reinterpret_cast<float4*>(after + token * step.hidden + 4 * index) = load(source, token, index);
        }
    }

    // Attention outputs: the splits of a head joined.
    __device__ __forceinline__ float4 attended(int token, int index) const {
        const float* row = step.split_sums + static_cast<int64_t>(token * step.heads + 4 * index / kDim) * step.splits * (kDim + 4);
        float top = -INFINITY, mass = 0.0f;
        float4 v = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll 4
        for (int split = 0; split < step.splits; ++split, row += kDim + 4) {
            const float4 o = load_fresh(row + 4 * index % kDim), state = load_fresh(row + kDim);
            const float highest = fmaxf(top, state.x);
            const float old = __expf(top - highest), now = __expf(state.x - highest);
            v.x = v.x * old + o.x * now; v.y = v.y * old + o.y * now;
            v.z = v.z * old + o.z * now; v.w = v.w * old + o.w * now;
            mass = mass * old + state.y * now;
            top = highest;
        }
        const float whole = 1.0f / mass;
        return make_float4(v.x * whole, v.y * whole, v.z * whole, v.w * whole);
    }

    // Activation rows as INT8 digits in shared memory. `norm`: RMSNorm with the weights in shared memory first.
    __device__ __forceinline__ void quantize(const Source& source, int stages, bool norm) {
        const int inputs = source.width;
        const int token = warp / kWarpsPerToken, first = (warp % kWarpsPerToken) * 32 + lane;
        const int count4 = inputs / 4, padded4 = stages * (kStageK / 4);
        const float4* norm4 = reinterpret_cast<const float4*>(shared.norm);
        float4 kept[kKeep];
        float squares = 0.0f, largest = 0.0f;
        auto measure = [&](float4& v, int index) {  // v becomes v * norm
            if (norm) {
                const float4 w = norm4[index];
                squares += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
                v.x *= w.x; v.y *= w.y; v.z *= w.z; v.w *= w.w;
            }
            largest = fmaxf(fmaxf(largest, fabsf(v.x)), fmaxf(fmaxf(fabsf(v.y), fabsf(v.z)), fabsf(v.w)));
        };
#pragma unroll
        for (int i = 0; i < kKeep; ++i) {
            const int index = first + i * kLanesPerToken;
            kept[i] = index < count4 ? load(source, token, index) : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        }
#pragma unroll
        for (int i = 0; i < kKeep; ++i) {
            const int index = first + i * kLanesPerToken;
            if (index < count4) measure(kept[i], index);
        }
#pragma unroll 2
        for (int index = first + kKeep * kLanesPerToken; index < count4; index += kLanesPerToken) {
            float4 v = load(source, token, index);
            measure(v, index);
        }
        for (int i = threadIdx.x; i < my_tiles * kTileRows * kColumns; i += kThreads) shared.sums[i] = 0;
#pragma unroll
        for (int d = 16; d; d >>= 1) squares += __shfl_xor_sync(~0u, squares, d);
        largest = __uint_as_float(__reduce_max_sync(~0u, __float_as_uint(largest)));  // floats over zero sort as their bits
        if (lane == 0) *reinterpret_cast<float2*>(shared.reduce + 2 * warp) = make_float2(squares, largest);
        compute_sync();
        squares = largest = 0.0f;
#pragma unroll
        for (int i = 0; i < kWarpsPerToken; ++i) {
            const float2 other = *reinterpret_cast<const float2*>(shared.reduce + 2 * (token * kWarpsPerToken + i));
            squares += other.x;
            largest = fmaxf(largest, other.y);
        }
        const float root = norm ? rsqrtf(squares / inputs + step.epsilon) : 1.0f;
        const float scale = fmaxf(largest * root, 1e-30f) / 127.0f;
        const float factor = root / scale;
        uint32_t* digits = reinterpret_cast<uint32_t*>(shared.digits) + 2 * token * 8;
        // 1.5 * 2^23 + x has the rounded x in its low bits, as two's complement.
        constexpr float kRound = 12582912.0f;
        auto store = [&](const float4& v, int index) {
            const float s[4] = {v.x * factor, v.y * factor, v.z * factor, v.w * factor};
            uint32_t high[4], low[4];
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const float rounded = s[i] + kRound;
                high[i] = __float_as_uint(rounded);
                low[i] = __float_as_uint(__fmaf_rn(s[i] - (rounded - kRound), kSecondDigit, kRound));
            }
            uint32_t* target = digits + (index / 8) * kColumns * 8 + index % 8;
            target[0] = __byte_perm(__byte_perm(high[0], high[1], 0x0040), __byte_perm(high[2], high[3], 0x0040), 0x5410);
            target[8] = __byte_perm(__byte_perm(low[0], low[1], 0x0040), __byte_perm(low[2], low[3], 0x0040), 0x5410);
        };
#pragma unroll
        for (int i = 0; i < kKeep; ++i) {
            const int index = first + i * kLanesPerToken;
            if (index < padded4) store(kept[i], index);
        }
#pragma unroll 2
        for (int index = first + kKeep * kLanesPerToken; index < padded4; index += kLanesPerToken) {
            float4 v = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            if (index < count4) {
                v = load(source, token, index);
                measure(v, index);
            }
            store(v, index);
        }
        if (first == 0) shared.scales[token] = scale;
        compute_sync();
    }

    // Sums of this block's tiles into shared memory, stage by stage as the producer brings them.
    __device__ void product(const Matrix& matrix) {
        const int total = my_tiles * matrix.stages;
        const int group = lane / 4, quad = lane % 4;
        // No more warps than the ring has places: a warp that waits two rounds ahead would take an old round for its own.
        const int active = min(kWarps, step.ring_stages);
        int part = warp < active ? (warp + active - turn) % active : total;  // the first stage that is this warp's
        for (; part < total; part += active) {
            const int tile = part / matrix.stages, within = part - tile * matrix.stages;
            const uint8_t* weights = shared.ring + place * kStageBytes + lane * 16;
            const uint8_t* inputs = shared.digits + within * (kStageK / 32) * kColumns * 32 + group * 32 + quad * 8;
            int sum[kBlocksN][4] = {};
            barrier_wait(&shared.full[place], round);
#pragma unroll
            for (int chunk = 0; chunk < kStageK / 32; ++chunk) {
                const uint4 a = *reinterpret_cast<const uint4*>(weights + chunk * 512);
#pragma unroll
                for (int n = 0; n < kBlocksN; ++n) {
                    uint2 b = make_uint2(0, 0);
                    if (kColumns >= 8 || group < kColumns) {
                        b = *reinterpret_cast<const uint2*>(inputs + (chunk * kColumns + n * 8) * 32);
                    }
                    multiply(sum[n], a, b);
                }
            }
            __syncwarp();
            if (lane == 0) barrier_arrive(&shared.empty[place]);
            place += active;
            if (place >= step.ring_stages) {
                place -= step.ring_stages;
                round ^= 1;
            }
            int* target = shared.sums + tile * kTileRows * kColumns;
#pragma unroll
            for (int n = 0; n < kBlocksN; ++n) {
                const int column = n * 8 + 2 * quad;
                if (column < kColumns) {
                    atomicAdd(target + group * kColumns + column, sum[n][0]);
                    atomicAdd(target + group * kColumns + column + 1, sum[n][1]);
                    atomicAdd(target + (group + 8) * kColumns + column, sum[n][2]);
                    atomicAdd(target + (group + 8) * kColumns + column + 1, sum[n][3]);
                }
            }
        }
        turn = (turn + total) % active;
        compute_sync();
    }

    __device__ __forceinline__ float value(int tile, int row, int token) const {
        const int* sums = shared.sums + (tile * kTileRows + row) * kColumns + 2 * token;
        return (static_cast<float>(sums[0]) + static_cast<float>(sums[1]) * (1.0f / kSecondDigit)) * shared.scales[token] *
               shared.row_scales[tile * kTileRows + row];
    }
};

}  // namespace step_kernel

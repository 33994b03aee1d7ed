// Causal attention of the pass's tokens over the cache, online softmax, tensor cores.
#pragma once
#include "prefill_common.cuh"

namespace prefill {

constexpr int kQueryRows = 16;  // of a block: (token, query head of the KV head) pairs
constexpr int kKeys = 16;       // that a warp takes at once

// Per warp: outputs (16, head_dim + 4), tops (16), masses (16).
__host__ __device__ constexpr int attention_warp_floats(int head_dim) { return kQueryRows * (head_dim + 4) + 2 * kQueryRows; }

__device__ __forceinline__ uint32_t halves(float a, float b) {
    const __half2 two = __floats2half2_rn(a, b);
    return *reinterpret_cast<const uint32_t*>(&two);
}

__device__ __forceinline__ uint32_t word(const uint4& v, int index) {
    return index == 0 ? v.x : index == 1 ? v.y : index == 2 ? v.z : v.w;
}

// Grid: (tiles of 16 query rows of all spans, KV heads). The warps of a block share its rows and take keys in turn; their
// outputs are joined at the end. Every operand goes from memory into registers in 16-byte pieces, because the order of
// dimensions is free as long as both sides agree: lane 4 g + q holds dimensions 8 q ... 8 q + 7 of each 32 of query row g
// and key g, and dimensions 8 g ... 8 g + 7 of each 64 of values 2 q, 2 q + 1, 2 q + 8, 2 q + 9.
template <int kDim>
__global__ void __launch_bounds__(256) attention(const __grid_constant__ Pass pass, int layer) {
    extern __shared__ __align__(16) float joining[];
    constexpr int kStride = kDim + 4;
    const int warp = threadIdx.x / 32, warps = blockDim.x / 32, lane = threadIdx.x % 32, group = lane / 4, quad = lane % 4;
    const int per_kv = pass.heads / pass.kv_heads, kv_head = blockIdx.y;
    int tile = blockIdx.x, number = 0;
    while (true) {
        const int tiles = (pass.spans[number].count * per_kv + kQueryRows - 1) / kQueryRows;
        if (tile < tiles) break;
        tile -= tiles;
        ++number;
    }
    const Span span = pass.spans[number];
    const int first_row = tile * kQueryRows, rows = span.count * per_kv, width = pass.heads * kDim;
    // Where row `row` of this tile has its query and gets its output; rows past the last are computed and not stored.
    auto place = [&](int row) {
        const int at = first_row + row;
        return static_cast<int64_t>(span.first + at / per_kv) * width + (kv_head * per_kv + at % per_kv) * kDim;
    };
    const int last = span.start + (min(first_row + kQueryRows, rows) - 1) / per_kv;  // position of the tile's last row
    const int position[2] = {span.start + (first_row + group) / per_kv, span.start + (first_row + group + 8) / per_kv};

    uint4 query[kDim / 32][2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const bool there = first_row + group + 8 * half < rows;
#pragma unroll
        for (int i = 0; i < kDim / 32; ++i) {
            query[i][half] = make_uint4(0, 0, 0, 0);
            if (there) query[i][half] = __ldcg(reinterpret_cast<const uint4*>(pass.query + place(group + 8 * half) + 32 * i + 8 * quad));
        }
    }
    const int64_t plane = static_cast<int64_t>(pass.max_context) * kDim;
    const __half* keys = pass.cache + ((static_cast<int64_t>(layer) * pass.cache_slots + span.slot) * pass.kv_heads + kv_head) * 2 * plane;
    const __half* values = keys + plane;

    float output[kDim / 8][4] = {}, top[2] = {-INFINITY, -INFINITY}, mass[2] = {};
#pragma unroll 1
    for (int base = warp * kKeys; base <= last; base += warps * kKeys) {
        // Keys past the last are read as the last one and masked: what lies there may never have been written.
        uint4 k[2][kDim / 32], v[kDim / 64][4];
#pragma unroll
        for (int block = 0; block < 2; ++block) {
            const __half* from = keys + static_cast<int64_t>(min(base + 8 * block + group, last)) * kDim + 8 * quad;
#pragma unroll
            for (int i = 0; i < kDim / 32; ++i) k[block][i] = __ldcg(reinterpret_cast<const uint4*>(from + 32 * i));
        }
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const __half* from = values + static_cast<int64_t>(min(base + 2 * quad + i % 2 + i / 2 * 8, last)) * kDim + 8 * group;
#pragma unroll
            for (int part = 0; part < kDim / 64; ++part) v[part][i] = __ldcg(reinterpret_cast<const uint4*>(from + 64 * part));
        }
        float score[2][4] = {};
#pragma unroll
        for (int block = 0; block < 2; ++block) {
#pragma unroll
            for (int i = 0; i < kDim / 32; ++i) {
                const uint4 &one = query[i][0], &other = query[i][1];
                multiply(score[block], one.x, other.x, one.y, other.y, k[block][i].x, k[block][i].y);
                multiply(score[block], one.z, other.z, one.w, other.w, k[block][i].z, k[block][i].w);
            }
        }
        float highest[2] = {top[0], top[1]};
#pragma unroll
        for (int block = 0; block < 2; ++block) {
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const int key = base + 8 * block + 2 * quad + i % 2;
                if (key > min(position[i / 2], last)) score[block][i] = -INFINITY;
                highest[i / 2] = fmaxf(highest[i / 2], score[block][i]);
            }
        }
#pragma unroll
        for (int half = 0; half < 2; ++half) {
            highest[half] = fmaxf(highest[half], __shfl_xor_sync(~0u, highest[half], 1));
            highest[half] = fmaxf(highest[half], __shfl_xor_sync(~0u, highest[half], 2));
            // A row that has seen no key yet has nothing to subtract: its weights stay 2^-inf = 0.
            const float level = highest[half] == -INFINITY ? 0.0f : highest[half];
            const float old = exp2f(top[half] - level);
            top[half] = highest[half];
            mass[half] *= old;
#pragma unroll
            for (int block = 0; block < 2; ++block) {
#pragma unroll
                for (int i = 0; i < 2; ++i) {
                    float& s = score[block][2 * half + i];
                    s = exp2f(s - level);
                    mass[half] += s;
                }
            }
#pragma unroll
            for (int i = 0; i < kDim / 8; ++i) {
                output[i][2 * half] *= old;
                output[i][2 * half + 1] *= old;
            }
        }
        const uint32_t weights[4] = {halves(score[0][0], score[0][1]), halves(score[0][2], score[0][3]),
                                     halves(score[1][0], score[1][1]), halves(score[1][2], score[1][3])};
#pragma unroll
        for (int part = 0; part < kDim / 64; ++part) {
#pragma unroll
            for (int j = 0; j < 8; ++j) {
                const int order = j % 2 ? 0x7632 : 0x5410;
                const uint32_t b0 = __byte_perm(word(v[part][0], j / 2), word(v[part][1], j / 2), order);
                const uint32_t b1 = __byte_perm(word(v[part][2], j / 2), word(v[part][3], j / 2), order);
                multiply(output[8 * part + j], weights[0], weights[1], weights[2], weights[3], b0, b1);
            }
        }
    }

    // Column n of product (part, j) is dimension 64 part + 8 n + j: a lane's columns 2 q and 2 q + 1 over all j are 16
    // neighbours.
    float* outputs = joining + warp * attention_warp_floats(kDim);
    float* tops = outputs + kQueryRows * kStride;
    float* masses = tops + kQueryRows;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        mass[half] += __shfl_xor_sync(~0u, mass[half], 1);
        mass[half] += __shfl_xor_sync(~0u, mass[half], 2);
        const int row = group + 8 * half;
        if (quad == 0) {
            tops[row] = top[half];
            masses[row] = mass[half];
        }
#pragma unroll
        for (int part = 0; part < kDim / 64; ++part) {
#pragma unroll
            for (int j = 0; j < 8; j += 4) {
                float* to = outputs + row * kStride + 64 * part + 16 * quad + j;
#pragma unroll
                for (int column = 0; column < 2; ++column) {
                    const int c = 2 * half + column, n = 8 * part + j;
                    *reinterpret_cast<float4*>(to + 8 * column) =
                        make_float4(output[n][c], output[n + 1][c], output[n + 2][c], output[n + 3][c]);
                }
            }
        }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < kQueryRows * (kDim / 4); i += blockDim.x) {
        const int row = i / (kDim / 4), dim = i % (kDim / 4) * 4;
        if (first_row + row >= rows) break;
        float highest = -INFINITY, whole = 0.0f;
        float4 joined_output = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        for (int w = 0; w < warps; ++w) highest = fmaxf(highest, joining[w * attention_warp_floats(kDim) + kQueryRows * kStride + row]);
        for (int w = 0; w < warps; ++w) {
            const float* of = joining + w * attention_warp_floats(kDim);
            const float factor = exp2f(of[kQueryRows * kStride + row] - highest);
            const float4 o = *reinterpret_cast<const float4*>(of + row * kStride + dim);
            whole += factor * of[kQueryRows * kStride + kQueryRows + row];
            joined_output.x += factor * o.x; joined_output.y += factor * o.y;
            joined_output.z += factor * o.z; joined_output.w += factor * o.w;
        }
        const float share = 1.0f / whole;
        *reinterpret_cast<float4*>(pass.attended + place(row) + dim) =
            make_float4(joined_output.x * share, joined_output.y * share, joined_output.z * share, joined_output.w * share);
    }
}

}  // namespace prefill

// What lies between the products: norms, digits, rotation, cache, SiLU, logits. Threads take 8 neighbouring values each.
#pragma once
#include "prefill_exchange.cuh"

namespace prefill {

// Sum and maximum over the block; every thread gets both. `scratch` is free again after the next barrier.
__device__ __forceinline__ float2 reduce(float sum, float largest, float2 (&scratch)[kRowWarps]) {
#pragma unroll
    for (int d = 16; d; d >>= 1) {
        sum += __shfl_xor_sync(~0u, sum, d);
        largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, d));
    }
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = make_float2(sum, largest);
    __syncthreads();
    float2 all = make_float2(0.0f, 0.0f);
#pragma unroll
    for (int warp = 0; warp < kRowWarps; ++warp) {
        all.x += scratch[warp].x;
        all.y = fmaxf(all.y, scratch[warp].y);
    }
    return all;
}

__device__ __forceinline__ float largest_of(const float (&values)[8]) {
    float largest = 0.0f;
#pragma unroll
    for (int i = 0; i < 8; ++i) largest = fmaxf(largest, fabsf(values[i]));
    return largest;
}

// Digits of a block's row, whose values times `root` are the next product's inputs.
template <int kKeep>
__device__ __forceinline__ void store_row(const Pass& pass, int blocks, int row, int octets, const float (&values)[kKeep][8],
                                          float largest, float root) {
    const float scale = fmaxf(largest * root, 1e-30f) / 127.0f;
    if (threadIdx.x == 0) pass.digit_scales[row] = scale;
#pragma unroll
    for (int i = 0; i < kKeep; ++i) {
        const int octet = threadIdx.x + i * kRowThreads;
        if (octet < octets) store_digits(pass.digits, blocks, row, octet, values[i], root / scale);
    }
}

// The rows of the batch at hand: all tokens, or only those whose logits are wanted.
struct Batch {
    int rows;
    int blocks;    // of 8 columns in `digits`
    bool gathered;

    __device__ int token(const Pass& pass, int row) const { return gathered ? pass.logit_rows[row] : row; }
};

// Where `add_norm` gets this rank's part of what it adds to the residual stream.
struct Source {
    bool embedding;  // then x starts from zero
    Matrix matrix;
    Sums sums;

    __device__ void load(const Pass& pass, int row, int token, int octet, float (&values)[8]) const {
        if (!embedding) return load_product(pass, matrix, sums, row, 8 * octet, values);
        const int id = pass.token_ids[token] - pass.first_id;
        const bool here = id >= 0 && id < pass.local_vocabulary;
        int2 packed = make_int2(0, 0);
        float scale = 0.0f;
        if (here) {
            packed = *reinterpret_cast<const int2*>(pass.embedding + static_cast<int64_t>(id) * pass.hidden + 8 * octet);
            scale = pass.embedding_scale[id];
        }
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            values[i] = static_cast<float>(static_cast<int8_t>((i < 4 ? packed.x : packed.y) >> (8 * (i % 4)))) * scale;
        }
    }
};

// x += the sum of all ranks' parts, in rank order; then digits of RMSNorm(x). Rows up to 8192 values.
__global__ void __launch_bounds__(kRowThreads)
    add_norm(const __grid_constant__ Pass pass, const __grid_constant__ Source source, const float* norm, Batch batch) {
    constexpr int kKeep = 2;
    __shared__ float2 scratch[kRowWarps];
    const int octets = pass.hidden / 8;
    if (pass.ranks > 1) {
        for (int row = blockIdx.x; row < batch.rows; row += gridDim.x) {
            for (int octet = threadIdx.x; octet < octets; octet += kRowThreads) {
                float values[8];
                source.load(pass, row, batch.token(pass, row), octet, values);
                for (int rank = 0; rank < pass.ranks; ++rank) store_floats(part_of(pass, rank, pass.rank, row) + 8 * octet, values);
            }
        }
        arrive(pass);
        wait(pass);
    }
    for (int row = blockIdx.x; row < batch.rows; row += gridDim.x) {
        const int token = batch.token(pass, row);
        float* x = pass.x + static_cast<int64_t>(token) * pass.hidden;
        float values[kKeep][8], squares = 0.0f, largest = 0.0f;
#pragma unroll
        for (int i = 0; i < kKeep; ++i) {
            const int octet = threadIdx.x + i * kRowThreads;
            if (octet >= octets) continue;
            float(&v)[8] = values[i];
            float weights[8], part[8];
            load_floats(norm + 8 * octet, weights);
            if (source.embedding) {
#pragma unroll
                for (int j = 0; j < 8; ++j) v[j] = 0.0f;
            } else {
                load_floats(x + 8 * octet, v);
            }
            for (int rank = 0; rank < pass.ranks; ++rank) {
                if (pass.ranks == 1) {
                    source.load(pass, row, token, octet, part);
                } else {
                    load_floats(part_of(pass, pass.rank, rank, row) + 8 * octet, part);
                }
#pragma unroll
                for (int j = 0; j < 8; ++j) v[j] += part[j];
            }
            store_floats(x + 8 * octet, v);
#pragma unroll
            for (int j = 0; j < 8; ++j) {
                squares += v[j] * v[j];
                v[j] *= weights[j];
            }
            largest = fmaxf(largest, largest_of(v));
        }
        const float2 all = reduce(squares, largest, scratch);
        store_row(pass, batch.blocks, row, octets, values, all.y, rsqrtf(all.x / pass.hidden + pass.epsilon));
        __syncthreads();  // `scratch`, and with one rank the scales that `load_product` reads belong to one row a block
    }
}

// Queries and keys rotated; keys and values into the cache. Grid: (tokens, octets of a row / 256).
__global__ void __launch_bounds__(256) finish_qkv(const __grid_constant__ Pass pass, Matrix matrix, Sums sums, int layer) {
    const int dim = pass.head_dim, query_rows = pass.heads * dim, key_rows = pass.kv_heads * dim;
    const int token = blockIdx.x, row = (blockIdx.y * blockDim.x + threadIdx.x) * 8;
    if (row >= query_rows + 2 * key_rows) return;
    int number = 0;
    while (token >= pass.spans[number].first + pass.spans[number].count) ++number;
    const int position = pass.spans[number].start + token - pass.spans[number].first;
    float v[8];
    load_product(pass, matrix, sums, token, row, v);
    if (row < query_rows + key_rows) {
        const float2* turns = pass.rotation + static_cast<int64_t>(position) * (dim / 2) + row % dim / 2;
#pragma unroll
        for (int i = 0; i < 8; i += 2) {
            const float2 r = turns[i / 2];
            const float turned = v[i] * r.x - v[i + 1] * r.y;
            v[i + 1] = v[i] * r.y + v[i + 1] * r.x;
            v[i] = turned;
        }
    }
    __half* to;
    float factor = 1.0f;
    if (row < query_rows) {
        factor = 1.44269504f * rsqrtf(static_cast<float>(dim));  // attention's exponentials are powers of 2
        to = pass.query + static_cast<int64_t>(token) * query_rows + row;
    } else {
        const int of = row - query_rows, kind = of >= key_rows, head = (of - kind * key_rows) / dim;
        const int64_t plane = ((static_cast<int64_t>(layer) * pass.cache_slots + pass.spans[number].slot) * pass.kv_heads + head) * 2 + kind;
        to = pass.cache + (plane * pass.max_context + position) * dim + of % dim;
    }
    __align__(16) __half2 halves[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) halves[i] = __floats2half2_rn(v[2 * i] * factor, v[2 * i + 1] * factor);
    *reinterpret_cast<uint4*>(to) = *reinterpret_cast<const uint4*>(halves);
}

// Digits of attention's outputs, rows up to 8192 values. Grid: rows of the batch.
__global__ void __launch_bounds__(kRowThreads) digits_of_attended(const __grid_constant__ Pass pass, Batch batch) {
    constexpr int kKeep = 2;
    __shared__ float2 scratch[kRowWarps];
    const int width = pass.heads * pass.head_dim, row = blockIdx.x;
    const float* from = pass.attended + static_cast<int64_t>(batch.token(pass, row)) * width;
    float values[kKeep][8], largest = 0.0f;
#pragma unroll
    for (int i = 0; i < kKeep; ++i) {
        const int octet = threadIdx.x + i * kRowThreads;
        if (octet >= width / 8) continue;
        load_floats(from + 8 * octet, values[i]);
        largest = fmaxf(largest, largest_of(values[i]));
    }
    store_row(pass, batch.blocks, row, width / 8, values, reduce(0.0f, largest, scratch).y, 1.0f);
}

// Digits of SiLU(gate) * up, rows up to 16384 values. A tile of the matrix holds 8 rows of gate, then the same 8 of up;
// rows that fill the last tile are zero, and so are their digits. Grid: rows of the batch.
__global__ void __launch_bounds__(kRowThreads)
    digits_of_activated(const __grid_constant__ Pass pass, Matrix matrix, Sums sums, Batch batch) {
    constexpr int kKeep = 4;
    __shared__ float2 scratch[kRowWarps];
    const int row = blockIdx.x;
    float values[kKeep][8], largest = 0.0f;
#pragma unroll
    for (int i = 0; i < kKeep; ++i) {
        const int octet = threadIdx.x + i * kRowThreads;
        if (octet >= matrix.tiles) continue;
        float up[8];
        float(&v)[8] = values[i];
        load_product(pass, matrix, sums, row, octet * kTileRows, v);
        load_product(pass, matrix, sums, row, octet * kTileRows + 8, up);
#pragma unroll
        for (int j = 0; j < 8; ++j) v[j] = v[j] / (1.0f + __expf(-v[j])) * up[j];
        largest = fmaxf(largest, largest_of(v));
    }
    // The barrier in `reduce` parts reads of the old scale from the new one; the row is this block's alone.
    store_row(pass, batch.blocks, row, matrix.tiles, values, reduce(0.0f, largest, scratch).y, 1.0f);
}

// Logits into every rank's memory. Ends when all ranks' parts are in this rank's.
__global__ void __launch_bounds__(kRowThreads) finish_head(const __grid_constant__ Pass pass, Sums sums) {
    const int width = pass.ranks * pass.local_vocabulary, octets = (pass.local_vocabulary + 7) / 8;
    for (int i = blockIdx.x * kRowThreads + threadIdx.x; i < pass.logit_count * octets; i += gridDim.x * kRowThreads) {
        const int row = i / octets, id = i % octets * 8;
        float v[8];
        load_product(pass, pass.head, sums, row, id, v);
        for (int rank = 0; rank < pass.ranks; ++rank) {
            float* to = pass.logits[rank] + static_cast<int64_t>(row) * width + pass.rank * pass.local_vocabulary + id;
#pragma unroll
            for (int j = 0; j < 8; ++j) {
                if (id + j < pass.local_vocabulary) to[j] = v[j];
            }
        }
    }
    if (pass.ranks > 1) {
        arrive(pass);
        wait(pass);
    }
}

}  // namespace prefill

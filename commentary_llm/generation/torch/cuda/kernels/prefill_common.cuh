// Data, layouts and single instructions of the prefill pass.
#pragma once
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <stdint.h>

namespace prefill {

constexpr int kTileRows = 16;    // see layout.py: a tile's chunk is 512 bytes, 16 a lane
constexpr int kChunkBytes = 512;
constexpr int kMaxRanks = 8;
constexpr int kMaxSpans = 64;
constexpr int kMaxLogitRows = 64;
constexpr int kRowThreads = 512;                // of the kernels that give a block a whole activation row
constexpr int kRowWarps = kRowThreads / 32;
constexpr long long kPatience = 4'000'000'000;  // clock cycles, about 2 s
constexpr float kSecondDigit = 254.0f;

// An INT8 matrix of every layer: weights (layers, tiles, chunks, 512), scales (layers, tiles * 16).
struct Matrix {
    const int8_t* weights;
    const float* scales;
    int tiles;
    int chunks;  // of 32 inputs, a multiple of 4; padded with zeros
    int inputs;  // unpadded

    __host__ __device__ int rows() const { return tiles * kTileRows; }
    __host__ __device__ Matrix of(int layer) const {
        const int64_t skipped = static_cast<int64_t>(layer) * tiles;
        return {weights + skipped * chunks * kChunkBytes, scales + skipped * kTileRows, tiles, chunks, inputs};
    }
};

// `count` tokens at positions `start`... of a slot; they are the pass's tokens from `first` on.
struct Span {
    int slot, start, count, first;
};

struct Pass {
    Matrix qkv, out, gate_up, down, head;
    const int8_t* embedding;       // (local_vocabulary, hidden)
    const float* embedding_scale;  // (local_vocabulary)
    const float* input_norm;       // (layers, hidden)
    const float* post_norm;        // (layers, hidden)
    const float* final_norm;       // (hidden)
    const float2* rotation;        // (max_context, head_dim / 2): cos, sin
    __half* cache;                 // (layers, cache_slots, kv_heads, 2, max_context, head_dim)
    float* x;                      // (max_tokens, hidden): residual stream, the same on every rank
    void* sums;                    // of the last product, see `Sums`
    int8_t* digits;                // inputs of the next product, see `store_digits`
    float* digit_scales;           // (max_tokens)
    __half* query;                 // (max_tokens, heads * head_dim), times log2(e) / sqrt(head_dim)
    float* attended;               // (max_tokens, heads * head_dim)
    float* parts[kMaxRanks];       // on each rank (2, ranks, max_tokens, hidden)
    float* logits[kMaxRanks];      // on each rank (kMaxLogitRows, ranks * local_vocabulary)
    unsigned* arrivals[kMaxRanks]; // on each rank: blocks of all ranks that have stored their part, ever growing
    const int* token_ids;          // (tokens)
    int64_t sums_bytes;
    int layers, hidden, heads, kv_heads, head_dim, max_context, cache_slots, max_tokens;
    int rank, ranks, first_id, local_vocabulary;
    int tokens, span_count, logit_count;
    int exchanges;     // so far; its lowest bit chooses the half of `parts`
    unsigned arrived;  // expected in `arrivals` so far
    float epsilon;
    Span spans[kMaxSpans];
    int logit_rows[kMaxLogitRows];  // tokens whose logits are wanted, all different
};

// What a product leaves, for its `tokens` rows of activations: with one split (tokens, rows) float, both digits joined;
// with several (splits, tokens, rows) int2, a sum for each digit. Integers add up to the same whatever the splits.
struct Sums {
    const void* data;
    int splits, tokens, rows;
};

__device__ __forceinline__ float joined(int high, int low) {
    return __fadd_rn(static_cast<float>(high), __fmul_rn(static_cast<float>(low), 1.0f / kSecondDigit));
}

// Eight neighbouring values of a token's row, from `row` on (a multiple of 8), without scales.
__device__ __forceinline__ void load_sums(const Sums& sums, int token, int row, float (&values)[8]) {
    const int64_t at = static_cast<int64_t>(token) * sums.rows + row;
    if (sums.splits == 1) {
        const float4* from = reinterpret_cast<const float4*>(static_cast<const float*>(sums.data) + at);
        const float4 a = __ldcg(from), b = __ldcg(from + 1);
        values[0] = a.x; values[1] = a.y; values[2] = a.z; values[3] = a.w;
        values[4] = b.x; values[5] = b.y; values[6] = b.z; values[7] = b.w;
        return;
    }
    const int64_t split_size = static_cast<int64_t>(sums.tokens) * sums.rows;
    int high[8] = {}, low[8] = {};
#pragma unroll 2
    for (int split = 0; split < sums.splits; ++split) {
        const int4* from = reinterpret_cast<const int4*>(static_cast<const int2*>(sums.data) + split * split_size + at);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int4 two = __ldcg(from + i);
            high[2 * i] += two.x; low[2 * i] += two.y;
            high[2 * i + 1] += two.z; low[2 * i + 1] += two.w;
        }
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) values[i] = joined(high[i], low[i]);
}

__device__ __forceinline__ void load_floats(const float* from, float (&values)[8]) {
    const float4 a = __ldcg(reinterpret_cast<const float4*>(from)), b = __ldcg(reinterpret_cast<const float4*>(from) + 1);
    values[0] = a.x; values[1] = a.y; values[2] = a.z; values[3] = a.w;
    values[4] = b.x; values[5] = b.y; values[6] = b.z; values[7] = b.w;
}

__device__ __forceinline__ void store_floats(float* to, const float (&values)[8]) {
    reinterpret_cast<float4*>(to)[0] = make_float4(values[0], values[1], values[2], values[3]);
    reinterpret_cast<float4*>(to)[1] = make_float4(values[4], values[5], values[6], values[7]);
}

// The same with the scales of the token and of the matrix rows: what the product is.
__device__ __forceinline__ void load_product(const Pass& pass, const Matrix& matrix, const Sums& sums, int token, int row,
                                             float (&values)[8]) {
    float scales[8];
    load_floats(matrix.scales + row, scales);
    load_sums(sums, token, row, values);
    const float scale = pass.digit_scales[token];
#pragma unroll
    for (int i = 0; i < 8; ++i) values[i] *= scale * scales[i];
}

__device__ __forceinline__ uint32_t low_bytes(const uint32_t* words) {
    return __byte_perm(__byte_perm(words[0], words[1], 0x0040), __byte_perm(words[2], words[3], 0x0040), 0x5410);
}

// Digits of 8 inputs, `octet` being their number / 8. Columns of a product are 2 * token + digit. Blocks of 8 columns and
// pairs of chunks are 512 bytes, (pair, block, lane, 16): the 8 inputs that lane 4 g + q gives for column g of the pair's
// first chunk, then those of its second, so that a warp reads both as it reads weights, 16 bytes a lane.
__device__ __forceinline__ void store_digits(int8_t* digits, int blocks, int token, int octet, const float (&values)[8],
                                             float factor) {
    constexpr float kRound = 12582912.0f;  // 1.5 * 2^23 + x has the rounded x in its low bits, as two's complement
    uint32_t high[8], low[8];
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        const float steps = values[i] * factor, rounded = steps + kRound;
        high[i] = __float_as_uint(rounded);
        low[i] = __float_as_uint(__fmaf_rn(steps - (rounded - kRound), kSecondDigit, kRound));
    }
    const int chunk = octet / 4, group = token % 4 * 2, lane = group * 4 + octet % 4;
    int8_t* to = digits + (static_cast<int64_t>(chunk / 2) * blocks + token / 4) * kChunkBytes + lane * 16 + chunk % 2 * 8;
    *reinterpret_cast<uint2*>(to) = make_uint2(low_bytes(high), low_bytes(high + 4));
    *reinterpret_cast<uint2*>(to + 64) = make_uint2(low_bytes(low), low_bytes(low + 4));  // the next column: 4 lanes on
}

__device__ __forceinline__ uint32_t shared_address(const void* pointer) {
    return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

__device__ __forceinline__ void copy_async(void* to, const void* from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)), "l"(from) : "memory");
}

__device__ __forceinline__ uint4 load_weights(const int8_t* from) {
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(from));
    return v;
}

__device__ __forceinline__ void multiply(int (&sum)[4], const uint4& a, uint32_t b0, uint32_t b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+r"(sum[0]), "+r"(sum[1]), "+r"(sum[2]), "+r"(sum[3])
        : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b0), "r"(b1));
}

__device__ __forceinline__ void multiply(float (&sum)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0,
                                         uint32_t b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

}  // namespace prefill

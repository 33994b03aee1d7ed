// INT8 products: packed weights straight from memory into registers, digits through shared memory.
#pragma once
#include "prefill_common.cuh"

namespace prefill {

constexpr int kGemmWarps = 8;
constexpr int kGemmThreads = 32 * kGemmWarps;

// How a product with so many columns is cut: a warp takes kTiles tiles of 16 rows and kBlocks blocks of 8 columns; the
// warps of a thread block have different rows and the same columns. A stage is kPairs pairs of chunks, 64 inputs each:
// so far ahead are a warp's weights loaded, and kStages - 1 stages of digits.
template <int kTiles_, int kBlocks_, int kPairs_, int kStages_, int kResident_>
struct Cut {
    static constexpr int kTiles = kTiles_, kBlocks = kBlocks_, kPairs = kPairs_, kStages = kStages_;
    static constexpr int kResident = kResident_;  // thread blocks a multiprocessor
    static constexpr int kStageBytes = kPairs * kBlocks * kChunkBytes;
    static constexpr int kSharedBytes = kStages * kStageBytes;
    static constexpr int kTileRowsOfBlock = kGemmWarps * kTiles;  // in tiles
};

using Narrow = Cut<1, 2, 4, 4, 2>;   // up to 8 tokens
using Middle = Cut<1, 8, 4, 3, 2>;   // up to 32 tokens: bound by memory
using Wide = Cut<2, 16, 2, 4, 1>;    // more: bound by tensor cores, so that a value read from shared memory serves twice

// Grid: (blocks of columns, blocks of rows, splits); neighbours share weights, which come from memory once and then from
// the L2 cache. `blocks` is the number of 8-column blocks in `digits`. Columns of tokens past `tokens` are multiplied,
// not stored.
template <typename C>
__global__ void __launch_bounds__(kGemmThreads, C::kResident)
    gemm(Matrix matrix, const int8_t* __restrict__ digits, int blocks, int tokens, void* __restrict__ sums) {
    extern __shared__ __align__(128) uint8_t shared[];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int pairs = matrix.chunks / 2, splits = gridDim.z, split = blockIdx.z;
    const int begin = pairs * split / splits, end = pairs * (split + 1) / splits;
    const int stages = (end - begin + C::kPairs - 1) / C::kPairs;
    const int first_tile = (blockIdx.y * kGemmWarps + warp) * C::kTiles;
    const int8_t* columns = digits + static_cast<int64_t>(blockIdx.x) * C::kBlocks * kChunkBytes;

    const int8_t* weights[C::kTiles];
#pragma unroll
    for (int tile = 0; tile < C::kTiles; ++tile) {
        // A warp past the last tile multiplies that one again and stores nothing: it takes part in the barriers.
        const int64_t number = min(first_tile + tile, matrix.tiles - 1);
        weights[tile] = matrix.weights + number * matrix.chunks * kChunkBytes + lane * 16;
    }
    uint4 a[C::kPairs][C::kTiles][2];
    auto load = [&](int slot, int pair) {
#pragma unroll
        for (int tile = 0; tile < C::kTiles; ++tile) {
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                // Zeros past the end make whatever is in shared memory there count for nothing.
                a[slot][tile][half] = make_uint4(0, 0, 0, 0);
                if (pair < end) a[slot][tile][half] = load_weights(weights[tile] + (2 * pair + half) * kChunkBytes);
            }
        }
    };
    auto fetch = [&](int stage) {
        constexpr int kPieces = C::kBlocks * 32;  // of 16 bytes, in a pair
        uint8_t* to = shared + stage % C::kStages * C::kStageBytes;
#pragma unroll
        for (int i = 0; i < C::kPairs * kPieces; i += kGemmThreads) {
            const int piece = i + threadIdx.x, pair = begin + stage * C::kPairs + piece / kPieces;
            if (piece < C::kPairs * kPieces && pair < end) {
                copy_async(to + piece * 16, columns + static_cast<int64_t>(pair) * blocks * kChunkBytes + piece % kPieces * 16);
            }
        }
        asm volatile("cp.async.commit_group;" ::: "memory");
    };

#pragma unroll
    for (int slot = 0; slot < C::kPairs; ++slot) load(slot, begin + slot);
#pragma unroll
    for (int stage = 0; stage < C::kStages - 1; ++stage) fetch(stage);
    int sum[C::kTiles][C::kBlocks][4] = {};
#pragma unroll 1
    for (int stage = 0; stage < stages; ++stage) {
        asm volatile("cp.async.wait_group %0;" ::"n"(C::kStages - 2) : "memory");
        __syncthreads();  // this stage is there for all, and all are done with the one whose place is filled next
        fetch(stage + C::kStages - 1);
        const uint8_t* from = shared + stage % C::kStages * C::kStageBytes + lane * 16;
#pragma unroll
        for (int slot = 0; slot < C::kPairs; ++slot) {
#pragma unroll
            for (int block = 0; block < C::kBlocks; ++block) {
                const uint4 b = *reinterpret_cast<const uint4*>(from + (slot * C::kBlocks + block) * kChunkBytes);
#pragma unroll
                for (int tile = 0; tile < C::kTiles; ++tile) {
                    multiply(sum[tile][block], a[slot][tile][0], b.x, b.y);
                    multiply(sum[tile][block], a[slot][tile][1], b.z, b.w);
                }
            }
            load(slot, begin + (stage + 1) * C::kPairs + slot);
        }
    }
    asm volatile("cp.async.wait_all;" ::: "memory");

    const int group = lane / 4, quad = lane % 4, rows = matrix.rows();
#pragma unroll
    for (int tile = 0; tile < C::kTiles; ++tile) {
        const int row = (first_tile + tile) * kTileRows + group;
        if (first_tile + tile >= matrix.tiles) continue;
#pragma unroll
        for (int block = 0; block < C::kBlocks; ++block) {
            // A lane's two columns are the digits of one token.
            const int token = (blockIdx.x * C::kBlocks + block) * 4 + quad;
            if (token >= tokens) continue;
            const int(&s)[4] = sum[tile][block];
            if (splits == 1) {
                float* to = static_cast<float*>(sums) + static_cast<int64_t>(token) * rows + row;
                to[0] = joined(s[0], s[1]);
                to[8] = joined(s[2], s[3]);
            } else {
                int2* to = static_cast<int2*>(sums) + (static_cast<int64_t>(split) * tokens + token) * rows + row;
                to[0] = make_int2(s[0], s[1]);
                to[8] = make_int2(s[2], s[3]);
            }
        }
    }
}

}  // namespace prefill

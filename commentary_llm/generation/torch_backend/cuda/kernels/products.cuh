// One product: inputs become INT8 digits, tiles are multiplied as the producer brings them, a cluster joins its parts.
#pragma once
#include "mailbox.cuh"
#include "ring.cuh"

namespace decode {

struct Shared {
    Ring ring;
    uint64_t* joined;    // all blocks of the cluster have their sums
    uint64_t* emptied;   // the mailboxes that were to be emptied are empty
    uint8_t* digits;     // (chunks of 32 inputs, 2 * tokens, 32); attention's scratch too
    int* sums;           // (2, kRoundTiles, 16, row_ints)
    float2* factors;     // (2, tokens): step of the first digit, sum of squares
    float* residual;     // (tokens, part of hidden)
    float* norm;         // (part of hidden)
    float* row_scales;   // (2, kRoundTiles, 16)
    float2* reduce;      // (kWarps)
    float2* turns;       // (tokens, head_dim / 2)
};

// From one row's sums to the next, so that neighbouring rows of a token lie in different banks.
__host__ __device__ constexpr int row_ints(int tokens) { return tokens <= 2 ? 2 * tokens : 2 * tokens + 2; }

template <int kMost, int kDim>
struct Products {
    static constexpr int kTokens = kMost, kCluster = cluster_for(kMost);
    static constexpr int kColumns = 2 * kTokens;
    static constexpr int kRowInts = row_ints(kTokens);
    static constexpr int kColumnBlocks = (kColumns + 7) / 8;
    static constexpr int kWarpsPerToken = kWarps / kTokens;
    static constexpr int kLanesPerToken = 32 * kWarpsPerToken;
    // float4 that a lane keeps of a row of `inputs`, at most; longer rows take a slower way.
    static constexpr int keep(int inputs) { return (inputs / 4 / kCluster + kLanesPerToken - 1) / kLanesPerToken; }

    const Step& step;
    const Shared shared;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const uint32_t part = cluster_rank();
    int turn = 0;    // whose the next stage of the ring is
    int place;       // in the ring, of this warp's next stage
    int round = 0;   // parity of its barrier
    int half = 0;    // of sums, factors and row scales
    int join_round = 0, emptied_round = 0;
    bool pending = false;

    __device__ Products(const Step& s, const Shared& sh) : step(s), shared(sh) { place = warp; }

    // What each lane has of its token's row; `Row` says where the row comes from.
    template <class Row>
    __device__ __forceinline__ void quantize(const Matrix& matrix, Row& row) {
        const int token = warp / kWarpsPerToken, lane_of_token = (warp % kWarpsPerToken) * 32 + lane;
        const int share4 = matrix.chunks / kCluster * (kChunkInputs / 4);
        const int begin4 = part * share4, count4 = token < step.count ? max(0, min(share4, matrix.inputs / 4 - begin4)) : 0;
        constexpr int kKeep = Row::kKeep;
        float4 kept[kKeep];
        float squares = 0.0f, largest = 0.0f;
        row.read(kept, token, begin4, lane_of_token, count4);
#pragma unroll
        for (int i = 0; i < kKeep; ++i) {
            if (lane_of_token + i * kLanesPerToken < count4) {
                row.measure(kept[i], lane_of_token + i * kLanesPerToken, squares, largest);
            } else {
                kept[i] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            }
        }
#pragma unroll 1
        for (int index = lane_of_token + kKeep * kLanesPerToken; index < count4; index += kLanesPerToken) {
            float4 v = row.again(token, begin4, index, true);
            row.measure(v, index, squares, largest);
        }
#pragma unroll
        for (int d = 16; d; d >>= 1) squares += __shfl_xor_sync(~0u, squares, d);
        largest = __uint_as_float(__reduce_max_sync(~0u, __float_as_uint(largest)));  // floats over zero sort as their bits
        if (lane == 0) shared.reduce[warp] = make_float2(squares, largest);
        compute_sync();
        squares = largest = 0.0f;
#pragma unroll
        for (int i = 0; i < kWarpsPerToken; ++i) {
            const float2 other = shared.reduce[token * kWarpsPerToken + i];
            squares += other.x;
            largest = fmaxf(largest, other.y);
        }
        const float scale = fmaxf(largest, 1e-30f) / 127.0f, factor = 1.0f / scale;
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
            const int index = lane_of_token + i * kLanesPerToken;
            if (index < share4) store(kept[i], index);
        }
#pragma unroll 1
        for (int index = lane_of_token + kKeep * kLanesPerToken; index < share4; index += kLanesPerToken) {
            float4 v = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            if (index < count4) {
                float ignored = 0.0f;
                v = row.again(token, begin4, index, false);
                row.measure(v, index, ignored, ignored);
            }
            store(v, index);
        }
        scale_of = scale;
        squares_of = squares;
        compute_sync();
    }
    float scale_of, squares_of;  // of this warp's token

    __device__ void fetch_scales(const Matrix& matrix, int layer, int first, int count, int to_half) {
        const float* scales = matrix.scales + (static_cast<int64_t>(layer) * matrix.tiles + first) * kTileRows;
        float* to = shared.row_scales + to_half * kRoundTiles * kTileRows;
        for (int i = threadIdx.x; i < count * kTileRows / 4; i += kThreads) copy_async(to + 4 * i, scales + 4 * i);
    }

    __device__ void clear_sums(int count) {
        int4* sums = reinterpret_cast<int4*>(shared.sums + half * kRoundTiles * kTileRows * kRowInts);
        for (int i = threadIdx.x; i < count * kTileRows * kRowInts / 4; i += kThreads) sums[i] = make_int4(0, 0, 0, 0);
    }

    // Products of a stage's chunks; two sets of sums, so that one product need not wait for the one before it.
    template <int kChunks>
    __device__ __forceinline__ void multiply_chunks(int (&sum)[2][kColumnBlocks][4], const uint8_t* weights, const uint8_t* inputs) const {
#pragma unroll
        for (int chunk = 0; chunk < kChunks; ++chunk) {
            const uint4 a = *reinterpret_cast<const uint4*>(weights + chunk * kChunkBytes);
#pragma unroll
            for (int n = 0; n < kColumnBlocks; ++n) {
                multiply(sum[chunk % 2][n], a, *reinterpret_cast<const uint2*>(inputs + (chunk * kColumns + n * 8) * 32));
            }
        }
    }

    // Sums of a round's tiles over this block's part of the inputs, stage by stage as the producer brings them.
    __device__ void product(const Matrix& matrix, int tiles) {
        const int chunks = matrix.chunks / kCluster, parts = (chunks + kStageChunks - 1) / kStageChunks;
        const int total = tiles * parts, group = lane / 4, quad = lane % 4;
        int* sums = shared.sums + half * kRoundTiles * kTileRows * kRowInts;
        int stage = warp < step.readers ? (warp + step.readers - turn) % step.readers : total;  // this warp's first
        for (; stage < total; stage += step.readers) {
            const int tile = stage / parts, within = (stage - tile * parts) * kStageChunks, count = min(kStageChunks, chunks - within);
            const uint8_t* weights = shared.ring.stages + place * kStageBytes + lane * 16;
            // Of the 8 columns of a product those beyond kColumns are nobody's; any digits do.
            const uint8_t* inputs = shared.digits + within * kColumns * 32 + group % kColumns * 32 + quad * 8;
            int sum[2][kColumnBlocks][4] = {};
            barrier_wait(&shared.ring.full[place], round);
            if (count == kStageChunks) {
                multiply_chunks<kStageChunks>(sum, weights, inputs);
            } else {
#pragma unroll 1
                for (int chunk = 0; chunk < count; ++chunk) multiply_chunks<1>(sum, weights + chunk * kChunkBytes, inputs + chunk * kColumns * 32);
            }
            __syncwarp();
            if (lane == 0) barrier_arrive(&shared.ring.empty[place]);
            place += step.readers;
            if (place >= step.ring_stages) {
                place -= step.ring_stages;
                round ^= 1;
            }
            int* target = sums + tile * kTileRows * kRowInts;
#pragma unroll
            for (int n = 0; n < kColumnBlocks; ++n) {
                const int column = n * 8 + 2 * quad;
                if (column < kColumns) {
                    atomicAdd(target + group * kRowInts + column, sum[0][n][0] + sum[1][n][0]);
                    atomicAdd(target + group * kRowInts + column + 1, sum[0][n][1] + sum[1][n][1]);
                    atomicAdd(target + (group + 8) * kRowInts + column, sum[0][n][2] + sum[1][n][2]);
                    atomicAdd(target + (group + 8) * kRowInts + column + 1, sum[0][n][3] + sum[1][n][3]);
                }
            }
        }
        turn = (turn + total) % step.readers;
    }

    // What was to be emptied is; `more`: something else may be emptied now.
    __device__ void emptying(bool more) {
        if (pending) {
            barrier_wait(shared.emptied, emptied_round);
            emptied_round ^= 1;
        }
        if (more) emptying_arrive();
        pending = more;
    }

    // Waits until every block of the cluster has its sums; then `values` may be asked for.
    __device__ void join() {
        if (warp % kWarpsPerToken == 0 && lane == 0) {
            shared.factors[half * kTokens + warp / kWarpsPerToken] = make_float2(scale_of, squares_of);
        }
        __syncwarp();
        if (lane < kCluster) barrier_arrive_cluster(in_block(shared_address(shared.joined), lane));
        barrier_wait_cluster(shared.joined, join_round);
        join_round ^= 1;
    }

    // Elements of a cluster's round are shared out among its threads, neighbours to the lanes of a warp.
    __device__ __forceinline__ int first_element() const { return (warp * kCluster + part) * 32 + lane; }
    static constexpr int kElementStep = kWarps * kCluster * 32;

    // The joined value of a row and token, before its row scale; `squares` becomes the token's sum of squares.
    template <int kRows>
    __device__ __forceinline__ void values(float (&result)[kRows], int tile, const int (&rows)[kRows], int token, float& squares) const {
        const uint32_t sums = shared_address(shared.sums + (half * kRoundTiles + tile) * kTileRows * kRowInts + 2 * token);
        const uint32_t factors = shared_address(shared.factors + half * kTokens + token);
        const float* scales = shared.row_scales + (half * kRoundTiles + tile) * kTileRows;
        float2 factor[kCluster];
        int2 digits[kCluster][kRows];
#pragma unroll
        for (int block = 0; block < kCluster; ++block) {
            factor[block] = load_cluster_float2(in_block(factors, block));
#pragma unroll
            for (int i = 0; i < kRows; ++i) digits[block][i] = load_cluster_int2(in_block(sums + rows[i] * kRowInts * 4, block));
        }
        squares = 0.0f;
#pragma unroll
        for (int i = 0; i < kRows; ++i) result[i] = 0.0f;
#pragma unroll
        for (int block = 0; block < kCluster; ++block) {
            squares += factor[block].y;
#pragma unroll
            for (int i = 0; i < kRows; ++i) {
                const int2 d = digits[block][i];
                result[i] += (static_cast<float>(d.x) + static_cast<float>(d.y) * (1.0f / kSecondDigit)) * factor[block].x;
            }
        }
#pragma unroll
        for (int i = 0; i < kRows; ++i) result[i] *= scales[rows[i]];
    }
};

}  // namespace decode

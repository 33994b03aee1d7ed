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
    // float4 of its token's row that a lane has at once: all of it in LLaMA-7B over two ranks. More come in turns.
    static constexpr int kKeep = kTokens == 1 ? 4 : kTokens == 2 ? 8 : 12;
    static constexpr int kMore = 4;  // of another rank's part of the sum, at a time

    const Step& step;
    const Shared shared;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int part = cluster_rank();
    int turn = 0;    // whose the next stage of the ring is
    int place;       // in the ring, of this warp's next stage
    int round = 0;   // parity of its barrier
    int half = 0;    // of sums, factors and row scales
    int join_round = 0, emptied_round = 0;
    bool pending = false;

    __device__ Products(const Step& s, const Shared& sh) : step(s), shared(sh) { place = warp; }

    // Where a product's inputs come from.
    struct Source {
        const float* box;  // parts of rows to be summed, or attention's splits
        int width;         // of a row
        int parts;         // (parts, kMaxTokens, width)
        bool splits;       // attention's: (tokens * heads, splits, kDim + 4)
        bool residual;     // added to the residual stream, which is kept, and then normalised
        bool first;        // the residual stream begins here
    };

    __device__ __forceinline__ float* residual_at(int token, int index, int share4) const { return shared.residual + 4 * (token * share4 + index); }

    // Some of the lane's inputs of its token's row; `again` when the residual stream has them already.
    __device__ __forceinline__ void read(const Source& source, float4 (&v)[kKeep], int token, int begin4, int base, int count4, int share4, bool again) const {
        if (source.splits) {
#pragma unroll 1
            for (int i = 0; i < kKeep; ++i) {
                const float4 joined = base + i * kLanesPerToken < count4 ? attended(source, token, begin4 + base + i * kLanesPerToken) : zero4();
#pragma unroll
                for (int j = 0; j < kKeep; ++j) {
                    if (i == j) v[j] = joined;
                }
            }
            return;
        }
        const auto inside = [&](int i) { return base + i * kLanesPerToken < count4; };
        const auto kept = [&](int i) { return reinterpret_cast<float4*>(residual_at(token, base + i * kLanesPerToken, share4)); };
        const float* row = source.box + token * source.width + 4 * (begin4 + base);
#pragma unroll
        for (int i = 0; i < kKeep; ++i) v[i] = zero4();
        if (!again || !source.residual) {
            await(v, [&](int i) -> const float* { return inside(i) ? row + 4 * i * kLanesPerToken : nullptr; });
        }
#pragma unroll 1
        for (int number = 1; number < source.parts && !again; ++number) {
            row += kMaxTokens * source.width;
#pragma unroll
            for (int first = 0; first < kKeep; first += kMore) {
                float4 more[kMore];
                await(more, [&](int i) -> const float* { return inside(first + i) ? row + 4 * (first + i) * kLanesPerToken : nullptr; });
#pragma unroll
                for (int i = 0; i < kMore; ++i) {
                    if (inside(first + i)) v[first + i] = sum(v[first + i], more[i]);
                }
            }
        }
        if (!source.residual) return;
#pragma unroll
        for (int i = 0; i < kKeep; ++i) {
            if (!inside(i)) continue;
            if (!source.first || again) v[i] = sum(v[i], *kept(i));
            if (!again) *kept(i) = v[i];
        }
    }

    static __device__ __forceinline__ float4 sum(const float4& a, const float4& b) { return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w); }

    static __device__ __forceinline__ float4 zero4() { return make_float4(0.0f, 0.0f, 0.0f, 0.0f); }

    // Attention's outputs: the splits of a head joined.
    __device__ __forceinline__ float4 attended(const Source& source, int token, int at4) const {
        const float* row = source.box + static_cast<int64_t>(token * step.heads + 4 * at4 / kDim) * step.splits * (kDim + 4);
        float top = -INFINITY, mass = 0.0f;
        float4 v = zero4();
        constexpr int kAtOnce = kTokens == 1 ? 4 : kTokens == kMaxTokens ? 1 : 2;  // splits on their way
#pragma unroll 1
        for (int base = 0; base < step.splits; base += kAtOnce) {
            float4 both[2 * kAtOnce];
            await(both, [&](int i) -> const float* {
                const int split = base + i / 2;
                return split < step.splits ? row + split * (kDim + 4) + (i % 2 ? kDim : 4 * at4 % kDim) : nullptr;
            });
#pragma unroll
            for (int i = 0; i < kAtOnce; ++i) {
                if (base + i >= step.splits) continue;
                const float4 o = both[2 * i], state = both[2 * i + 1];
                const float highest = fmaxf(top, state.x);
                const float old = __expf(top - highest), now = __expf(state.x - highest);
                v = make_float4(v.x * old + o.x * now, v.y * old + o.y * now, v.z * old + o.z * now, v.w * old + o.w * now);
                mass = mass * old + state.y * now;
                top = highest;
            }
        }
        const float whole = 1.0f / mass;
        return make_float4(v.x * whole, v.y * whole, v.z * whole, v.w * whole);
    }

    // The block's part of the inputs, as digits: a first pass finds their scale, a second one makes them.
    __device__ __forceinline__ void quantize(const Matrix& matrix, const Source& source) {
        const int token = warp / kWarpsPerToken, lane_of_token = (warp % kWarpsPerToken) * 32 + lane;
        const int share4 = matrix.chunks / kCluster * (kChunkInputs / 4);
        const int begin4 = part * share4, count4 = token < step.count ? max(0, min(share4, matrix.inputs / 4 - begin4)) : 0;
        const bool in_turns = share4 > kKeep * kLanesPerToken;
        float4 v[kKeep];
        float squares = 0.0f, largest = 0.0f, scale = 0.0f, factor = 0.0f;
        uint32_t* digits = reinterpret_cast<uint32_t*>(shared.digits) + 2 * token * 8;
#pragma unroll 1
        for (int pass = 0; pass < 2; ++pass) {
#pragma unroll 1
            for (int base = lane_of_token; base < share4; base += kKeep * kLanesPerToken) {
                if (!pass || in_turns) {
                    read(source, v, token, begin4, base, count4, share4, pass);
#pragma unroll
                    for (int i = 0; i < kKeep; ++i) {
                        const int index = base + i * kLanesPerToken;
                        if (source.residual && index < count4) {
                            const float4 w = *reinterpret_cast<const float4*>(shared.norm + 4 * index);
                            if (!pass) squares += v[i].x * v[i].x + v[i].y * v[i].y + v[i].z * v[i].z + v[i].w * v[i].w;
                            v[i] = make_float4(v[i].x * w.x, v[i].y * w.y, v[i].z * w.z, v[i].w * w.w);
                        }
                        largest = fmaxf(fmaxf(largest, fabsf(v[i].x)), fmaxf(fmaxf(fabsf(v[i].y), fabsf(v[i].z)), fabsf(v[i].w)));
                    }
                }
                if (!pass) continue;
#pragma unroll
                for (int i = 0; i < kKeep; ++i) {
                    const int index = base + i * kLanesPerToken;
                    if (index >= share4) continue;
                    uint32_t* target = digits + (index / 8) * kColumns * 8 + index % 8;
                    const uint2 both = digits_of(v[i], factor);
                    target[0] = both.x;
                    target[8] = both.y;
                }
            }
            if (pass) break;
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
            scale = fmaxf(largest, 1e-30f) / 127.0f;
            factor = 1.0f / scale;
        }
        scale_of = scale;
        squares_of = squares;
        compute_sync();
    }

    // Four inputs' first digits and second digits, in steps of 1 / factor.
    static __device__ __forceinline__ uint2 digits_of(const float4& v, float factor) {
        constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: added to x it leaves the rounded x in the low bits, as two's complement
        const float s[4] = {v.x * factor, v.y * factor, v.z * factor, v.w * factor};
        uint32_t high[4], low[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const float rounded = s[i] + kRound;
            high[i] = __float_as_uint(rounded);
            low[i] = __float_as_uint(__fmaf_rn(s[i] - (rounded - kRound), kSecondDigit, kRound));
        }
        return make_uint2(__byte_perm(__byte_perm(high[0], high[1], 0x0040), __byte_perm(high[2], high[3], 0x0040), 0x5410),
                          __byte_perm(__byte_perm(low[0], low[1], 0x0040), __byte_perm(low[2], low[3], 0x0040), 0x5410));
    }
    float scale_of, squares_of;  // of this warp's token

    __device__ void fetch_scales(const Matrix& matrix, int layer, int first, int count, int to_half) {
        const float* scales = matrix.scales + (static_cast<int64_t>(layer) * matrix.tiles + first) * kTileRows;
        float* to = shared.row_scales + to_half * kRoundTiles * kTileRows;
#pragma unroll 1
        for (int i = threadIdx.x; i < count * kTileRows / 4; i += kThreads) copy_async(to + 4 * i, scales + 4 * i);
    }

    __device__ void clear_sums(int count) {
        int4* sums = reinterpret_cast<int4*>(shared.sums + half * kRoundTiles * kTileRows * kRowInts);
#pragma unroll 1
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

    // The joined values of two rows of a token; `squares` becomes the token's sum of squares.
    __device__ __forceinline__ float2 values(int tile, int row, int other_row, int token, float& squares) const {
        const uint32_t sums = shared_address(shared.sums + (half * kRoundTiles + tile) * kTileRows * kRowInts + 2 * token);
        const uint32_t factors = shared_address(shared.factors + half * kTokens + token);
        const float* scales = shared.row_scales + (half * kRoundTiles + tile) * kTileRows;
        float2 factor[kCluster];
        int2 one[kCluster], other[kCluster];
#pragma unroll
        for (int block = 0; block < kCluster; ++block) {
            factor[block] = load_cluster_float2(in_block(factors, block));
            one[block] = load_cluster_int2(in_block(sums + row * kRowInts * 4, block));
            other[block] = load_cluster_int2(in_block(sums + other_row * kRowInts * 4, block));
        }
        float2 result = make_float2(0.0f, 0.0f);
        squares = 0.0f;
#pragma unroll
        for (int block = 0; block < kCluster; ++block) {
            squares += factor[block].y;
            result.x += (static_cast<float>(one[block].x) + static_cast<float>(one[block].y) * (1.0f / kSecondDigit)) * factor[block].x;
            result.y += (static_cast<float>(other[block].x) + static_cast<float>(other[block].y) * (1.0f / kSecondDigit)) * factor[block].x;
        }
        return make_float2(result.x * scales[row], result.y * scales[other_row]);
    }
};

}  // namespace decode

// One product: inputs become INT8 digits, tiles are multiplied as the producer brings them, a tile's sums go to the block of
// the cluster that finishes it.
#pragma once
#include "mailbox.cuh"
#include "ring.cuh"

namespace decode {

struct Shared {
    Ring ring;
    uint64_t* summed;    // (2, slots): a tile's sums have come from all blocks
    uint64_t* squared;   // (kSquareTurns): the sums of squares of all blocks have come
    uint64_t* finished;  // the round's tiles are finished
    uint8_t* digits;     // (chunks of 32 inputs, 2 * tokens, 32); attention's scratch too
    float* sums;         // (2, slots, cluster, 16 * tokens): of the tiles that this block finishes, in the order of lanes
    float* squares;      // (kSquareTurns, cluster, tokens): of each block's part of the inputs
    float* own_squares;  // (tokens)
    float* factors;      // (tokens): step of the first digit
    float* residual;     // (tokens, part of hidden)
    float* norm;         // (part of hidden)
    float2* reduce;      // (kWarps)
    float2* turns;       // (tokens, head_dim / 2)
};

// What a tile's sums and their way to the block that finishes it look like.
template <int kTokens>
struct SumLayout {
    static constexpr int kSlots = kRoundTiles / kCluster;  // tiles of a round that a block finishes
    static constexpr int kColumnBlocks = (2 * kTokens + 7) / 8;
    static constexpr int kValues = 2 * kColumnBlocks;  // of a lane: rows g and g + 8 of tokens q and q + 4, lane = 4 g + q
    static constexpr int kPartFloats = kTileRows * kTokens;

    static __device__ __forceinline__ bool has_values(int lane) { return lane % 4 < kTokens; }
    static __device__ __forceinline__ int place(int half, int slot, int block, int lane) {
        const int index = kTokens >= 4 ? lane : lane / 4 * kTokens + lane % 4;
        return ((half * kSlots + slot) * kCluster + block) * kPartFloats + index * kValues;
    }
};

template <int kMost, int kDim>
struct Products {
    static constexpr int kTokens = kMost;
    static constexpr int kColumns = 2 * kTokens;
    using Layout = SumLayout<kTokens>;
    static constexpr int kColumnBlocks = Layout::kColumnBlocks;
    static constexpr int kWarpsPerToken = kWarps / kTokens;
    static constexpr int kLanesPerToken = 32 * kWarpsPerToken;
    // float4 of its token's row that a lane has at once: all of it in LLaMA-7B over two ranks. More come in turns.
    static constexpr int kKeep = kTokens == 1 ? 3 : kTokens == kMaxTokens ? 11 : 6;
    static constexpr int kMore = kTokens == kMaxTokens ? 4 : kKeep;  // of another rank's part of the sum, at a time

    const Step& step;
    const Shared shared;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int part = cluster_rank();
    Place next_stage;   // the first one of the next round
    int half = 0;       // of the sums' places
    float squares_of;   // of this warp's token

    __device__ Products(const Step& s, const Shared& sh) : step(s), shared(sh) {}

    __device__ __forceinline__ const uint8_t* stage(const Place& at) const { return shared.ring.stages + at.place * kStageBytes; }

    __device__ __forceinline__ void wait_for(const Place& at) const {
        barrier_wait(&shared.ring.full[at.around % 2 * step.ring_stages + at.place], at.around / 2 % 2);
    }

    // The warp has read a stage; the producer may write over it.
    __device__ __forceinline__ void release(const Place& at) const {
        __syncwarp();
        if (lane == 0) barrier_arrive(&shared.ring.empty[at.place]);
    }

    // Where a product's inputs come from.
    struct Source {
        const float* box;  // parts of rows to be summed, or attention's splits
        int width;         // of a row
        int parts;         // (parts, kMaxTokens, width)
        bool splits;       // to be joined: (tokens * heads, splits, kDim + 4)
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
                await(more, [&](int i) -> const float* { return first + i < kKeep && inside(first + i) ? row + 4 * (first + i) * kLanesPerToken : nullptr; });
#pragma unroll
                for (int i = 0; i < kMore; ++i) {
                    if (first + i < kKeep && inside(first + i)) v[first + i] = sum(v[first + i], more[i]);
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

    // The block's part of the inputs, as digits: a first pass finds their scale, a second one makes them. Other threads
    // may read them, and the scales, after a barrier.
    __device__ __forceinline__ void quantize(const Matrix& matrix, const Source& source) {
        const int token = warp / kWarpsPerToken, lane_of_token = (warp % kWarpsPerToken) * 32 + lane;
        const int share4 = matrix.chunks / kCluster * (kChunkInputs / 4);
        const int begin4 = part * share4, count4 = token < step.count ? max(0, min(share4, matrix.inputs / 4 - begin4)) : 0;
        const bool in_turns = share4 > kKeep * kLanesPerToken;
        float4 v[kKeep];
        float squares = 0.0f, largest = 0.0f, factor = 0.0f;
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
            const float scale = fmaxf(largest, 1e-30f) / 127.0f;
            factor = 1.0f / scale;
            squares_of = squares;
            if (lane_of_token == 0) shared.factors[token] = scale;
        }
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

    // Sums of a round's tiles over this block's part of the inputs, each tile by one warp as the producer brings it. From
    // the last stage that a warp has seen to the one for which it waits next is never more than a whole ring (`workers`
    // sees to it): only then do the two barriers of a place tell its uses apart.
    __device__ void product(const Matrix& matrix, int tiles, int workers) {
        const int chunks = matrix.chunks / kCluster, stages = (chunks + kStageChunks - 1) / kStageChunks;
        const int group = lane / 4, quad = lane % 4;
        Place at = next_stage;
        next_stage.advance(tiles * stages, step.ring_stages);
        if (warp >= workers) return;
        float factors[kColumnBlocks];
#pragma unroll
        for (int n = 0; n < kColumnBlocks; ++n) factors[n] = shared.factors[(n * 4 + quad) % kTokens];
        at.advance(warp * stages, step.ring_stages);
#pragma unroll 1
        for (int tile = warp; tile < tiles; tile += workers) {
            int sum[2][kColumnBlocks][4] = {};
#pragma unroll 1
            for (int done = 0; done < chunks; done += kStageChunks) {
                const int count = min(kStageChunks, chunks - done);
                const uint8_t* weights = this->stage(at) + lane * 16;
                // Of the 8 columns of a product those beyond kColumns are nobody's; any digits do.
                const uint8_t* inputs = shared.digits + done * kColumns * 32 + group % kColumns * 32 + quad * 8;
                wait_for(at);
                int chunk = 0;
                if (count == kStageChunks) {
                    multiply_chunks<kStageChunks>(sum, weights, inputs);
                    chunk = kStageChunks;
                }
#pragma unroll 1
                for (; chunk + 4 <= count; chunk += 4) multiply_chunks<4>(sum, weights + chunk * kChunkBytes, inputs + chunk * kColumns * 32);
#pragma unroll 1
                for (; chunk < count; ++chunk) multiply_chunks<1>(sum, weights + chunk * kChunkBytes, inputs + chunk * kColumns * 32);
                release(at);
                at.advance(1, step.ring_stages);
            }
            push_sums(sum, tile, factors);
            at.advance((workers - 1) * stages, step.ring_stages);
        }
    }

    // A tile's sums over this block's part of the inputs, to the block that finishes the tile.
    __device__ __forceinline__ void push_sums(const int (&sum)[2][kColumnBlocks][4], int tile, const float (&factors)[kColumnBlocks]) const {
        float values[Layout::kValues];
#pragma unroll
        for (int n = 0; n < kColumnBlocks; ++n) {
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                const int first = sum[0][n][2 * i] + sum[1][n][2 * i], second = sum[0][n][2 * i + 1] + sum[1][n][2 * i + 1];
                values[2 * n + i] = (static_cast<float>(first) + static_cast<float>(second) * (1.0f / kSecondDigit)) * factors[n];
            }
        }
        if (!Layout::has_values(lane)) return;
        const int owner = tile % kCluster, slot = tile / kCluster;
        const uint32_t to = in_block(shared_address(shared.sums + Layout::place(half, slot, part, lane)), owner);
        push(to, values, in_block(shared_address(shared.summed + half * Layout::kSlots + slot), owner));
    }
};

}  // namespace decode

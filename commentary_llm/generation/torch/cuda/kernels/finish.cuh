// What becomes of a cluster's sums: warps of their own join them tile by tile and hand the results on, while others multiply.
#pragma once
#include "attention.cuh"

namespace decode {

template <int kTokens, int kDim>
struct Finish {
    using Layout = SumLayout<kTokens>;
    static constexpr int kColumnBlocks = Layout::kColumnBlocks, kValues = Layout::kValues;
    static constexpr int kPairs = kTileRows / 2;

    const Step& step;
    const Shared shared;
    const Boxes boxes;
    const int warp = (threadIdx.x - (kBlock - kFinishThreads)) / 32, lane = threadIdx.x % 32;
    const int group = lane / 4, quad = lane % 4;
    const int part = cluster_rank();
    int half = 0;
    uint32_t slot_parities = 0;    // a bit for each barrier of `summed`
    int square_parities = 0;       // for each of `squared`
    float roots[kColumnBlocks];    // of the lane's tokens: 1 / root mean square of the inputs

    __device__ Finish(const Step& s, const Shared& sh) : step(s), shared(sh), boxes{s} {}

    __device__ void run() {
#pragma unroll 1
        for (Round round(shared.ring.tiles); round.kind <= kHead; round = round.next(shared.ring.tiles, step.layers)) {
            half ^= 1;
            const int tiles = (round.count - part + kCluster - 1) / kCluster;  // every kCluster-th is this block's
            float2 scales = scales_of(round, warp, tiles);  // on their way while others compute
            inputs_read_sync();
            if (round.opens && Boxes::emptied_after(round.kind)) empty(round);
#pragma unroll 1
            for (int slot = warp; slot < tiles; slot += kFinishWarps) {
                const float2 later = scales_of(round, slot + kFinishWarps, tiles);
                finish(round, slot, scales);
                scales = later;
            }
            __syncwarp();
            if (lane == 0) barrier_arrive(shared.finished);
        }
    }

    __device__ __forceinline__ float2 scales_of(const Round& round, int slot, int tiles) const {
        if (slot >= tiles) return make_float2(0.0f, 0.0f);
        const Matrix& matrix = step.matrices[round.kind];
        const int64_t tile = static_cast<int64_t>(round.matrix_layer()) * matrix.tiles + round.first + slot * kCluster + part;
        const float* scales = matrix.scales + tile * kTileRows + group;
        return make_float2(__ldg(scales), __ldg(scales + 8));
    }

    // Empties what may be, now that this block's inputs have been read; the cluster learns of it with the sums of squares.
    __device__ void empty(const Round& round) {
        boxes.empty_after(round.kind, round.layer);
        __threadfence();
        finish_sync();
        // Of three places in turn, so that no block is still waiting at one when others write it again: until then, tiles
        // were finished that need all blocks' inputs, which they take only when their tiles before have been finished.
        const int turn = round.kind == kGateUp ? 1 : round.kind == kDown ? 2 : 0;
        float* squares = shared.squares + turn * kCluster * kTokens;
        uint64_t* squared = shared.squared + turn;
        if (warp == 0) {
            if (lane == 0) barrier_expect(squared, kCluster * kTokens * 4);
            if (lane < kCluster * kTokens) {
                const int token = lane % kTokens, block = lane / kTokens;
                push(in_block(shared_address(squares + part * kTokens + token), block), shared.own_squares[token], in_block(shared_address(squared), block));
            }
        }
        barrier_wait_pushed(squared, square_parities >> turn & 1);
        square_parities ^= 1 << turn;
#pragma unroll
        for (int n = 0; n < kColumnBlocks; ++n) {
            float sum = 0.0f;
#pragma unroll
            for (int block = 0; block < kCluster; ++block) sum += squares[block * kTokens + (n * 4 + quad) % kTokens];
            roots[n] = rsqrtf(sum / step.hidden + step.epsilon);
        }
    }

    __device__ __forceinline__ void finish(const Round& round, int slot, float2 scales) {
        const int barrier = half * Layout::kSlots + slot;
        if (lane == 0) barrier_expect(&shared.summed[barrier], kCluster * Layout::kPartFloats * 4);
        barrier_wait_pushed(&shared.summed[barrier], slot_parities >> barrier & 1);
        slot_parities ^= 1u << barrier;
        float values[kValues] = {};
        if (Layout::has_values(lane)) {
#pragma unroll
            for (int block = 0; block < kCluster; ++block) {
                const float* from = shared.sums + Layout::place(half, slot, block, lane);
#pragma unroll
                for (int i = 0; i < kValues; i += 2) {
                    const float2 two = *reinterpret_cast<const float2*>(from + i);
                    values[i] += two.x;
                    values[i + 1] += two.y;
                }
            }
        }
        const int tile = round.first + slot * kCluster + part;
        const bool normed = round.kind != kOut && round.kind != kDown, even = group % 2 == 0;
#pragma unroll
        for (int n = 0; n < kColumnBlocks; ++n) {
            const float root = normed ? roots[n] : 1.0f;
            float2 v = make_float2(values[2 * n] * scales.x * root, values[2 * n + 1] * scales.y * root);
            int row = tile * kTileRows + group;
            if (round.kind != kGateUp) {  // whose tiles have rows of gate beside the same ones of up; else neighbours are wanted
                const float other = __shfl_xor_sync(~0u, even ? v.y : v.x, 4);
                v = even ? make_float2(v.x, other) : make_float2(other, v.y);
                row += even ? 0 : kPairs - 1;
            }
            const int token = n * 4 + quad;
            if (quad < kTokens && token < step.count) hand_on(round, tile, row, token, v);
        }
    }

    // Two rows of a token: neighbours, the first one even, which a rotation turns together; or the same one of gate and up.
    __device__ __forceinline__ void hand_on(const Round& round, int tile, int row, int token, float2 v) const {
        if (round.kind == kQkv) {
            hand_on_qkv(round.layer, row, token, v);
        } else if (round.kind == kGateUp) {
            const int index = tile * kPairs + group, width = step.matrices[kDown].inputs;
            if (index < width) write_box(boxes.activated(round.layer) + token * width + index, v.x / (1.0f + __expf(-v.x)) * v.y);
        } else if (round.kind == kHead) {
            hand_on_logits(row, token, v);
        } else if (row < step.hidden) {
            for (int rank = 0; rank < step.ranks; ++rank) {
                float* box = round.kind == kOut ? boxes.out(round.layer, rank) : boxes.down(round.layer, rank);
                write_box(box + (step.rank * kMaxTokens + token) * step.hidden + row, v);
            }
        }
    }

    __device__ __forceinline__ void hand_on_qkv(int layer, int row, int token, float2 v) const {
        const int query_rows = step.heads * kDim, key_rows = step.kv_heads * kDim, all_rows = query_rows + 2 * key_rows;
        if (row >= all_rows) return;
        if (row < query_rows + key_rows) {
            const float2 t = shared.turns[token * (kDim / 2) + row % kDim / 2];
            v = make_float2(v.x * t.x - v.y * t.y, v.x * t.y + v.y * t.x);
        }
        if (row < query_rows) {
            const float scale = rsqrtf(static_cast<float>(kDim));
            v.x *= scale;
            v.y *= scale;
        } else {
            const int of = row - query_rows, kind = of >= key_rows, head = (of - kind * key_rows) / kDim;
            const __half2 stored = __floats2half2_rn(v.x, v.y);
            __half* cache = Attention<kTokens, kDim>::cache_at(step, layer, step.slots[token], head, kind);
            *reinterpret_cast<__half2*>(cache + static_cast<int64_t>(step.positions[token]) * kDim + of % kDim) = stored;
            v = __half22float2(stored);  // as later steps will read it
        }
        write_box(boxes.heads(layer) + token * all_rows + row, v);
    }

    __device__ __forceinline__ void hand_on_logits(int row, int token, float2 v) const {
        for (int rank = 0; rank < step.ranks; ++rank) {
            float* logits = step.logits[rank] + static_cast<int64_t>(token * step.ranks + step.rank) * step.local_vocabulary + row;
            if (row < step.local_vocabulary) write_box(logits, v.x);
            if (row + 1 < step.local_vocabulary) write_box(logits + 1, v.y);
        }
    }
};

}  // namespace decode

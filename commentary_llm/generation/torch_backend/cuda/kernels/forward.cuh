// The whole pass: embedding, layers, head.
#pragma once
#include "attention.cuh"

namespace decode {

template <int kMost, int kDim>
struct Forward : Attention<kMost, kDim> {
    using Base = Attention<kMost, kDim>;
    using Base::attend, Base::cache_at, Base::clear_sums, Base::emptying, Base::fetch_scales, Base::first_element, Base::half, Base::join;
    using Base::kCluster, Base::kElementStep, Base::kTokens, Base::part, Base::product, Base::quantize, Base::shared, Base::step;
    using Base::values;

    static constexpr int kPairs = kTileRows / 2;
    const Boxes boxes;

    __device__ Forward(const Step& s, const Shared& sh) : Base(s, sh), boxes{s} {}

    __device__ void embed() {
        const int width4 = step.hidden / 4;
#pragma unroll 1
        for (int i = blockIdx.x * kThreads + threadIdx.x; i < step.count * width4; i += gridDim.x * kThreads) {
            const int token = i / width4, index = i % width4;
            const int id = step.tokens[step.slots[token]] - step.first_id;
            if (id < 0 || id >= step.local_vocabulary) continue;  // another rank has it
            const char4 e = *reinterpret_cast<const char4*>(step.embedding + static_cast<int64_t>(id) * step.hidden + 4 * index);
            const float scale = step.embedding_scale[id];
            const float4 v = make_float4(e.x * scale, e.y * scale, e.z * scale, e.w * scale);
            for (int rank = 0; rank < step.ranks; ++rank) write_box(boxes.down(-1, rank) + token * step.hidden + 4 * index, v);
        }
    }

    __device__ void prepare() {
#pragma unroll 1
        for (int i = threadIdx.x; i < step.count * (kDim / 2); i += kThreads) {
            const int token = i / (kDim / 2);
            shared.turns[i] = step.rotation[static_cast<int64_t>(step.positions[token]) * (kDim / 2) + i % (kDim / 2)];
        }
    }

    // So many tiles that their sums fit shared memory: all of a cluster's, or a part of them.
    struct Round {
        int kind = 0, layer = 0, first = 0, count = 0;
        bool opens = false;  // a product: its inputs are to be taken

        __device__ void begin(const Tiles& tiles) {
            first = tiles.first;
            count = min(kRoundTiles, tiles.count);
            opens = true;
        }

        __device__ Round next(const Tiles* tiles, int layers) const {
            Round later = *this;
            later.first += count;
            later.count = min(kRoundTiles, tiles[kind].first + tiles[kind].count - later.first);
            later.opens = false;
            if (later.count > 0) return later;
            later.kind = kind == kDown ? (layer + 1 == layers ? kHead : kQkv) : kind + 1;
            later.layer = layer + (kind == kDown);
            if (kind != kHead) later.begin(tiles[later.kind]);
            return later;
        }
    };

    // What a round reads and nobody writes, on its way while the round before it goes on.
    __device__ void fetch(const Round& round, int to_half) {
        if (round.kind > kHead) return;
        fetch_scales(step.matrices[round.kind], round.kind == kHead ? 0 : round.layer, round.first, round.count, to_half);
        if (!round.opens || round.kind == kOut || round.kind == kDown) return;
        const int share = step.matrices[kQkv].chunks / kCluster * kChunkInputs;
        const float* norms = round.kind == kHead ? step.final_norm : round.kind == kQkv ? step.input_norm : step.post_norm;
        const float* norm = norms + (round.kind == kHead ? 0 : static_cast<int64_t>(round.layer) * step.hidden);
        const int begin = part * share, count4 = max(0, min(share, step.hidden - begin)) / 4;
#pragma unroll 1
        for (int i = threadIdx.x; i < count4; i += kThreads) copy_async(shared.norm + 4 * i, norm + begin + 4 * i);
    }

    __device__ void take_inputs(const Matrix& matrix, int kind, int layer) {
        typename Base::Source source;
        source.splits = kind == kOut;
        source.residual = kind != kOut && kind != kDown;
        source.first = kind == kQkv && layer == 0;
        source.parts = source.residual && !source.first ? step.ranks : 1;
        source.width = source.residual ? step.hidden : matrix.inputs;
        source.box = kind == kOut ? boxes.attended(layer) : kind == kDown ? boxes.activated(layer) : kind == kGateUp ? boxes.out(layer, step.rank) : boxes.down(layer - 1, step.rank);
        quantize(matrix, source);
    }

    __device__ void run() {
        Round round;
        round.begin(shared.ring.tiles[kQkv]);
        fetch(round, half ^ 1);
        prepare();
        embed();
#pragma unroll 1
        while (round.kind <= kHead) {
            const Matrix& matrix = step.matrices[round.kind];
            half ^= 1;
            clear_sums(round.count);
            asm volatile("cp.async.wait_all;" ::: "memory");
            compute_sync();
            if (round.opens) {
                take_inputs(matrix, round.kind, round.layer);
                emptying(Boxes::emptied_after(round.kind));
            }
            const Round later = round.next(shared.ring.tiles, step.layers);
            fetch(later, half ^ 1);
            product(matrix, round.count);
            join();
            finish(round);
            if (round.kind == kQkv && later.kind != kQkv) attend(round.layer, boxes.heads(round.layer), boxes.attended(round.layer));
            round = later;
        }
        join();  // nobody leaves while another block of the cluster may still read its sums
    }

    // Some warps beside those that compute: empty what they have read. See mailbox.cuh.
    static __device__ void empty(const Step& step, uint64_t* emptied) {
        const Boxes boxes{step};
        for (int number = 0; number <= 4 * step.layers; ++number) {
            const int layer = number / 4, kind = layer == step.layers ? kHead : number % 4;
            if (!Boxes::emptied_after(kind)) continue;
            emptying_sync();
            if (kind == kQkv && threadIdx.x == kBlock - 1) Base::prefetch(step, layer);
            boxes.empty_after(kind, layer);
            __threadfence();
            barrier_arrive(emptied);
        }
    }

    // Two rows of a token at a time: neighbours, which a rotation turns together, or the same one of gate and up.
    __device__ __forceinline__ void finish(const Round& round) {
        const bool normed = round.kind != kOut && round.kind != kDown;
        const int stride = round.kind == kGateUp ? 1 : 2, other = round.kind == kGateUp ? kPairs : 1;
#pragma unroll 1
        for (int i = first_element(); i < round.count * kPairs * kTokens; i += kElementStep) {
            // Tokens first: those of a row are neighbours in the memory of the other blocks.
            const int token = i % kTokens, pair = i / kTokens % kPairs, tile = i / kTokens / kPairs;
            if (token >= step.count) continue;
            float squares;
            float2 v = values(tile, pair * stride, pair * stride + other, token, squares);
            if (normed) {
                const float root = rsqrtf(squares / step.hidden + step.epsilon);
                v.x *= root;
                v.y *= root;
            }
            const int row = (round.first + tile) * kTileRows + 2 * pair;
            if (round.kind == kQkv) {
                finish_qkv(round.layer, row, token, v);
            } else if (round.kind == kGateUp) {
                const int index = (round.first + tile) * kPairs + pair, width = step.matrices[kDown].inputs;
                if (index < width) write_box(boxes.activated(round.layer) + token * width + index, v.x / (1.0f + __expf(-v.x)) * v.y);
            } else if (round.kind == kHead) {
                finish_head(row, token, v);
            } else if (row < step.hidden) {
                for (int rank = 0; rank < step.ranks; ++rank) {
                    float* box = round.kind == kOut ? boxes.out(round.layer, rank) : boxes.down(round.layer, rank);
                    write_box(box + (step.rank * kMaxTokens + token) * step.hidden + row, v);
                }
            }
        }
    }

    __device__ __forceinline__ void finish_qkv(int layer, int row, int token, float2 v) {
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
            *reinterpret_cast<__half2*>(cache_at(step, layer, step.slots[token], head, kind) + static_cast<int64_t>(step.positions[token]) * kDim + of % kDim) = stored;
            v = __half22float2(stored);  // as later steps will read it
        }
        write_box(boxes.heads(layer) + token * all_rows + row, v);
    }

    __device__ __forceinline__ void finish_head(int row, int token, float2 v) {
        for (int rank = 0; rank < step.ranks; ++rank) {
            float* logits = step.logits[rank] + static_cast<int64_t>(token * step.ranks + step.rank) * step.local_vocabulary + row;
            if (row < step.local_vocabulary) write_box(logits, v.x);
            if (row + 1 < step.local_vocabulary) write_box(logits + 1, v.y);
        }
    }
};

}  // namespace decode

// The whole pass: embedding, layers, head.
#pragma once
#include "attention.cuh"
#include "rows.cuh"

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
        for (int i = threadIdx.x; i < step.count * (kDim / 2); i += kThreads) {
            const int token = i / (kDim / 2);
            shared.turns[i] = step.rotation[static_cast<int64_t>(step.positions[token]) * (kDim / 2) + i % (kDim / 2)];
        }
    }

    // So many tiles that their sums fit shared memory: all of a cluster's, or a part of them.
    struct Round {
        int kind = 0, layer = 0, first = 0, count = 0;
        bool opens = false;  // a product: its inputs are to be taken

        __device__ void begin(const Step& step) {
            const Tiles<kCluster> tiles(step.matrices[kind]);
            first = tiles.first;
            count = min(kRoundTiles, tiles.count);
            opens = true;
        }

        __device__ Round next(const Step& step) const {
            Round later = *this;
            const Tiles<kCluster> tiles(step.matrices[kind]);
            later.first += count;
            later.count = min(kRoundTiles, tiles.first + tiles.count - later.first);
            later.opens = false;
            if (later.count > 0) return later;
            later.kind = kind == kDown ? (layer + 1 == step.layers ? kHead : kQkv) : kind + 1;
            later.layer = layer + (kind == kDown);
            if (kind != kHead) later.begin(step);
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
        for (int i = threadIdx.x; i < count4; i += kThreads) copy_async(shared.norm + 4 * i, norm + begin + 4 * i);
    }

    // Row by row the block's part of the inputs, as digits.
    __device__ void take_inputs(const Matrix& matrix, int kind, int layer) {
        if (kind == kOut) {
            AttendedRow<Base, kDim> row{*this, boxes.attended(layer)};
            quantize(matrix, row);
        } else if (kind == kDown) {
            PlainRow<Base> row{*this, boxes.activated(layer), matrix.inputs};
            quantize(matrix, row);
        } else {
            NormRow<Base> row{*this, kind == kGateUp ? boxes.out(layer, step.rank) : boxes.down(layer - 1, step.rank), kind == kQkv && layer == 0};
            quantize(matrix, row);
        }
    }

    __device__ void run() {
        Round round;
        round.begin(step);
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
            const Round later = round.next(step);
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
            boxes.empty_after(kind, layer);
            __threadfence();
            barrier_arrive(emptied);
        }
    }

    __device__ __forceinline__ void finish(const Round& round) {
        if (round.kind == kQkv) {
            finish_qkv(round.layer, round.first, round.count);
        } else if (round.kind == kGateUp) {
            finish_gate_up(round.layer, round.first, round.count);
        } else if (round.kind == kHead) {
            finish_head(round.first, round.count);
        } else {
            finish_part(round.kind == kOut, round.layer, round.first, round.count);
        }
    }

    __device__ __forceinline__ float root(float squares) const { return rsqrtf(squares / step.hidden + step.epsilon); }

    __device__ void finish_qkv(int layer, int first, int count) {
        const int query_rows = step.heads * kDim, key_rows = step.kv_heads * kDim, all_rows = query_rows + 2 * key_rows;
        for (int i = first_element(); i < count * kPairs * step.count; i += kElementStep) {
            const int pair = i % kPairs, tile = i / kPairs % count, token = i / (kPairs * count);
            const int row = (first + tile) * kTileRows + 2 * pair;
            if (row >= all_rows) continue;
            float v[2], squares;
            values(v, tile, {2 * pair, 2 * pair + 1}, token, squares);
            const float r = root(squares);
            float a = v[0] * r, b = v[1] * r;
            if (row < query_rows + key_rows) {
                const float2 t = shared.turns[token * (kDim / 2) + row % kDim / 2];
                const float turned = a * t.x - b * t.y;
                b = a * t.y + b * t.x;
                a = turned;
            }
            if (row < query_rows) {
                const float scale = rsqrtf(static_cast<float>(kDim));
                a *= scale;
                b *= scale;
            } else {
                const int of = row - query_rows, kind = of >= key_rows, head = (of - kind * key_rows) / kDim;
                const __half2 stored = __floats2half2_rn(a, b);
                *reinterpret_cast<__half2*>(cache_at(step, layer, step.slots[token], head, kind) + static_cast<int64_t>(step.positions[token]) * kDim + of % kDim) = stored;
                a = __low2float(stored);  // as later steps will read it
                b = __high2float(stored);
            }
            write_box(boxes.heads(layer) + static_cast<int64_t>(token) * all_rows + row, make_float2(a, b));
        }
    }

    __device__ void finish_part(bool out, int layer, int first, int count) {
        for (int i = first_element(); i < count * kTileRows * step.count; i += kElementStep) {
            const int row_in = i % kTileRows, tile = i / kTileRows % count, token = i / (kTileRows * count);
            const int row = (first + tile) * kTileRows + row_in;
            if (row >= step.hidden) continue;
            float v[1], squares;
            values(v, tile, {row_in}, token, squares);
            for (int rank = 0; rank < step.ranks; ++rank) {
                float* box = out ? boxes.out(layer, rank) : boxes.down(layer, rank);
                write_box(box + (static_cast<int64_t>(step.rank) * kMaxTokens + token) * step.hidden + row, v[0]);
            }
        }
    }

    __device__ void finish_gate_up(int layer, int first, int count) {  // a tile holds 8 rows of gate and the same 8 of up
        const int width = step.matrices[kDown].inputs;
        for (int i = first_element(); i < count * kPairs * step.count; i += kElementStep) {
            const int row_in = i % kPairs, tile = i / kPairs % count, token = i / (kPairs * count);
            const int index = (first + tile) * kPairs + row_in;
            if (index >= width) continue;
            float v[2], squares;
            values(v, tile, {row_in, row_in + kPairs}, token, squares);
            const float r = root(squares), gate = v[0] * r, up = v[1] * r;
            write_box(boxes.activated(layer) + static_cast<int64_t>(token) * width + index, gate / (1.0f + __expf(-gate)) * up);
        }
    }

    __device__ void finish_head(int first, int count) {
        const int width = step.ranks * step.local_vocabulary;
        for (int i = first_element(); i < count * kTileRows * step.count; i += kElementStep) {
            const int row_in = i % kTileRows, tile = i / kTileRows % count, token = i / (kTileRows * count);
            const int row = (first + tile) * kTileRows + row_in;
            if (row >= step.local_vocabulary) continue;
            float v[1], squares;
            values(v, tile, {row_in}, token, squares);
            const float logit = v[0] * root(squares);
            for (int rank = 0; rank < step.ranks; ++rank) {
                write_box(step.logits[rank] + static_cast<int64_t>(token) * width + step.rank * step.local_vocabulary + row, logit);
            }
        }
    }
};

}  // namespace decode

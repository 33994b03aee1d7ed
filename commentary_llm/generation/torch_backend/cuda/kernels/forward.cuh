// The whole pass: embedding, layers, head.
#pragma once
#include "attention.cuh"

namespace step_kernel {

template <int kTokens, int kDim>
struct Forward : Attention<kTokens, kDim> {
    using Base = Attention<kTokens, kDim>;
    using Source = typename Base::Source;
    using Base::cache_at, Base::fetch_norm, Base::fetch_scales, Base::kAtOnce, Base::my_tiles, Base::plan, Base::positions;
    using Base::grid_target, Base::shared, Base::slots, Base::step, Base::turns, Base::value, Base::world_target;
    using Base::arrive, Base::attend, Base::keep_residual, Base::product, Base::quantize, Base::start_attention, Base::wait;
    using Base::Base;

    __device__ void embed() {
        const int width4 = step.hidden / 4;
        for (int i = blockIdx.x * kThreads + threadIdx.x; i < kTokens * width4; i += gridDim.x * kThreads) {
            const int token = i / width4, index = i % width4;
            const int id = step.token_ids[token] - step.first_id;
            float4 v = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            if (id >= 0 && id < step.local_vocabulary) {
                const char4 e = *reinterpret_cast<const char4*>(step.embedding + static_cast<int64_t>(id) * step.hidden + 4 * index);
                const float scale = step.embedding_scale[id];
                v = make_float4(e.x * scale, e.y * scale, e.z * scale, e.w * scale);
            }
            for (int rank = 0; rank < step.ranks; ++rank) {
                float* target = step.part_down[rank] + (static_cast<int64_t>(step.rank) * kTokens + token) * step.hidden;
                *reinterpret_cast<float4*>(target + 4 * index) = v;
            }
        }
    }

    __device__ void finish_qkv(int layer, int first) {
        const int query_rows = step.heads * kDim, key_rows = step.kv_heads * kDim;
        for (int i = threadIdx.x; i < my_tiles * 8 * kTokens; i += kThreads) {
            const int tile = i / (8 * kTokens), pair = i / kTokens % 8, token = i % kTokens;
            const int row = (first + tile * gridDim.x) * kTileRows + 2 * pair;
            if (row >= query_rows + 2 * key_rows) continue;
            float a = value(tile, 2 * pair, token), b = value(tile, 2 * pair + 1, token);
            const int position = positions[token];
            if (row < query_rows + key_rows) {
                const float2 r = turns[token * (kDim / 2) + row % kDim / 2];
                const float turned = a * r.x - b * r.y;
                b = a * r.y + b * r.x;
                a = turned;
            }
            if (row < query_rows) {
                const float scale = rsqrtf(static_cast<float>(kDim));
                *reinterpret_cast<float2*>(step.query + token * query_rows + row) = make_float2(a * scale, b * scale);
            } else {
                const int of = row - query_rows, kind = of >= key_rows, head = (of - kind * key_rows) / kDim;
                *reinterpret_cast<__half2*>(cache_at(layer, slots[token], head, kind) + position * kDim + of % kDim) =
                    __floats2half2_rn(a, b);
            }
        }
    }

    __device__ void finish_part(int first, bool out) {
        for (int i = threadIdx.x; i < my_tiles * kTileRows * kTokens; i += kThreads) {
            const int row_in = i % kTileRows, token = i / kTileRows % kTokens, tile = i / (kTileRows * kTokens);
            const int row = (first + tile * gridDim.x) * kTileRows + row_in;
            if (row >= step.hidden) continue;
            const float v = value(tile, row_in, token);
            for (int rank = 0; rank < step.ranks; ++rank) {
                (out ? step.part_out : step.part_down)[rank][(static_cast<int64_t>(step.rank) * kTokens + token) * step.hidden + row] = v;
            }
        }
    }

    __device__ void finish_gate_up(int first) {  // a tile holds 8 rows of gate and the same 8 of up
        const int width = step.down.inputs;
        for (int i = threadIdx.x; i < my_tiles * 8 * kTokens; i += kThreads) {
            const int row_in = i % 8, token = i / 8 % kTokens, tile = i / (8 * kTokens);
            const int index = (first + tile * gridDim.x) * 8 + row_in;
            if (index >= width) continue;
            const float gate = value(tile, row_in, token), up = value(tile, row_in + 8, token);
            step.activated[token * width + index] = gate / (1.0f + __expf(-gate)) * up;
        }
    }

    __device__ void finish_head(int first) {
        const int width = step.ranks * step.local_vocabulary;
        for (int i = threadIdx.x; i < my_tiles * kTileRows * kTokens; i += kThreads) {
            const int row_in = i % kTileRows, token = i / kTileRows % kTokens, tile = i / (kTileRows * kTokens);
            const int row = (first + tile * gridDim.x) * kTileRows + row_in;
            if (row >= step.local_vocabulary) continue;
            const float v = value(tile, row_in, token);
            for (int rank = 0; rank < step.ranks; ++rank) {
                step.logits[rank][static_cast<int64_t>(token) * width + step.rank * step.local_vocabulary + row] = v;
            }
        }
    }

    enum Kind { kQkv, kOut, kGateUp, kDown, kHead };

    __device__ __forceinline__ const Matrix& matrix_of(int kind) const {
        return kind == kQkv ? step.qkv : kind == kOut ? step.out : kind == kGateUp ? step.gate_up : kind == kDown ? step.down : step.head;
    }

    __device__ void run() {
        Turn turns_taken;
        const int64_t slab = static_cast<int64_t>(kTokens) * step.hidden;
        embed();
        arrive(true);
        for (int i = threadIdx.x; i < kTokens * (kDim / 2); i += kThreads) {
            const int token = i / (kDim / 2);
            shared.turns[i] = step.rotation[step.positions[token] * (kDim / 2) + i % (kDim / 2)];
        }
        if (threadIdx.x < kTokens) {
            const int token = threadIdx.x, slot = step.slots[token];
            int oldest = step.positions[token];
            for (int other = 0; other < kTokens; ++other) {
                if (step.slots[other] == slot) oldest = min(oldest, step.positions[other]);
            }
            shared.numbers[token] = step.positions[token];
            shared.numbers[kTokens + token] = slot;
            shared.numbers[2 * kTokens + token] = oldest;
        }
        const int products = 4 * step.layers + step.with_head;
#pragma unroll 1
        for (int number = 0; number < products; ++number) {
            const int layer = number / 4, kind = layer == step.layers ? kHead : number % 4;
            const Matrix& matrix = matrix_of(kind);
            const bool norm = kind == kQkv || kind == kGateUp || kind == kHead;
            const int first = turns_taken.first(matrix.tiles);
            plan(matrix, first);
            if (norm) {
                fetch_norm(kind == kHead ? step.final_norm : (kind == kQkv ? step.input_norm : step.post_norm) + static_cast<int64_t>(layer) * step.hidden);
            }
            fetch_scales(matrix, kind == kHead ? 0 : layer, first);
            Source source;
            source.splits = kind == kOut;
            source.parts = norm ? step.ranks : 1;
            source.width = kind == kDown ? step.down.inputs : kind == kOut ? step.heads * kDim : step.hidden;
            source.rows = kind == kDown ? step.activated : kind == kGateUp ? step.part_out[step.rank] : step.part_down[step.rank];
            source.before = kind == kGateUp ? step.x : norm && number ? step.x + slab : nullptr;
            wait(norm);
            quantize(source, matrix.stages, norm);
            product(matrix);
            if (kind == kQkv) {
                finish_qkv(layer, first);
            } else if (kind == kGateUp) {
                finish_gate_up(first);
            } else if (kind == kHead) {
                finish_head(first);
            } else {
                finish_part(first, kind == kOut);
            }
            if (kind == kQkv || kind == kGateUp) keep_residual(source, kind == kQkv ? step.x : step.x + slab);
            arrive(kind == kOut || kind == kDown || kind == kHead);
            if (kind == kQkv) {
                uint4 keys[kAtOnce], values[kAtOnce];
                start_attention(layer, keys, values);
                wait(false);
                attend(layer, keys, values);
                arrive(false);
            }
        }
        wait(true);
        if (blockIdx.x == 0 && threadIdx.x == 0) {
            step.generation[0] = grid_target;
            step.generation[1] = world_target;
        }
    }
};

}  // namespace step_kernel

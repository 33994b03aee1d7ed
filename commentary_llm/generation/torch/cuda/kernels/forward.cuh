// The whole pass of the threads that compute: embedding, layers, head. What comes of a product is finished by others.
#pragma once
#include "attention.cuh"

namespace decode {

template <int kMost, int kDim>
struct Forward : Attention<kMost, kDim> {
    using Base = Attention<kMost, kDim>;
    using Base::attend, Base::half, Base::kTokens, Base::kWarpsPerToken, Base::lane, Base::part, Base::product;
    using Base::quantize, Base::shared, Base::squares_of, Base::step, Base::warp;

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

    // The weights of the norm before a product, on their way while the round before it goes on.
    __device__ void fetch_norm(const Round& round) {
        if (round.kind > kHead || !round.opens || round.kind == kOut || round.kind == kDown) return;
        const int share = step.matrices[kQkv].chunks / kCluster * kChunkInputs;
        const float* norms = round.kind == kHead ? step.final_norm : round.kind == kQkv ? step.input_norm : step.post_norm;
        const float* norm = norms + static_cast<int64_t>(round.matrix_layer()) * step.hidden;
        const int begin = part * share, count4 = max(0, min(share, step.hidden - begin)) / 4;
#pragma unroll 1
        for (int i = threadIdx.x; i < count4; i += kThreads) copy_async(shared.norm + 4 * i, norm + begin + 4 * i);
    }

    __device__ void take_inputs(const Matrix& matrix, int kind, int layer) {
        typename Base::Source source;
        source.splits = kind == kOut && step.splits > 1;
        source.residual = kind != kOut && kind != kDown;
        source.first = kind == kQkv && layer == 0;
        source.parts = source.residual && !source.first ? step.ranks : 1;
        source.width = source.residual ? step.hidden : matrix.inputs;
        source.box = kind == kOut ? boxes.attended(layer) : kind == kDown ? boxes.activated(layer) : kind == kGateUp ? boxes.out(layer, step.rank) : boxes.down(layer - 1, step.rank);
        quantize(matrix, source);
    }

    __device__ void run() {
        Round round(shared.ring.tiles);
        fetch_norm(round);
        prepare();
        embed();
        uint32_t finished_parity = 0;
        for (bool first = true; round.kind <= kHead; first = false) {
            const Matrix& matrix = step.matrices[round.kind];
            half ^= 1;
            if (round.opens) {
                asm volatile("cp.async.wait_all;" ::: "memory");
                compute_sync();
                take_inputs(matrix, round.kind, round.layer);
            }
            // Sums that this round pushes overwrite those of the last round but one. They have been read in every block of
            // the cluster: the inputs taken above come of them, or else the tiles that were finished here last, since every
            // block waits here before it pushes its part of those.
            if (!first) {
                barrier_wait(shared.finished, finished_parity);
                finished_parity ^= 1;
            }
            if (lane == 0 && warp % kWarpsPerToken == 0) shared.own_squares[warp / kWarpsPerToken] = squares_of;
            compute_sync();
            inputs_read_arrive();
            const Round later = round.next(shared.ring.tiles, step.layers);
            fetch_norm(later);
            product(matrix, round.count, step.workers[round.kind]);
            if (round.kind == kQkv && later.kind != kQkv) {
                compute_sync();  // attention takes the digits' memory
                attend(round.layer, boxes);
            }
            round = later;
        }
    }
};

}  // namespace decode

// A block's place in the grid: barriers between blocks and ranks, and what can be fetched while waiting at one.
#pragma once
#include "device.cuh"

namespace step_kernel {

template <int kTokens, int kDim>
struct Block {
    static constexpr int kColumns = 2 * kTokens;
    static constexpr int kWarpsPerToken = kWarps / kTokens;
    const Step& step;
    Shared shared;
    int turn = 0;    // whose the next stage is
    int place;       // in the ring, of this warp's next stage
    int round = 0;   // parity of its barrier
    int my_tiles = 0;
    unsigned grid_target, world_target;
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int* positions;
    const int* slots;
    const float2* turns;  // (tokens, head_dim / 2)

    __device__ Block(const Step& s, const Shared& sh) : step(s), shared(sh) {
        place = warp;
        positions = shared.numbers;
        slots = shared.numbers + kTokens;
        turns = shared.turns;
        grid_target = step.generation[0];
        world_target = step.generation[1];
    }

    // Barriers come in two halves: between them a block fetches what the next phase reads and nobody writes.
    __device__ void arrive(bool world) {
        world &= step.ranks > 1;
        compute_sync();
        if (world) {
            world_target += gridDim.x * step.ranks;
            if (threadIdx.x < step.ranks) {
                asm volatile("red.release.sys.global.add.u32 [%0], 1;" ::"l"(step.world_arrivals[threadIdx.x]) : "memory");
            }
        } else {
            grid_target += gridDim.x;
            if (threadIdx.x == 0) {
                asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(step.grid_arrivals) : "memory");
            }
        }
    }

    __device__ void wait(bool world) {
        world &= step.ranks > 1;
        asm volatile("cp.async.wait_all;" ::: "memory");
        if (threadIdx.x == 0) {
            const unsigned* counter = world ? step.world_arrivals[step.rank] : step.grid_arrivals;
            const unsigned target = world ? world_target : grid_target;
            const long long started = clock64();
            while (static_cast<int>(load_acquire(counter, world) - target) < 0) {
                if (clock64() - started > kPatience) {
                    __trap();
                }  // another rank or block is gone: the launch fails
            }
        }
        compute_sync();
    }

    __device__ void fetch_norm(const float* norm) {
        for (int i = threadIdx.x; i < step.hidden / 4; i += kThreads) copy_async(shared.norm + 4 * i, norm + 4 * i);
    }

    __device__ void fetch_scales(const Matrix& matrix, int layer, int first) {
        const float* scales = matrix.scales + (static_cast<int64_t>(layer) * matrix.tiles + first) * kTileRows;
        for (int i = threadIdx.x; i < my_tiles * 4; i += kThreads) {
            copy_async(shared.row_scales + 4 * i, scales + static_cast<int64_t>(i / 4) * gridDim.x * kTileRows + i % 4 * 4);
        }
    }

    __device__ void plan(const Matrix& matrix, int first) {
        my_tiles = first < matrix.tiles ? (matrix.tiles - first + gridDim.x - 1) / gridDim.x : 0;
    }

    __device__ __half* cache_at(int layer, int slot, int head, int kind) const {
        const int64_t row = ((static_cast<int64_t>(layer) * step.cache_slots + slot) * step.kv_heads + head) * 2 + kind;
        return step.cache + row * step.max_context * kDim;
    }
};

}  // namespace step_kernel

// The weights' way into shared memory: one warp copies them in the order of their use, as far ahead as the ring reaches.
#pragma once
#include "device.cuh"

namespace decode {

// The tiles of a matrix that a cluster multiplies: a run of neighbours.
template <int kCluster>
struct Tiles {
    int first, count;
    __device__ Tiles(const Matrix& matrix) {
        const int cluster = blockIdx.x / kCluster, clusters = gridDim.x / kCluster;
        first = static_cast<int>(static_cast<int64_t>(cluster) * matrix.tiles / clusters);
        count = static_cast<int>(static_cast<int64_t>(cluster + 1) * matrix.tiles / clusters) - first;
    }
};

struct Ring {
    uint8_t* stages;
    uint64_t* full;
    uint64_t* empty;
};

template <int kCluster>
struct Producer {
    const Ring ring;
    const int ring_stages, in_flight;
    uint32_t stage = 0;
    uint64_t policy;

    __device__ Producer(const Ring& r, const Step& step) : ring(r), ring_stages(step.ring_stages), in_flight(step.copies_in_flight) {
        asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    }

    __device__ void stream(const Matrix& matrix, int layer) {
        const Tiles<kCluster> tiles(matrix);
        const int bytes = matrix.chunks / kCluster * kChunkBytes;  // of a tile, this block's part
        const int8_t* tile = matrix.weights + ((static_cast<int64_t>(layer) * matrix.tiles + tiles.first) * kCluster + cluster_rank()) * bytes;
        for (int i = 0; i < tiles.count; ++i, tile += static_cast<int64_t>(kCluster) * bytes) {
            for (int done = 0; done < bytes; done += kStageBytes, ++stage) copy(tile + done, min(kStageBytes, bytes - done));
        }
    }

    __device__ __forceinline__ void copy(const int8_t* from, int bytes) {
        const uint32_t place = stage % ring_stages, round = stage / ring_stages;
        if (round) barrier_wait(&ring.empty[place], (round - 1) & 1);
        if (static_cast<int>(stage) >= in_flight) {
            const uint32_t earlier = stage - in_flight;
            barrier_wait(&ring.full[earlier % ring_stages], (earlier / ring_stages) & 1);
        }
        barrier_expect(&ring.full[place], bytes);
        asm volatile(
            "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1], %2, [%3], %4;" ::"r"(
                shared_address(ring.stages + place * kStageBytes)),
            "l"(from), "r"(bytes), "r"(shared_address(&ring.full[place])), "l"(policy) : "memory");
    }
};

}  // namespace decode

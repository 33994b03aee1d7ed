// The way of weights, and of old keys and values, into shared memory: one thread copies them in the order of their use, as
// far ahead as the ring reaches.
#pragma once
#include "rounds.cuh"

namespace decode {

struct Ring {
    const Tiles* tiles;  // of each kind of product, this cluster's
    uint8_t* stages;
    uint64_t* full;      // two of a place, used in turn: who waits at one has seen the round before the last come to its end
    uint64_t* empty;
};

// A stage of the stream: where in the ring it lies, and how often the ring has been gone around before.
struct Place {
    int place = 0, around = 0;

    __device__ __forceinline__ void advance(int stages, int ring_stages) {
        place += stages;
        while (place >= ring_stages) {
            place -= ring_stages;
            ++around;
        }
    }
};

// A thread needs some 100 cycles for a copy, so it does nothing but wait for the place and start it.
struct Producer {
    const Ring ring;
    const uint32_t places;
    uint32_t place = 0, parity = 1;  // of the round before; a new barrier's round before the first counts as over
    uint64_t policy;

    __device__ Producer(const Ring& r, const Step& step) : ring(r), places(step.ring_stages) {
        asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    }

    __device__ void stream(const Matrix& matrix, int kind, int layer) {
        const Tiles tiles = ring.tiles[kind];
        const int bytes = matrix.chunks / kCluster * kChunkBytes;  // of a tile, this block's part
        const int8_t* tile = matrix.weights + ((static_cast<int64_t>(layer) * matrix.tiles + tiles.first) * kCluster + cluster_rank()) * bytes;
        for (int i = 0; i < tiles.count; ++i, tile += static_cast<int64_t>(kCluster) * bytes) {
            for (int done = 0; done < bytes; done += kStageBytes) copy(tile + done, min(kStageBytes, bytes - done));
        }
    }

    __device__ __forceinline__ void copy(const void* from, int bytes) {
        barrier_wait(&ring.empty[place], parity);
        uint64_t* full = &ring.full[parity ? place : places + place];
        barrier_expect(full, bytes);
        asm volatile(
            "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1], %2, [%3], %4;" ::"r"(
                shared_address(ring.stages + place * kStageBytes)),
            "l"(from), "r"(bytes), "r"(shared_address(full)), "l"(policy) : "memory");
        const bool around = place == places - 1;
        place = around ? 0 : place + 1;
        parity ^= around;
    }
};

}  // namespace decode

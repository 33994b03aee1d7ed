// Between ranks: every rank stores its part into every rank's memory, then counts its blocks in on every rank.
//
// `parts` has two halves, used in turn. Two suffice: a rank stores for exchange n + 2, into the half of exchange n, in a
// kernel that comes after its wait for exchange n + 1; that wait ends when every rank has arrived there, and a rank
// arrives there in a kernel that comes after the one that read exchange n. For the same reason a pass may overwrite
// logits that the kernel after the last pass has read.
//
// Kernels that wait have at most kWaitingBlocks blocks, all of which store and arrive before any waits: they cannot be
// waiting for one of their own that has found no place, and ranks may share a GPU (as in tests).
#pragma once
#include "prefill_common.cuh"

namespace prefill {

constexpr int kWaitingBlocks = 64;

// Counts this block in on every rank. What its threads have stored is visible to whoever has seen the count.
__device__ __forceinline__ void arrive(const Pass& pass) {
    __syncthreads();
    if (threadIdx.x < pass.ranks) {
        asm volatile("red.release.sys.global.add.u32 [%0], 1;" ::"l"(pass.arrivals[threadIdx.x]) : "memory");
    }
}

// Waits until all blocks of all ranks have arrived. Traps, and so fails the pass, when a rank stays away.
__device__ __forceinline__ void wait(const Pass& pass) {
    if (threadIdx.x == 0) {
        const long long started = clock64();
        unsigned count;
        while (true) {
            asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(count) : "l"(pass.arrivals[pass.rank]) : "memory");
            if (static_cast<int>(count - pass.arrived) >= 0) break;
            if (clock64() - started > kPatience) __trap();
        }
    }
    __syncthreads();
}

__device__ __forceinline__ float* part_of(const Pass& pass, int holder, int rank, int row) {
    const int64_t half = pass.exchanges & 1;
    return pass.parts[holder] + ((half * pass.ranks + rank) * pass.max_tokens + row) * pass.hidden;
}

}  // namespace prefill

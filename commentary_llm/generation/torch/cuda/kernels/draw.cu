// Draws tokens from whole rows of logits, one block a draw; the same on every rank, since every rank has the same rows.
// The rules are those of `commentary_llm.generation.sampling`, which a CPU follows; sums are made in a fixed order.
#include <cfloat>

#include "mailbox.cuh"

namespace decode {

constexpr int kDrawThreads = 1024;
constexpr int kMaxDraws = 16;
constexpr int kProbes = 4;  // thresholds tried in one pass over the probabilities

struct SlotState {  // how a slot's sequence draws
    unsigned long long seed;
    float temperature, top_p, penalty;
    int candidate;
    int drawn;  // tokens so far
    int unused;
};

struct Drawn {
    int token;
    float logprob;
};

struct Draws {
    const float* logits;   // (rows, width)
    SlotState* states;     // (slots)
    uint8_t* seen;         // (slots, vocabulary): 1 for tokens of the prompt and drawn ones
    int* tokens;           // (slots): each slot's newest token
    Drawn* drawn;          // (count), in memory of the host
    float* scratch;        // (count, vocabulary) for vocabularies that shared memory cannot hold, else null
    int rows[kMaxDraws];
    int slots[kMaxDraws];
    int width, vocabulary, count;
    int empty_rows;        // leave the rows as an empty mailbox, for the next step
};

// splitmix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators"), its finaliser twice.
__device__ __forceinline__ float uniform(unsigned long long seed, unsigned candidate, unsigned index) {
    unsigned long long x = seed * 0x9E3779B97F4A7C15ull + candidate * 0xBF58476D1CE4E5B9ull + (index + 1ull) * 0x94D049BB133111EBull;
#pragma unroll
    for (int round = 0; round < 2; ++round) {
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
        x ^= x >> 31;
    }
    return static_cast<float>(x >> 40) * 0x1p-24f;
}

struct Best {
    float value;
    int id;
    __device__ __forceinline__ void take(float other, int other_id) {
        if (other > value || (other == value && other_id < id)) {
            value = other;
            id = other_id;
        }
    }
};

struct Block {
    float (*sums)[kProbes + 1];
    Best* bests;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;

    // Each of the block's sums on every thread.
    template <int kCount>
    __device__ void sum(float (&values)[kCount]) const {
#pragma unroll
        for (int i = 0; i < kCount; ++i) {
#pragma unroll
            for (int d = 16; d; d >>= 1) values[i] += __shfl_xor_sync(~0u, values[i], d);
        }
        if (lane == 0) {
            for (int i = 0; i < kCount; ++i) sums[warp][i] = values[i];
        }
        __syncthreads();
#pragma unroll
        for (int i = 0; i < kCount; ++i) {
            values[i] = sums[lane][i];
#pragma unroll
            for (int d = 16; d; d >>= 1) values[i] += __shfl_xor_sync(~0u, values[i], d);
        }
        __syncthreads();
    }

    __device__ Best best(Best mine) const {
#pragma unroll
        for (int d = 16; d; d >>= 1) mine.take(__shfl_xor_sync(~0u, mine.value, d), __shfl_xor_sync(~0u, mine.id, d));
        if (lane == 0) bests[warp] = mine;
        __syncthreads();
        mine = bests[lane];
#pragma unroll
        for (int d = 16; d; d >>= 1) mine.take(__shfl_xor_sync(~0u, mine.value, d), __shfl_xor_sync(~0u, mine.id, d));
        __syncthreads();
        return mine;
    }

    // What threads before this one have, and what all have.
    __device__ float2 before(float mine) const {
        float upto = mine;
#pragma unroll
        for (int d = 1; d < 32; d <<= 1) {
            const float other = __shfl_up_sync(~0u, upto, d);
            if (lane >= d) upto += other;
        }
        if (lane == 31) sums[warp][0] = upto;
        __syncthreads();
        float warps = sums[lane][0];
#pragma unroll
        for (int d = 1; d < 32; d <<= 1) {
            const float other = __shfl_up_sync(~0u, warps, d);
            if (lane >= d) warps += other;
        }
        const float all = __shfl_sync(~0u, warps, 31), earlier = __shfl_sync(~0u, warps, (warp + 31) % 32);
        __syncthreads();
        return make_float2((warp ? earlier : 0.0f) + upto - mine, all);
    }
};

__global__ void __launch_bounds__(kDrawThreads, 1) draw(const __grid_constant__ Draws draws) {
    extern __shared__ float in_shared[];
    __shared__ float sums[32][kProbes + 1];
    __shared__ Best bests[32];
    __shared__ int finder, chosen;
    const Block block{sums, bests};
    const int number = blockIdx.x, slot = draws.slots[number], vocabulary = draws.vocabulary;
    float* values = draws.scratch ? draws.scratch + static_cast<int64_t>(number) * vocabulary : in_shared;
    float* logits = const_cast<float*>(draws.logits) + static_cast<int64_t>(draws.rows[number]) * draws.width;
    const SlotState state = draws.states[slot];
    const uint8_t* seen = draws.seen + static_cast<int64_t>(slot) * vocabulary;
    // A thread's run of neighbouring ids; an odd length, so that a warp's accesses fall into different banks.
    const int share = (vocabulary + kDrawThreads - 1) / kDrawThreads | 1;
    const int begin = min(static_cast<int>(threadIdx.x) * share, vocabulary), end = min(begin + share, vocabulary);

    constexpr int kAtOnce = 8;
    for (int base = threadIdx.x; base < vocabulary; base += kAtOnce * kDrawThreads) {
        float read[kAtOnce];
        Patience patience;
        bool all;
        do {
            all = true;
#pragma unroll
            for (int i = 0; i < kAtOnce; ++i) {
                if (base + i * kDrawThreads < vocabulary) asm volatile("ld.volatile.global.f32 %0, [%1];" : "=f"(read[i]) : "l"(logits + base + i * kDrawThreads) : "memory");
            }
#pragma unroll
            for (int i = 0; i < kAtOnce; ++i) {
                if (base + i * kDrawThreads < vocabulary) all &= __float_as_uint(read[i]) != kEmpty;
            }
            if (!all) patience.wait();
        } while (!all);
#pragma unroll
        for (int i = 0; i < kAtOnce; ++i) {
            if (base + i * kDrawThreads < vocabulary) values[base + i * kDrawThreads] = read[i];
        }
    }
    if (threadIdx.x == 0) finder = kDrawThreads;
    __syncthreads();

    Best top{-FLT_MAX, vocabulary};
    for (int id = begin; id < end; ++id) top.take(values[id], id);
    const float highest = block.best(top).value;
    float exponentials[1] = {0.0f};
    Best wanted{-FLT_MAX, vocabulary};
    const bool greedy = state.temperature == 0.0f;
    const float coolness = greedy ? 1.0f : 1.0f / state.temperature;
    for (int id = begin; id < end; ++id) {
        float v = values[id];
        exponentials[0] += __expf(v - highest);
        if (state.penalty != 1.0f && seen[id]) v = v > 0.0f ? v / state.penalty : v * state.penalty;
        values[id] = v * coolness;
        wanted.take(values[id], id);
    }
    block.sum(exponentials);
    wanted = block.best(wanted);
    int token = min(wanted.id, vocabulary - 1);  // rows of NaN have no best
    if (!greedy) {
        float mass[1] = {0.0f};
        for (int id = begin; id < end; ++id) {
            values[id] = __expf(values[id] - wanted.value);
            mass[0] += values[id];
        }
        block.sum(mass);
        // The nucleus is what is at least as likely as a threshold: the highest that leaves a mass of top_p.
        unsigned low = 0, high = __float_as_uint(1.0f) + 1;
        const float needed = state.top_p * mass[0];
        while (state.top_p < 1.0f && high - low > 1) {
            unsigned probes[kProbes];
            float above[kProbes + 1] = {};  // and the count of those between low and high
#pragma unroll
            for (int i = 0; i < kProbes; ++i) probes[i] = low + max(1u, static_cast<unsigned>(static_cast<unsigned long long>(high - low) * (i + 1) / (kProbes + 1)));
            for (int id = begin; id < end; ++id) {
                const float p = values[id];
                const unsigned bits = __float_as_uint(p);
#pragma unroll
                for (int i = 0; i < kProbes; ++i) above[i] += bits >= probes[i] ? p : 0.0f;
                above[kProbes] += bits >= low && bits < high ? 1.0f : 0.0f;
            }
            block.sum(above);
            if (above[kProbes] <= 1.0f) break;
#pragma unroll
            for (int i = 0; i < kProbes; ++i) {
                if (above[i] >= needed) low = max(low, probes[i]);
            }
#pragma unroll
            for (int i = kProbes - 1; i >= 0; --i) {
                if (above[i] < needed && probes[i] > low) high = min(high, probes[i]);
            }
        }
        float mine = 0.0f;
        for (int id = begin; id < end; ++id) mine += __float_as_uint(values[id]) >= low ? values[id] : 0.0f;
        const float2 reached = block.before(mine);
        const float target = uniform(state.seed, state.candidate, state.drawn) * reached.y;
        // The first thread whose run ends beyond the target, whatever rounding did to the runs' ends: every rank finds it.
        if (mine > 0.0f && target < reached.x + mine) atomicMin(&finder, threadIdx.x);
        __syncthreads();
        if (threadIdx.x == finder) {
            float upto = reached.x;
            for (int id = begin; id < end && upto <= target; ++id) {
                if (__float_as_uint(values[id]) < low) continue;
                upto += values[id];
                chosen = id;
            }
        }
        __syncthreads();
        if (finder < kDrawThreads) token = chosen;
    }
    if (threadIdx.x == 0) {
        float logit;
        asm volatile("ld.volatile.global.f32 %0, [%1];" : "=f"(logit) : "l"(logits + token) : "memory");
        draws.drawn[number] = {token, logit - highest - logf(exponentials[0])};
        draws.tokens[slot] = token;
        draws.seen[static_cast<int64_t>(slot) * vocabulary + token] = 1;
        draws.states[slot].drawn = state.drawn + 1;
    }
    if (draws.empty_rows) {
        __syncthreads();
        for (int id = threadIdx.x; id < draws.width; id += kDrawThreads) write_box(logits + id, __uint_as_float(kEmpty));
    }
}

}  // namespace decode

using namespace decode;

extern "C" {

int draws_bytes() { return sizeof(Draws); }

int draws_state_bytes() { return sizeof(SlotState); }

// The largest vocabulary that needs no scratch memory.
int draws_most_in_shared() {
    int device = 0, bytes = 0;
    cudaGetDevice(&device);
    cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
    return (bytes - 2048) / static_cast<int>(sizeof(float));
}

// Queues `draws.count` draws on `stream`. Returns a cudaError_t.
int draws_launch(const void* parameters, void* stream) {
    const Draws& draws = *static_cast<const Draws*>(parameters);
    const int bytes = draws.scratch ? 0 : draws.vocabulary * static_cast<int>(sizeof(float));
    cudaError_t error = cudaFuncSetAttribute(draw, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    if (error != cudaSuccess) return error;
    draw<<<draws.count, kDrawThreads, bytes, static_cast<cudaStream_t>(stream)>>>(draws);
    return cudaGetLastError();
}
}

// Constants, data layouts and single instructions of the step kernel.
#pragma once
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <stdint.h>

namespace step_kernel {

constexpr int kWarps = 16;                 // that compute; one more streams weights
constexpr int kThreads = 32 * kWarps;      // that compute
constexpr int kBlock = kThreads + 32;
constexpr int kTileRows = 16;
constexpr int kStageK = 512;               // inputs of a stage: 16 rows x 512 bytes
constexpr int kStageBytes = kTileRows * kStageK;
constexpr int kMaxRanks = 8;
constexpr long long kPatience = 4'000'000'000;  // clock cycles, about 2 s
constexpr float kSecondDigit = 254.0f;

// An INT8 matrix of every layer: (layers, tiles, stages, 8192) bytes in fragment order, scales (layers, tiles * 16).
struct Matrix {
    const int8_t* weights;
    const float* scales;
    int tiles;
    int stages;    // of 512 inputs, the last one padded with zeros
    int inputs;    // unpadded
};

struct Step {
    Matrix qkv, out, gate_up, down, head;
    const int8_t* embedding;         // (local_vocabulary, hidden)
    const float* embedding_scale;
    const float* input_norm;         // (layers, hidden)
    const float* post_norm;
    const float* final_norm;
    const float2* rotation;          // (max_context, head_dim / 2): cos, sin
    __half* cache;                   // (layers, slots, kv_heads, 2, max_context, head_dim)
    float* x;                        // (2, tokens, hidden)
    float* query;                    // (tokens, heads * head_dim)
    float* activated;                // (tokens, intermediate)
    float* split_sums;               // (tokens * heads, splits, head_dim + 4): outputs, top, mass
    float* part_out[kMaxRanks];      // on each rank (ranks, tokens, hidden)
    float* part_down[kMaxRanks];
    float* logits[kMaxRanks];        // on each rank (tokens, ranks * local_vocabulary)
    unsigned* world_arrivals[kMaxRanks];
    unsigned* grid_arrivals;
    unsigned* generation;            // (2): arrivals expected so far of the grid's and of the world's barriers
    const int* token_ids;            // (tokens)
    const int* positions;
    const int* slots;
    int layers, hidden, heads, kv_heads, max_context, cache_slots, splits;
    int rank, ranks, first_id, local_vocabulary, with_head, ring_stages, copies_in_flight;
    float epsilon;
};

__device__ __forceinline__ uint32_t shared_address(const void* pointer) {
    return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

__device__ __forceinline__ void barrier_init(uint64_t* barrier, int count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(count));
}

__device__ __forceinline__ void barrier_expect(uint64_t* barrier, int bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)), "r"(bytes) : "memory");
}

__device__ __forceinline__ void barrier_arrive(uint64_t* barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}

__device__ __forceinline__ void barrier_wait(uint64_t* barrier, uint32_t parity) {
    asm volatile(
        "{\n.reg .pred done;\n"
        "again: mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
        "@done bra finished;\nbra again;\nfinished:\n}" ::"r"(shared_address(barrier)), "r"(parity) : "memory");
}

__device__ __forceinline__ void compute_sync() { asm volatile("bar.sync 1, %0;" ::"n"(kThreads) : "memory"); }

__device__ __forceinline__ void multiply(int (&sum)[4], const uint4& a, uint2 b) {
    asm volatile(
        "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+r"(sum[0]), "+r"(sum[1]), "+r"(sum[2]), "+r"(sum[3])
        : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b.x), "r"(b.y));
}

__device__ __forceinline__ unsigned load_acquire(const unsigned* address, bool world) {
    unsigned value;
    if (world) {
        asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(value) : "l"(address) : "memory");
    } else {
        asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(address) : "memory");
    }
    return value;
}

// Written by other blocks in this launch: L1 may hold an older value.
__device__ __forceinline__ float4 load_fresh(const float* address) { return __ldcg(reinterpret_cast<const float4*>(address)); }

__device__ __forceinline__ void copy_async(void* to, const void* from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)), "l"(from) : "memory");
}

struct Shared {
    uint8_t* ring;
    uint64_t* full;
    uint64_t* empty;
    uint8_t* digits;   // (chunks of 32 inputs, 2 * tokens, 32)
    int* sums;         // (tiles, 16, 2 * tokens)
    float* reduce;     // (kWarps, 2)
    float* scales;     // (tokens)
    float* norm;       // (hidden)
    float* row_scales; // (tiles, 16)
    int* numbers;      // positions, slots, first positions of this step in the same slot (3, tokens)
    float2* turns;     // (tokens, head_dim / 2)
};

// Which tiles of a matrix are this block's: first, first + blocks, …; the start moves on so that blocks share evenly.
struct Turn {
    int offset = 0;
    __device__ int first(int tiles) {
        const int blocks = gridDim.x;
        const int mine = (static_cast<int>(blockIdx.x) - offset + blocks) % blocks;
        offset = (offset + tiles) % blocks;
        return mine;
    }
};

__device__ __forceinline__ void stream(const Shared& shared, const Matrix& matrix, int layer, int first, int ring_stages, int in_flight,
                                       uint32_t& stage, uint64_t policy) {
    const int8_t* base = matrix.weights + static_cast<int64_t>(layer) * matrix.tiles * matrix.stages * kStageBytes;
    for (int tile = first; tile < matrix.tiles; tile += gridDim.x) {
        const int8_t* source = base + static_cast<int64_t>(tile) * matrix.stages * kStageBytes;
        for (int part = 0; part < matrix.stages; ++part, ++stage) {
            const uint32_t slot = stage % ring_stages, round = stage / ring_stages;
            if (round) barrier_wait(&shared.empty[slot], (round - 1) & 1);
            if (static_cast<int>(stage) >= in_flight) {
                const uint32_t done = stage - in_flight;
                barrier_wait(&shared.full[done % ring_stages], (done / ring_stages) & 1);
            }
            barrier_expect(&shared.full[slot], kStageBytes);
            asm volatile(
                "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1], %2, [%3], %4;" ::"r"(
                    shared_address(shared.ring + slot * kStageBytes)),
                "l"(source + static_cast<int64_t>(part) * kStageBytes), "r"(kStageBytes), "r"(shared_address(&shared.full[slot])),
                "l"(policy) : "memory");
        }
    }
}

}  // namespace step_kernel

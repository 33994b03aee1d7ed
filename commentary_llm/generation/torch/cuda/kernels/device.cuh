// Constants, what a launch is told, and single instructions.
#pragma once
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <stdint.h>

namespace decode {

constexpr int kWarps = 8;                  // that compute: few, so that nothing is pushed out of their registers
constexpr int kThreads = 32 * kWarps;      // that compute
constexpr int kFinishWarps = 3;            // that join a cluster's sums, hand the results on and empty mailboxes
constexpr int kFinishThreads = 32 * kFinishWarps;
constexpr int kBlock = kThreads + 32 + kFinishThreads;  // one warp more streams weights
constexpr int kTileRows = 16;
constexpr int kChunkInputs = 32;
constexpr int kChunkBytes = kTileRows * kChunkInputs;
constexpr int kStageChunks = 16;
constexpr int kStageBytes = kStageChunks * kChunkBytes;  // of the ring; one copy from memory
constexpr int kRoundTiles = 24;            // tiles of a cluster whose sums fit shared memory at once
constexpr int kSquareTurns = 3;            // places of the sums of squares
constexpr int kMaxTokens = 8;
// Blocks of a cluster; each takes its part of every product's inputs. Clusters of two would use every multiprocessor (of four,
// 120 to 128 of a Hopper's 132), but to make the digits of the inputs takes longer in halves than in quarters.
constexpr int kCluster = 4;
constexpr int kMaxRanks = 8;
constexpr int kPatience = 1 << 22;  // looks at a mailbox, of some 700 cycles each: about 2 s
constexpr float kSecondDigit = 254.0f;
// No arithmetic yields it: NVIDIA's own NaN is 0x7fffffff. A word of a mailbox that holds it has not been written yet.
constexpr unsigned kEmpty = 0xffffffffu;

// An INT8 matrix of every layer: (layers, tiles, chunks, 512) bytes in fragment order, scales (layers, tiles * 16).
struct Matrix {
    const int8_t* weights;
    const float* scales;
    int tiles;
    int chunks;    // a multiple of kCluster, padded with zeros
    int inputs;    // unpadded
};

enum Kind { kQkv, kOut, kGateUp, kDown, kHead, kCache };  // in the order of Step's matrices, and what streams beside them

// Mailboxes have two halves, used in turn. Those of several ranks are written by all of them, read by their own.
struct Step {
    Matrix matrices[5];              // see Kind
    const int8_t* embedding;         // (local_vocabulary, hidden)
    const float* embedding_scale;
    const float* input_norm;         // (layers, hidden)
    const float* post_norm;
    const float* final_norm;
    const float2* rotation;          // (max_context, head_dim / 2): cos, sin
    __half* cache;                   // (layers, slots, kv_heads, 2, max_context, head_dim)
    const int* tokens;               // (slots): each slot's newest token
    float* heads_box;                // (2, kMaxTokens, rows of qkv): turned queries and keys, values
    float* attended_box;             // (2, kMaxTokens * heads, head_dim + 4): of every split output, top, mass; see Boxes::split_width
    float* activated_box;            // (2, kMaxTokens, intermediate)
    float* out_box[kMaxRanks];       // on each rank (2, ranks, kMaxTokens, hidden)
    float* down_box[kMaxRanks];      // the same; the embedding comes through it too
    float* logits[kMaxRanks];        // on each rank (kMaxTokens, ranks * local_vocabulary)
    int positions[kMaxTokens];
    int slots[kMaxTokens];
    int count;                       // tokens of this step
    int count_before;                // and of the step before
    int layers, hidden, head_dim, heads, kv_heads, max_context, cache_slots, splits;
    int rank, ranks, first_id, local_vocabulary;
    int layer_half, down_half;       // halves of the mailboxes that the first use in this step takes
    int ring_stages;
    int workers[6];                  // warps that share out what streams of each kind
    float epsilon;
};

__device__ __forceinline__ uint32_t shared_address(const void* pointer) {
    return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

__device__ __forceinline__ uint32_t cluster_rank() {
    uint32_t rank;
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}

__device__ __forceinline__ uint32_t in_block(uint32_t address, uint32_t block) {  // the same place in another block
    uint32_t mapped;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(mapped) : "r"(address), "r"(block));
    return mapped;
}

// Into the memory of a block of the cluster; its barrier there counts the bytes when they have come.
__device__ __forceinline__ void push(uint32_t to, float v, uint32_t barrier) {
    asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.f32 [%0], %1, [%2];" ::"r"(to), "f"(v), "r"(barrier) : "memory");
}

__device__ __forceinline__ void push(uint32_t to, const float (&v)[2], uint32_t barrier) {
    asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.v2.f32 [%0], {%1, %2}, [%3];" ::"r"(to), "f"(v[0]), "f"(v[1]), "r"(barrier) : "memory");
}

__device__ __forceinline__ void push(uint32_t to, const float (&v)[4], uint32_t barrier) {
    asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.v4.f32 [%0], {%1, %2, %3, %4}, [%5];" ::"r"(to), "f"(v[0]), "f"(v[1]), "f"(v[2]), "f"(v[3]), "r"(barrier) : "memory");
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

// A launch fails rather than hang when another rank or block is gone.
struct Patience {
    int tries = 0;
    __device__ __forceinline__ void wait() {
        if (++tries > kPatience) __trap();
    }
};

// A parity tells only neighbouring rounds of a barrier apart: who waits must know that the round before is over.
__device__ __forceinline__ void barrier_wait(uint64_t* barrier, uint32_t parity) {
    Patience patience;
    for (uint32_t done = 0;;) {
        asm volatile(
            "{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
            : "=r"(done) : "r"(shared_address(barrier)), "r"(parity) : "memory");
        if (done) return;
        patience.wait();
    }
}

// Waits for what other blocks of the cluster push. The plain wait would acquire for global memory too, and empty L1.
__device__ __forceinline__ void barrier_wait_pushed(uint64_t* barrier, uint32_t parity) {
    Patience patience;
    for (uint32_t done = 0;;) {
        asm volatile(
            "{\n.reg .pred p;\nmbarrier.try_wait.parity.relaxed.cluster.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
            : "=r"(done) : "r"(shared_address(barrier)), "r"(parity) : "memory");
        if (done) break;
        patience.wait();
    }
    asm volatile("fence.acquire.sync_restrict::shared::cluster.cluster;" ::: "memory");
}

// Named barriers: the threads that compute; those that finish; the former telling the latter that inputs have been read.
__device__ __forceinline__ void compute_sync() { asm volatile("bar.sync 1, %0;" ::"n"(kThreads) : "memory"); }
__device__ __forceinline__ void finish_sync() { asm volatile("bar.sync 2, %0;" ::"n"(kFinishThreads) : "memory"); }
__device__ __forceinline__ void inputs_read_arrive() { asm volatile("bar.arrive 3, %0;" ::"n"(kThreads + kFinishThreads) : "memory"); }
__device__ __forceinline__ void inputs_read_sync() { asm volatile("bar.sync 3, %0;" ::"n"(kThreads + kFinishThreads) : "memory"); }

__device__ __forceinline__ void multiply(int (&sum)[4], const uint4& a, uint2 b) {
    asm volatile(
        "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+r"(sum[0]), "+r"(sum[1]), "+r"(sum[2]), "+r"(sum[3])
        : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b.x), "r"(b.y));
}

__device__ __forceinline__ void copy_async(void* to, const void* from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)), "l"(from) : "memory");
}

}  // namespace decode

// One decode step of LLaMA for up to 8 sequences as a single persistent kernel, one block a multiprocessor.
//
// The weights of a rank, and old keys and values, are read once, in the order they are needed, by one thread a block that
// runs ahead of the arithmetic as far as its ring of shared memory reaches (they depend on nothing): while blocks wait for each
// other's numbers between the products of a layer, memory keeps streaming.
//
//   embed ═▶ [ norm, qkv, rope, cache write ─▶ attention ─▶ out ═▶ norm, gate/up, silu ─▶ down ═▶ ] x layers ═▶ norm, head ═▶
//            ─▶ to this rank's blocks      ═▶ to every rank's blocks (mailbox.cuh); there is no barrier
//
// Blocks form clusters of four. A cluster multiplies some neighbouring tiles of rows, each of its blocks a part of
// the inputs: a block prepares only that part of the activations, and keeps only that part of the residual stream. The
// parts of a tile's sums go through distributed shared memory to one block of the cluster, where warps of their own join
// them and hand the results on, tile by tile, while the others multiply.
//
// Products are exact INT8: a block's part of an activation row is two INT8 digits, x = scale * (d0 + d1 / 254),
// scale = max|x| / 127; digits are columns of m16n8k32 tensor-core products, sums are int32.
#include <algorithm>
#include <iterator>

#include "finish.cuh"
#include "forward.cuh"

namespace decode {

template <int kTokens, int kDim>
__global__ void __launch_bounds__(kBlock, 1) forward(const __grid_constant__ Step step, int digit_bytes) {
    extern __shared__ __align__(128) uint8_t memory[];
    __shared__ Tiles tiles[5];
    const int share = step.matrices[kQkv].chunks / kCluster * kChunkInputs;
    Shared shared;
    shared.ring.tiles = tiles;
    shared.ring.stages = memory;
    shared.digits = memory + step.ring_stages * kStageBytes;
    shared.sums = reinterpret_cast<float*>(shared.digits + digit_bytes);
    shared.residual = shared.sums + 2 * kRoundTiles * kTileRows * kTokens;
    shared.norm = shared.residual + kTokens * share;
    shared.turns = reinterpret_cast<float2*>(shared.norm + share);
    shared.reduce = shared.turns + kTokens * (kDim / 2);
    shared.squares = reinterpret_cast<float*>(shared.reduce + kWarps);
    shared.own_squares = shared.squares + kSquareTurns * kCluster * kTokens;
    shared.factors = shared.own_squares + kTokens;
    shared.ring.full = reinterpret_cast<uint64_t*>(shared.factors + kTokens);
    shared.ring.empty = shared.ring.full + 2 * step.ring_stages;
    shared.summed = shared.ring.empty + step.ring_stages;
    shared.squared = shared.summed + 2 * SumLayout<kTokens>::kSlots;
    shared.finished = shared.squared + kSquareTurns;
    if (threadIdx.x < 5) tiles[threadIdx.x] = tiles_of(step.matrices[threadIdx.x], blockIdx.x / kCluster, gridDim.x / kCluster);
    if (threadIdx.x == 0) {
        for (int i = 0; i < step.ring_stages; ++i) {
            barrier_init(&shared.ring.full[i], 1);
            barrier_init(&shared.ring.full[step.ring_stages + i], 1);
            barrier_init(&shared.ring.empty[i], 1);
        }
        for (int i = 0; i < 2 * SumLayout<kTokens>::kSlots + kSquareTurns; ++i) barrier_init(&shared.summed[i], 1);  // and squared
        barrier_init(shared.finished, kFinishWarps);
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    asm volatile("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;" ::: "memory");
    if (threadIdx.x >= kThreads) {
        if (threadIdx.x == kThreads) {
            Producer producer(shared.ring, step);
            for (int number = 0; number <= 4 * step.layers; ++number) {
                const int layer = number / 4, kind = number % 4;
                const bool head = layer == step.layers;
                producer.stream(step.matrices[head ? kHead : kind], head ? kHead : kind, head ? 0 : layer);
                if (kind == kQkv && !head) Attention<kTokens, kDim>::stream(producer, step, layer);
            }
        } else if (threadIdx.x >= kBlock - kFinishThreads) {
            Finish<kTokens, kDim>(step, shared).run();
        }
    } else {
        Forward<kTokens, kDim>(step, shared).run();
    }
}

int round_up(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }

// How a multiprocessor's shared memory is divided: what activations and sums leave belongs to the ring of weights.
struct Plan {
    int digit_bytes, bytes, ring_stages;
    int workers[6];

    Plan(const Step& step, int tokens, int head_dim, int shared_bytes) {
        int chunks = 0;
        for (const Matrix& matrix : step.matrices) chunks = std::max(chunks, matrix.chunks);
        digit_bytes = round_up(std::max(chunks / kCluster * kChunkInputs * 2 * tokens, 4 * kWarps * (head_dim + 2)), 128);
        const int share = step.matrices[kQkv].chunks / kCluster * kChunkInputs;
        const int words = 2 * kRoundTiles * kTileRows * tokens + tokens * share + share + tokens * head_dim + 2 * kWarps +
                          (kSquareTurns * kCluster + 2) * tokens;
        const int barriers = 2 * (kRoundTiles / kCluster) + kSquareTurns + 1;
        const int fixed = digit_bytes + 4 * words + 8 * barriers;
        ring_stages = std::max(0, (shared_bytes - fixed) / (kStageBytes + 3 * 8));
        bytes = fixed + ring_stages * (kStageBytes + 3 * 8);
        for (int kind = 0; kind <= kCache; ++kind) {  // see Products::product
            const int stages = kind == kCache ? 2 : round_up(step.matrices[kind].chunks / kCluster, kStageChunks) / kStageChunks;
            workers[kind] = std::max(1, std::min(kWarps, (ring_stages - 1) / stages + 1));
        }
    }
};

int shared_bytes_of_device() {
    static const int bytes = [] {
        int device = 0, most = 0;
        cudaGetDevice(&device);
        cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
        return most - 1024;  // for what is declared with a size
    }();
    return bytes;
}

template <int kTokens, int kDim>
struct Launch {
    Plan plan;
    cudaLaunchAttribute attribute = {};
    cudaLaunchConfig_t config = {};

    Launch(const Step& step, int clusters, cudaStream_t stream) : plan(step, kTokens, kDim, shared_bytes_of_device()) {
        attribute.id = cudaLaunchAttributeClusterDimension;
        attribute.val.clusterDim = {kCluster, 1, 1};
        config.gridDim = dim3(clusters * kCluster);
        config.blockDim = dim3(kBlock);
        config.dynamicSmemBytes = plan.bytes;
        config.stream = stream;
        config.attrs = &attribute;
        config.numAttrs = 1;
    }

    cudaError_t allow_memory() const {
        return cudaFuncSetAttribute(forward<kTokens, kDim>, cudaFuncAttributeMaxDynamicSharedMemorySize, plan.bytes);
    }

    cudaError_t run(Step step) {
        if (plan.ring_stages < 2) return cudaErrorInvalidConfiguration;
        step.ring_stages = plan.ring_stages;
        std::copy(std::begin(plan.workers), std::end(plan.workers), step.workers);
        const cudaError_t error = allow_memory();
        if (error != cudaSuccess) return error;
        return cudaLaunchKernelEx(&config, forward<kTokens, kDim>, static_cast<const Step>(step), plan.digit_bytes);
    }

    cudaError_t most_clusters(int* clusters) {
        const cudaError_t error = allow_memory();
        return error != cudaSuccess ? error : cudaOccupancyMaxActiveClusters(clusters, forward<kTokens, kDim>, &config);
    }
};

}  // namespace decode

using namespace decode;

#define EACH(CASE) CASE(1, 128) CASE(2, 128) CASE(4, 128) CASE(8, 128) CASE(1, 64) CASE(2, 64) CASE(4, 64) CASE(8, 64)

extern "C" {

int step_bytes() { return sizeof(Step); }

// The most tokens (8, 4, 2 or 1) that a launch can take: their activations share a multiprocessor's memory with the ring.
int step_most_tokens(const void* parameters, int head_dim) {
    for (int tokens = kMaxTokens; tokens; tokens /= 2) {
        if (Plan(*static_cast<const Step*>(parameters), tokens, head_dim, shared_bytes_of_device()).ring_stages >= 2) return tokens;
    }
    return 0;
}

// Clusters of the current device that run at the same time. Returns a cudaError_t.
int step_most_clusters(const void* parameters, int tokens, int head_dim, int* clusters) {
#define CASE(TOKENS, DIM) \
    if (tokens == TOKENS && head_dim == DIM) return Launch<TOKENS, DIM>(*static_cast<const Step*>(parameters), 1, nullptr).most_clusters(clusters);
    EACH(CASE)
#undef CASE
    return cudaErrorInvalidValue;
}

// Queues a step of at most `tokens` (1, 2, 4 or 8) on `stream`. Returns a cudaError_t.
int step_launch(const void* parameters, int tokens, int head_dim, int clusters, void* stream) {
#define CASE(TOKENS, DIM) \
    if (tokens == TOKENS && head_dim == DIM) return Launch<TOKENS, DIM>(*static_cast<const Step*>(parameters), clusters, static_cast<cudaStream_t>(stream)).run(*static_cast<const Step*>(parameters));
    EACH(CASE)
#undef CASE
    return cudaErrorInvalidValue;
}
}

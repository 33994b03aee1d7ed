// One forward pass of LLaMA over up to 8 tokens as a single persistent kernel, one block a multiprocessor.
//
// The weights of a rank are read once, in the order they are needed, by one producer warp a block that runs ahead of
// the arithmetic as far as its ring of shared memory reaches (weights depend on nothing): while the blocks wait for
// each other between the phases of a layer, memory keeps streaming.
//
//   embed ─▶ [ norm, qkv, rope, cache write ─▶ attention ─▶ out ═▶ norm, gate/up, silu ─▶ down ═▶ ] x layers ─▶ norm, head
//            ─▶ barrier of this rank's blocks      ═▶ every rank stores its part into every rank's memory; barrier of all
//
// Products are exact INT8: an activation row is two INT8 digits, x = scale * (d0 + d1 / 254), scale = max|x| / 127, as in
// the CPU kernels; digits are columns of m16n8k32 tensor-core products, sums are int32.
#include <algorithm>

#include "forward.cuh"

namespace step_kernel {

template <int kTokens, int kDim>
__global__ void __launch_bounds__(kBlock, 1) forward(const __grid_constant__ Step step, int digit_bytes, int sum_bytes, int tiles) {
    extern __shared__ __align__(1024) uint8_t memory[];
    Shared shared;
    shared.ring = memory;
    shared.digits = memory + step.ring_stages * kStageBytes;
    shared.sums = reinterpret_cast<int*>(shared.digits + digit_bytes);
    shared.norm = reinterpret_cast<float*>(shared.digits + digit_bytes + sum_bytes);
    shared.row_scales = shared.norm + step.hidden;
    shared.full = reinterpret_cast<uint64_t*>(shared.row_scales + tiles * kTileRows);
    shared.empty = shared.full + step.ring_stages;
    shared.reduce = reinterpret_cast<float*>(shared.empty + step.ring_stages);
    shared.turns = reinterpret_cast<float2*>(shared.reduce + 2 * kWarps);
    shared.scales = reinterpret_cast<float*>(shared.turns + kTokens * (kDim / 2));
    shared.numbers = reinterpret_cast<int*>(shared.scales + kTokens);
    if (threadIdx.x == 0) {
        for (int i = 0; i < step.ring_stages; ++i) {
            barrier_init(&shared.full[i], 1);
            barrier_init(&shared.empty[i], 1);
        }
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncthreads();
    if (threadIdx.x >= kThreads) {
        if (threadIdx.x == kThreads) {
            uint64_t policy;
            asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
            Turn turn;
            uint32_t stage = 0;
            for (int layer = 0; layer < step.layers; ++layer) {
                stream(shared, step.qkv, layer, turn.first(step.qkv.tiles), step.ring_stages, step.copies_in_flight, stage, policy);
                stream(shared, step.out, layer, turn.first(step.out.tiles), step.ring_stages, step.copies_in_flight, stage, policy);
                stream(shared, step.gate_up, layer, turn.first(step.gate_up.tiles), step.ring_stages, step.copies_in_flight, stage, policy);
                stream(shared, step.down, layer, turn.first(step.down.tiles), step.ring_stages, step.copies_in_flight, stage, policy);
            }
            if (step.with_head) stream(shared, step.head, 0, turn.first(step.head.tiles), step.ring_stages, step.copies_in_flight, stage, policy);
        }
        return;
    }
    Forward<kTokens, kDim>(step, shared).run();
}

int round_up(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }

// The current device: one block a multiprocessor, with all the shared memory it may have.
struct Device {
    int blocks = 0, shared_bytes = 0;

    Device() {
        int device = 0;
        cudaGetDevice(&device);
        cudaDeviceGetAttribute(&blocks, cudaDevAttrMultiProcessorCount, device);
        cudaDeviceGetAttribute(&shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
    }
};

// How a multiprocessor's shared memory is divided: what activations and sums leave belongs to the ring of weights.
struct Plan {
    int tiles = 0, digit_bytes, sum_bytes, ring_stages, bytes;

    Plan(const Step& step, int tokens, int head_dim, const Device& device) {
        int stages = 0;
        for (const Matrix* m : {&step.qkv, &step.out, &step.gate_up, &step.down, &step.head}) {
            stages = std::max(stages, m->stages);
            tiles = std::max(tiles, (m->tiles + device.blocks - 1) / device.blocks);
        }
        digit_bytes = round_up(std::max(stages * kStageK * 2 * tokens, 4 * kWarps * (head_dim + 2)), 128);
        sum_bytes = round_up(tiles * kTileRows * 2 * tokens * 4, 128);
        const int fixed = digit_bytes + sum_bytes + step.hidden * 4 + tiles * kTileRows * 4 +
                          (2 * kWarps + 4 * tokens + tokens * head_dim) * 4 + 128;
        ring_stages = std::min(64, (device.shared_bytes - fixed) / (kStageBytes + 16));
        // Just over the number of warps leaves no room for copies in flight, see below.
        if (ring_stages > kWarps && ring_stages < kWarps + 3) ring_stages = kWarps;
        bytes = fixed + ring_stages * (kStageBytes + 16);
    }
};

template <int kTokens, int kDim>
cudaError_t launch(Step step, cudaStream_t stream) {
    const Device device;
    Plan plan(step, kTokens, kDim, device);
    if (plan.ring_stages < 2) return cudaErrorInvalidConfiguration;
    step.ring_stages = plan.ring_stages;
    // Copies may arrive out of order, and a barrier's parity tells only neighbouring rounds apart. So a warp may look at
    // a place of the ring only when the stage before its own there is known to have arrived: either that stage was this
    // warp's too (ring no larger than the number of warps), or so few copies are in flight that it must have.
    if (step.ring_stages > kWarps) step.copies_in_flight = std::min(step.copies_in_flight, step.ring_stages - kWarps);
    const cudaError_t error = cudaFuncSetAttribute(forward<kTokens, kDim>, cudaFuncAttributeMaxDynamicSharedMemorySize, plan.bytes);
    if (error != cudaSuccess) return error;
    void* arguments[] = {&step, &plan.digit_bytes, &plan.sum_bytes, &plan.tiles};
    return cudaLaunchCooperativeKernel(reinterpret_cast<void*>(forward<kTokens, kDim>), dim3(device.blocks), dim3(kBlock), arguments,
                                       plan.bytes, stream);
}

}  // namespace step_kernel

using namespace step_kernel;

extern "C" {

int step_bytes() { return sizeof(Step); }

// The most tokens (8, 4, 2 or 1) that a launch can take: their activations share a multiprocessor's memory with the ring.
int step_most_tokens(const void* parameters, int head_dim) {
    const Step& step = *static_cast<const Step*>(parameters);
    for (int tokens = 8; tokens; tokens /= 2) {
        if (Plan(step, tokens, head_dim, Device()).ring_stages >= 2) return tokens;
    }
    return 0;
}

// Launches a step of `tokens` (1, 2, 4 or 8) on `stream`. Returns a cudaError_t.
int step_launch(const void* parameters, int tokens, int head_dim, void* stream) {
    const Step& step = *static_cast<const Step*>(parameters);
    cudaStream_t on = static_cast<cudaStream_t>(stream);
#define CASE(TOKENS, DIM) \
    if (tokens == TOKENS && head_dim == DIM) return launch<TOKENS, DIM>(step, on);
    CASE(1, 128) CASE(2, 128) CASE(4, 128) CASE(8, 128) CASE(1, 64) CASE(2, 64) CASE(4, 64) CASE(8, 64)
#undef CASE
    return cudaErrorInvalidValue;
}
}

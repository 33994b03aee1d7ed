// How blocks and ranks hand each other numbers: through memory that says itself whether it has been written.
//
// A mailbox holds kEmpty in every word until a number is stored there; who needs the number reads until it is there. So
// a number costs one store and one load, where a barrier costs a fence, an atomic, a poll and then the load.
//
// A mailbox is emptied by the blocks of the rank that reads it, once every one of them is known to have read it, and
// before anybody may write that half of it again. What a block knows, since every cluster has rows of every product and
// needs all inputs of a product for them:
//   having read inputs of gate/up (out_box):   all attention is done -> all have read heads_box, and down_box before it;
//                                              all have read activated_box of the layer before
//   having read inputs of down (activated_box): all have written out_box -> all have read attended_box
//   having read inputs of qkv (down_box):       all have written activated_box -> all have read out_box
// Warps of their own empty, while the product is computed. No block of a cluster tells what comes of the product before all
// blocks of the cluster have emptied and fenced. With two halves, the next writer of what is emptied has itself read something
// that every cluster of this rank wrote after that.
#pragma once
#include "device.cuh"

namespace decode {

__device__ __forceinline__ float4 read_box(const float* address) {
    float4 v;
    asm volatile("ld.volatile.global.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "l"(address) : "memory");
    return v;
}

__device__ __forceinline__ void write_box(float* address, float value) {
    asm volatile("st.volatile.global.f32 [%0], %1;" ::"l"(address), "f"(value) : "memory");
}

__device__ __forceinline__ void write_box(float* address, float2 v) {
    asm volatile("st.volatile.global.v2.f32 [%0], {%1, %2};" ::"l"(address), "f"(v.x), "f"(v.y) : "memory");
}

__device__ __forceinline__ void write_box(float* address, float4 v) {
    asm volatile("st.volatile.global.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(address), "f"(v.x), "f"(v.y), "f"(v.z), "f"(v.w) : "memory");
}

__device__ __forceinline__ bool arrived(const float4& v) {
    return __float_as_uint(v.x) != kEmpty && __float_as_uint(v.y) != kEmpty && __float_as_uint(v.z) != kEmpty &&
           __float_as_uint(v.w) != kEmpty;
}

// Reads `kCount` places at once, until all of them have been written.
template <int kCount, class Place>
__device__ __forceinline__ void await(float4 (&values)[kCount], Place place) {
    Patience patience;
    bool all;
    do {
        all = true;
#pragma unroll
        for (int i = 0; i < kCount; ++i) {
            if (const float* address = place(i)) values[i] = read_box(address);
        }
#pragma unroll
        for (int i = 0; i < kCount; ++i) {
            if (place(i)) all &= arrived(values[i]);
        }
        if (!all) patience.wait();
    } while (!all);
}

__device__ __forceinline__ float4 await(const float* address) {
    float4 value[1];
    await(value, [&](int) { return address; });
    return value[0];
}

// The finishing warps of all blocks share out `count` floats, a multiple of 4.
__device__ __forceinline__ void empty_box(float* box, int count) {
    const float none = __uint_as_float(kEmpty);
    const int lane = threadIdx.x - (kBlock - kFinishThreads);
#pragma unroll 1
    for (int i = blockIdx.x * kFinishThreads + lane; i < count / 4; i += gridDim.x * kFinishThreads) write_box(box + 4 * i, make_float4(none, none, none, none));
}

// Which halves of the mailboxes a layer uses; layer -1 is the last one of the step before.
struct Boxes {
    const Step& step;

    __device__ int qkv_rows() const { return (step.heads + 2 * step.kv_heads) * step.head_dim; }
    // A split's output; with other splits to be joined to it, its top and mass too.
    __device__ int split_width() const { return step.head_dim + (step.splits > 1 ? 4 : 0); }
    __device__ float* heads(int layer) const { return at(step.heads_box, step.layer_half + layer, qkv_rows()); }
    __device__ float* attended(int layer) const { return at(step.attended_box, step.layer_half + layer, step.heads * (step.head_dim + 4)); }
    __device__ float* activated(int layer) const { return at(step.activated_box, step.layer_half + layer, step.matrices[kDown].inputs); }
    __device__ float* out(int layer, int rank) const { return at(step.out_box[rank], step.layer_half + layer, step.ranks * step.hidden); }
    // Of the embedding (layer -1) and what each layer adds to it.
    __device__ float* down(int layer, int rank) const { return at(step.down_box[rank], step.down_half + layer + 1, step.ranks * step.hidden); }

    static __device__ __forceinline__ float* at(float* box, int use, int64_t width) { return box + (use & 1) * kMaxTokens * width; }

    // Of which products the inputs allow something to be emptied.
    static __device__ __forceinline__ bool emptied_after(int kind) { return kind != kOut; }

    // Every rank's part of a box that all write.
    __device__ void empty_parts(float* box, int tokens) const {
        for (int rank = 0; rank < step.ranks; ++rank) empty_box(box + rank * kMaxTokens * step.hidden, tokens * step.hidden);
    }

    __device__ void empty_after(int kind, int layer) const {
        const int before = layer ? step.count : step.count_before;  // tokens in the layer before
        if (kind == kGateUp) {
            empty_box(heads(layer), step.count * qkv_rows());
            empty_box(activated(layer - 1), before * step.matrices[kDown].inputs);
            empty_parts(down(layer - 1, step.rank), step.count);
        } else if (kind == kDown) {
            empty_box(attended(layer), step.count * step.heads * step.splits * split_width());
        } else {
            // The step before ended with its head, after which its last out_box was emptied; its last down_box is full.
            empty_parts(layer ? out(layer - 1, step.rank) : down(-2, step.rank), before);
        }
    }
};

}  // namespace decode

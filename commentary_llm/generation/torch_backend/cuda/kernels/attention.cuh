// Attention over the cache, cut into splits of a head's positions.
#pragma once
#include "products.cuh"

namespace step_kernel {

template <int kTokens, int kDim>
struct Attention : Products<kTokens, kDim> {
    using Base = Products<kTokens, kDim>;
    using Base::cache_at, Base::lane, Base::positions, Base::shared, Base::slots, Base::step, Base::warp;
    using Base::Base;

    static constexpr int kAtOnce = 4;  // positions a lane has in flight

    struct Task {
        int row = 0, split = 0, count = 0, old = 0;  // `old`: so many of its positions were written before this step
        const __half* keys = nullptr;
        const __half* values = nullptr;
    };

    __device__ Task task_at(int layer, int number) const {
        const int split = number % step.splits, head = number / step.splits % step.heads, token = number / step.splits / step.heads;
        const int length = positions[token] + 1, share = (length + step.splits - 1) / step.splits;
        const int from = min(split * share, length), kv_head = head / (step.heads / step.kv_heads);
        Task task;
        task.row = token * step.heads + head;
        task.split = split;
        task.count = min(share, length - from);
        task.old = min(task.count, max(0, shared.numbers[2 * kTokens + token] - from));
        const int64_t skip = static_cast<int64_t>(from) * kDim + lane % (kDim / 8) * 8;
        task.keys = cache_at(layer, slots[token], kv_head, 0) + skip;
        task.values = cache_at(layer, slots[token], kv_head, 1) + skip;
        return task;
    }

    __device__ void load_rows(const Task& task, int base, int from, int to, uint4 (&keys)[kAtOnce], uint4 (&values)[kAtOnce]) const {
        constexpr int kStride = kWarps * 32 / (kDim / 8);
#pragma unroll
        for (int j = 0; j < kAtOnce; ++j) {
            const int at = base + j * kStride;
            if (at >= from && at < to) {
                keys[j] = __ldcg(reinterpret_cast<const uint4*>(task.keys + static_cast<int64_t>(at) * kDim));
                values[j] = __ldcg(reinterpret_cast<const uint4*>(task.values + static_cast<int64_t>(at) * kDim));
            }
        }
    }

    // Between the halves of the barrier before attention: what earlier steps wrote can be on its way already.
    __device__ void start_attention(int layer, uint4 (&keys)[kAtOnce], uint4 (&values)[kAtOnce]) const {
#pragma unroll
        for (int j = 0; j < kAtOnce; ++j) keys[j] = values[j] = make_uint4(0, 0, 0, 0);
        if (static_cast<int>(blockIdx.x) < kTokens * step.heads * step.splits) {
            const Task task = task_at(layer, blockIdx.x);
            load_rows(task, threadIdx.x / (kDim / 8), 0, task.old, keys, values);
        }
    }

    // A group of kDim / 8 lanes goes through its positions with a softmax of its own; warps and splits are joined after.
    __device__ void attend(int layer, uint4 (&keys)[kAtOnce], uint4 (&values)[kAtOnce]) {
        constexpr int kLanes = kDim / 8, kGroups = kThreads / kLanes;
        float* outputs = reinterpret_cast<float*>(shared.digits);  // (kWarps, kDim)
        float2* states = reinterpret_cast<float2*>(outputs + kWarps * kDim);
        const int part = lane % kLanes, group = threadIdx.x / kLanes;
        const int tasks = kTokens * step.heads * step.splits;
        for (int number = blockIdx.x; number < tasks; number += gridDim.x) {
            const Task task = task_at(layer, number);
            const float* wanted = step.query + task.row * kDim + part * 8;
            const float4 q0 = load_fresh(wanted), q1 = load_fresh(wanted + 4);
            const float query[8] = {q0.x, q0.y, q0.z, q0.w, q1.x, q1.y, q1.z, q1.w};
            float top = -INFINITY, mass = 0.0f, output[8] = {};
            for (int base = group; base - group < task.count; base += kAtOnce * kGroups) {
                const bool ahead = number == blockIdx.x && base == group;
                load_rows(task, base, ahead ? task.old : 0, task.count, keys, values);
                float dots[kAtOnce];
#pragma unroll
                for (int j = 0; j < kAtOnce; ++j) {
                    const __half2* halves = reinterpret_cast<const __half2*>(&keys[j]);
                    dots[j] = 0.0f;
#pragma unroll
                    for (int i = 0; i < 4; ++i) {
                        const float2 k = __half22float2(halves[i]);
                        dots[j] += query[2 * i] * k.x + query[2 * i + 1] * k.y;
                    }
#pragma unroll
                    for (int d = kLanes / 2; d; d >>= 1) dots[j] += __shfl_xor_sync(~0u, dots[j], d);
                    if (base + j * kGroups >= task.count) dots[j] = -INFINITY;
                }
                float highest = top;
#pragma unroll
                for (int j = 0; j < kAtOnce; ++j) highest = fmaxf(highest, dots[j]);
                const float old = highest == -INFINITY ? 1.0f : __expf(top - highest);
                top = highest;
                mass *= old;
#pragma unroll
                for (int i = 0; i < 8; ++i) output[i] *= old;
#pragma unroll
                for (int j = 0; j < kAtOnce; ++j) {
                    const __half2* halves = reinterpret_cast<const __half2*>(&values[j]);
                    if (base + j * kGroups < task.count) {
                        const float weight = __expf(dots[j] - top);
                        mass += weight;
#pragma unroll
                        for (int i = 0; i < 4; ++i) {
                            const float2 v = __half22float2(halves[i]);
                            output[2 * i] += weight * v.x;
                            output[2 * i + 1] += weight * v.y;
                        }
                    }
                }
            }
            __syncwarp();
#pragma unroll
            for (int d = kLanes; d < 32; d <<= 1) {
                const float other = __shfl_xor_sync(~0u, top, d), highest = fmaxf(top, other);
                const float own = top == -INFINITY ? 0.0f : __expf(top - highest);
                top = highest;
                mass *= own;
                mass += __shfl_xor_sync(~0u, mass, d);
#pragma unroll
                for (int i = 0; i < 8; ++i) {
                    output[i] *= own;
                    output[i] += __shfl_xor_sync(~0u, output[i], d);
                }
            }
            if (lane < kLanes) {
                float4* to = reinterpret_cast<float4*>(outputs + warp * kDim + part * 8);
                to[0] = make_float4(output[0], output[1], output[2], output[3]);
                to[1] = make_float4(output[4], output[5], output[6], output[7]);
            }
            if (lane == 0) states[warp] = make_float2(top, mass);
            compute_sync();
            if (threadIdx.x < kDim) {
                float highest = -INFINITY, total = 0.0f, weight = 0.0f;
#pragma unroll
                for (int w = 0; w < kWarps; ++w) highest = fmaxf(highest, states[w].x);
#pragma unroll
                for (int w = 0; w < kWarps; ++w) {
                    const float factor = states[w].x == -INFINITY ? 0.0f : __expf(states[w].x - highest);
                    total += factor * outputs[w * kDim + threadIdx.x];
                    weight += factor * states[w].y;
                }
                float* sums = step.split_sums + (static_cast<int64_t>(task.row) * step.splits + task.split) * (kDim + 4);
                sums[threadIdx.x] = total;
                if (threadIdx.x == 0) *reinterpret_cast<float2*>(sums + kDim) = make_float2(fmaxf(highest, -1e30f), weight);
            }
            compute_sync();
        }
    }
};

}  // namespace step_kernel

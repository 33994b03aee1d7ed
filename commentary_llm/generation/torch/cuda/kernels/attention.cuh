// Attention over the cache, cut into splits of a head's positions.
#pragma once
#include "products.cuh"

namespace decode {

template <int kMost, int kDim>
struct Attention : Products<kMost, kDim> {
    using Base = Products<kMost, kDim>;
    using Base::kTokens, Base::lane, Base::next_stage, Base::shared, Base::step, Base::warp;
    using Base::Base;

    static constexpr int kLanes = kDim / 8;        // that share a position
    static constexpr int kGroups = 32 / kLanes;    // positions that a warp works on
    static constexpr int kAtOnce = 4;              // of each group
    static constexpr int kFewest = 16;             // positions of a pair of stages, unless there are fewer
    static constexpr float kLowest = -1e30f;       // less than any product of a query and a key

    struct Task {
        int token, head, kv_head, split;
        int count;           // its positions in the cache: those before this step's
        bool newest;         // and this step's too
        int positions;       // of them, keys and values of so many lie in a pair of the ring's stages
        const __half* keys;
        const __half* values;

        __device__ int pairs() const { return (count + positions - 1) / positions; }
    };

    static __device__ __half* cache_at(const Step& step, int layer, int slot, int head, int kind) {
        const int64_t row = ((static_cast<int64_t>(layer) * step.cache_slots + slot) * step.kv_heads + head) * 2 + kind;
        return step.cache + row * step.max_context * kDim;
    }

    static __device__ Task task_at(const Step& step, int layer, int number) {
        Task task;
        task.split = number % step.splits;
        task.head = number / step.splits % step.heads;
        task.token = number / step.splits / step.heads;
        task.kv_head = task.head / (step.heads / step.kv_heads);
        const int cached = step.positions[task.token], share = (cached + step.splits - 1) / step.splits;
        const int from = min(task.split * share, cached), slot = step.slots[task.token];
        task.count = min(share, cached - from);
        task.newest = task.split == step.splits - 1;
        task.positions = min(kStageBytes / (2 * kDim), max(kFewest, (task.count + kWarps - 1) / kWarps));
        const int64_t skip = static_cast<int64_t>(from) * kDim;
        task.keys = cache_at(step, layer, slot, task.kv_head, 0) + skip;
        task.values = cache_at(step, layer, slot, task.kv_head, 1) + skip;
        return task;
    }

    static __device__ int tasks(const Step& step) { return step.count * step.heads * step.splits; }

    // The old keys and values of this block's tasks, behind the layer's first weights.
    template <class Producer>
    static __device__ void stream(Producer& producer, const Step& step, int layer) {
#pragma unroll 1
        for (int number = blockIdx.x; number < tasks(step); number += gridDim.x) {
            const Task task = task_at(step, layer, number);
#pragma unroll 1
            for (int from = 0; from < task.count; from += task.positions) {
                const int bytes = min(task.positions, task.count - from) * kDim * 2;
                producer.copy(task.keys + static_cast<int64_t>(from) * kDim, bytes);
                producer.copy(task.values + static_cast<int64_t>(from) * kDim, bytes);
            }
        }
    }

    struct Softmax {
        float top = kLowest, mass = 0.0f, output[8] = {};

        __device__ __forceinline__ void raise(float highest) {  // to a new top
            const float old = __expf(top - highest);
            top = highest;
            mass *= old;
#pragma unroll
            for (int i = 0; i < 8; ++i) output[i] *= old;
        }
    };

    // Of a pair of stages with `count` positions those from `base` on, every kGroups-th.
    __device__ __forceinline__ void take(Softmax& state, const float (&query)[8], const uint8_t* key_stage, const uint8_t* value_stage, int base, int count) const {
        const auto load = [&](const uint8_t* stage, int at) {
            return at < count ? *reinterpret_cast<const uint4*>(stage + at * kDim * 2 + lane % kLanes * 16) : make_uint4(0, 0, 0, 0);
        };
        uint4 keys[kAtOnce], values[kAtOnce];
#pragma unroll
        for (int j = 0; j < kAtOnce; ++j) {
            keys[j] = load(key_stage, base + j * kGroups);
            values[j] = load(value_stage, base + j * kGroups);
        }
        float dots[kAtOnce], highest = state.top;
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
            if (base + j * kGroups >= count) dots[j] = -INFINITY;
            highest = fmaxf(highest, dots[j]);
        }
        state.raise(highest);
#pragma unroll
        for (int j = 0; j < kAtOnce; ++j) {
            const __half2* halves = reinterpret_cast<const __half2*>(&values[j]);  // zeros past the end
            const float weight = __expf(dots[j] - state.top);
            state.mass += weight;
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const float2 v = __half22float2(halves[i]);
                state.output[2 * i] += weight * v.x;
                state.output[2 * i + 1] += weight * v.y;
            }
        }
    }

    // Every block's share of a layer's attention. A warp takes pairs of stages as the producer brings them, a group of
    // kLanes of its lanes every kGroups-th position, with a softmax of its own; groups and warps are joined here, splits by
    // who reads them.
    __device__ void attend(int layer, const Boxes& boxes) {
        const int row_width = (step.heads + 2 * step.kv_heads) * kDim, workers = step.workers[kCache];
#pragma unroll 1
        for (int number = blockIdx.x; number < tasks(step); number += gridDim.x) {
            const Task task = task_at(step, layer, number);
            const float* row = boxes.heads(layer) + task.token * row_width + lane % kLanes * 8;
            float4 wanted[2];
            await(wanted, [&](int i) { return row + task.head * kDim + 4 * i; });
            const float query[8] = {wanted[0].x, wanted[0].y, wanted[0].z, wanted[0].w, wanted[1].x, wanted[1].y, wanted[1].z, wanted[1].w};
            Softmax state;
            Place at = next_stage;
            next_stage.advance(2 * task.pairs(), step.ring_stages);
            at.advance(2 * warp, step.ring_stages);
#pragma unroll 1
            for (int pair = warp; pair < task.pairs() && warp < workers; pair += workers) {
                const Place keys = at;
                at.advance(1, step.ring_stages);
                this->wait_for(keys);
                this->wait_for(at);
                const int count = min(task.positions, task.count - pair * task.positions);
#pragma unroll 1
                for (int base = lane / kLanes; base - lane / kLanes < count; base += kAtOnce * kGroups) {
                    take(state, query, this->stage(keys), this->stage(at), base, count);
                }
                this->release(keys);
                this->release(at);
                at.advance(2 * workers - 1, step.ring_stages);
            }
            if (task.newest && warp == 0) take_newest(state, query, row, task);
            __syncwarp();
            join_groups(state);
            const int64_t split = static_cast<int64_t>(task.token * step.heads + task.head) * step.splits + task.split;
            join_warps(state, boxes.attended(layer) + split * boxes.split_width());
        }
    }

    // This step's own key and value, on their way to the cache; the first warp's first group takes them.
    __device__ __forceinline__ void take_newest(Softmax& state, const float (&query)[8], const float* row, const Task& task) const {
        float4 kv[4];
        const float* key = row + (step.heads + task.kv_head) * kDim;
        const float* value = key + step.kv_heads * kDim;
        await(kv, [&](int i) { return (i < 2 ? key : value) + i % 2 * 4; });
        float dot = query[0] * kv[0].x + query[1] * kv[0].y + query[2] * kv[0].z + query[3] * kv[0].w + query[4] * kv[1].x +
                    query[5] * kv[1].y + query[6] * kv[1].z + query[7] * kv[1].w;
#pragma unroll
        for (int d = kLanes / 2; d; d >>= 1) dot += __shfl_xor_sync(~0u, dot, d);
        if (lane >= kLanes) return;
        state.raise(fmaxf(state.top, dot));
        const float weight = __expf(dot - state.top);
        state.mass += weight;
        const float v[8] = {kv[2].x, kv[2].y, kv[2].z, kv[2].w, kv[3].x, kv[3].y, kv[3].z, kv[3].w};
#pragma unroll
        for (int i = 0; i < 8; ++i) state.output[i] += weight * v[i];
    }

    static __device__ __forceinline__ void join_groups(Softmax& state) {
#pragma unroll
        for (int d = kLanes; d < 32; d <<= 1) {
            const float other = __shfl_xor_sync(~0u, state.top, d), highest = fmaxf(state.top, other);
            const float own = __expf(state.top - highest);
            state.top = highest;
            state.mass *= own;
            state.mass += __shfl_xor_sync(~0u, state.mass, d);
#pragma unroll
            for (int i = 0; i < 8; ++i) {
                state.output[i] *= own;
                state.output[i] += __shfl_xor_sync(~0u, state.output[i], d);
            }
        }
    }

    __device__ void join_warps(const Softmax& state, float* box) {
        float* outputs = reinterpret_cast<float*>(shared.digits);  // (kWarps, kDim)
        float2* states = reinterpret_cast<float2*>(outputs + kWarps * kDim);
        if (lane < kLanes) {
            float4* to = reinterpret_cast<float4*>(outputs + warp * kDim + lane * 8);
            to[0] = make_float4(state.output[0], state.output[1], state.output[2], state.output[3]);
            to[1] = make_float4(state.output[4], state.output[5], state.output[6], state.output[7]);
        }
        if (lane == 0) states[warp] = make_float2(state.top, state.mass);
        compute_sync();
        if (threadIdx.x < kDim) {
            float highest = kLowest, total = 0.0f, weight = 0.0f;
#pragma unroll
            for (int w = 0; w < kWarps; ++w) highest = fmaxf(highest, states[w].x);
#pragma unroll
            for (int w = 0; w < kWarps; ++w) {
                const float factor = __expf(states[w].x - highest);
                total += factor * outputs[w * kDim + threadIdx.x];
                weight += factor * states[w].y;
            }
            write_box(box + threadIdx.x, step.splits > 1 ? total : total / weight);
            if (step.splits > 1 && threadIdx.x == 0) write_box(box + kDim, make_float4(highest, weight, 0.0f, 0.0f));
        }
        compute_sync();
    }
};

}  // namespace decode

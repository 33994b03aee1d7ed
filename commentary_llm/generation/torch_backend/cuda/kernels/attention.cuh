// Attention over the cache, cut into splits of a head's positions.
#pragma once
#include "products.cuh"

namespace decode {

template <int kMost, int kDim>
struct Attention : Products<kMost, kDim> {
    using Base = Products<kMost, kDim>;
    using Base::kTokens, Base::lane, Base::shared, Base::step;
    using Base::Base;

    // Eight tokens are more tasks than blocks: two halves of a block then work on two of them.
    static constexpr int kTeams = kTokens == kMaxTokens ? 2 : 1;
    static constexpr int kTeamWarps = kWarps / kTeams, kTeamThreads = kThreads / kTeams;
    static constexpr int kAtOnce = kTokens == 4 ? 3 : 4;   // positions a lane has in flight
    static constexpr int kLanes = kDim / 8;                // that share a position
    static constexpr int kGroups = kTeamThreads / kLanes;  // positions that a team works on
    static constexpr float kLowest = -1e30f;               // less than any product of a query and a key

    const int team = threadIdx.x / kTeamThreads, member = threadIdx.x % kTeamThreads;

    __device__ __forceinline__ void team_sync() const { asm volatile("bar.sync %0, %1;" ::"r"(4 + team), "n"(kTeamThreads) : "memory"); }

    // Has the layer's old keys and values of this block on their way to the L2 cache in good time.
    __device__ static void prefetch(const Step& step, int layer) {
#pragma unroll 1
        for (int number = blockIdx.x; number < step.count * step.heads * step.splits; number += gridDim.x) {
            const Task task = task_at(step, layer, number, 0);
            const int bytes = task.count * kDim * 2;
            if (!bytes) continue;
            asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(task.keys), "r"(bytes) : "memory");
            asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(task.values), "r"(bytes) : "memory");
        }
    }

    struct Task {
        int token, head, kv_head, split;
        int count;           // its positions in the cache: those before this step's
        bool newest;         // and this step's too
        const __half* keys;  // this lane's part of the first one
        const __half* values;
    };

    static __device__ __half* cache_at(const Step& step, int layer, int slot, int head, int kind) {
        const int64_t row = ((static_cast<int64_t>(layer) * step.cache_slots + slot) * step.kv_heads + head) * 2 + kind;
        return step.cache + row * step.max_context * kDim;
    }

    static __device__ Task task_at(const Step& step, int layer, int number, int lane) {
        Task task;
        task.split = number % step.splits;
        task.head = number / step.splits % step.heads;
        task.token = number / step.splits / step.heads;
        task.kv_head = task.head / (step.heads / step.kv_heads);
        const int cached = step.positions[task.token], share = (cached + step.splits - 1) / step.splits;
        const int from = min(task.split * share, cached), slot = step.slots[task.token];
        task.count = min(share, cached - from);
        task.newest = task.split == step.splits - 1;
        const int64_t skip = static_cast<int64_t>(from) * kDim + lane % kLanes * 8;
        task.keys = cache_at(step, layer, slot, task.kv_head, 0) + skip;
        task.values = cache_at(step, layer, slot, task.kv_head, 1) + skip;
        return task;
    }

    __device__ int tasks() const { return step.count * step.heads * step.splits; }

    __device__ void load_rows(const Task& task, int base, uint4 (&keys)[kAtOnce], uint4 (&values)[kAtOnce]) const {
#pragma unroll
        for (int j = 0; j < kAtOnce; ++j) {
            const int at = base + j * kGroups;
            if (at < task.count) {
                keys[j] = __ldcg(reinterpret_cast<const uint4*>(task.keys + static_cast<int64_t>(at) * kDim));
                values[j] = __ldcg(reinterpret_cast<const uint4*>(task.values + static_cast<int64_t>(at) * kDim));
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

    __device__ __forceinline__ void take(Softmax& state, const float (&query)[8], const Task& task, int base, const uint4 (&keys)[kAtOnce],
                                         const uint4 (&values)[kAtOnce]) const {
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
            if (base + j * kGroups >= task.count) dots[j] = -INFINITY;
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

    // Every block's share of a layer's attention. A group of kLanes lanes goes through its positions with a softmax of
    // its own; groups and warps are joined here, splits by who reads them.
    __device__ void attend(int layer, const Boxes& boxes) {
        const float* heads_box = boxes.heads(layer);
        float* attended_box = boxes.attended(layer);
        const int split_width = boxes.split_width();
        const int row_width = (step.heads + 2 * step.kv_heads) * kDim;
        const int part = lane % kLanes, group = member / kLanes;
#pragma unroll 1
        for (int number = blockIdx.x + team * gridDim.x; number < tasks(); number += kTeams * gridDim.x) {
            const Task task = task_at(step, layer, number, lane);
            uint4 keys[kAtOnce], values[kAtOnce];
#pragma unroll
            for (int j = 0; j < kAtOnce; ++j) keys[j] = values[j] = make_uint4(0, 0, 0, 0);
            load_rows(task, group, keys, values);  // what earlier steps wrote is on its way while the query is awaited
            const float* row = heads_box + task.token * row_width + part * 8;
            float4 wanted[2];
            await(wanted, [&](int i) { return row + task.head * kDim + 4 * i; });
            const float query[8] = {wanted[0].x, wanted[0].y, wanted[0].z, wanted[0].w, wanted[1].x, wanted[1].y, wanted[1].z, wanted[1].w};
            Softmax state;
#pragma unroll 1
            for (int base = group; base - group < task.count; base += kAtOnce * kGroups) {
                if (base != group) load_rows(task, base, keys, values);
                take(state, query, task, base, keys, values);
            }
            if (task.newest && group < 32 / kLanes) take_newest(state, query, row, task);
            __syncwarp();
            join_groups(state);
            join_warps(state, attended_box + (static_cast<int64_t>(task.token * step.heads + task.head) * step.splits + task.split) * split_width);
        }
    }

    // This step's own key and value, on their way to the cache; a team's first warp's first group takes them.
    __device__ __forceinline__ void take_newest(Softmax& state, const float (&query)[8], const float* row, const Task& task) const {
        float4 kv[4];
        const float* key = row + (step.heads + task.kv_head) * kDim;
        const float* value = key + step.kv_heads * kDim;
        await(kv, [&](int i) { return (i < 2 ? key : value) + i % 2 * 4; });
        float dot = query[0] * kv[0].x + query[1] * kv[0].y + query[2] * kv[0].z + query[3] * kv[0].w + query[4] * kv[1].x +
                    query[5] * kv[1].y + query[6] * kv[1].z + query[7] * kv[1].w;
#pragma unroll
        for (int d = kLanes / 2; d; d >>= 1) dot += __shfl_xor_sync(~0u, dot, d);
        if (member >= kLanes) return;
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
        float* outputs = reinterpret_cast<float*>(shared.digits) + team * kTeamWarps * (kDim + 2);  // (kTeamWarps, kDim)
        float2* states = reinterpret_cast<float2*>(outputs + kTeamWarps * kDim);
        const int number = member / 32;
        if (lane < kLanes) {
            float4* to = reinterpret_cast<float4*>(outputs + number * kDim + lane * 8);
            to[0] = make_float4(state.output[0], state.output[1], state.output[2], state.output[3]);
            to[1] = make_float4(state.output[4], state.output[5], state.output[6], state.output[7]);
        }
        if (lane == 0) states[number] = make_float2(state.top, state.mass);
        team_sync();
        if (member < kDim) {
            float highest = kLowest, total = 0.0f, weight = 0.0f;
#pragma unroll
            for (int w = 0; w < kTeamWarps; ++w) highest = fmaxf(highest, states[w].x);
#pragma unroll
            for (int w = 0; w < kTeamWarps; ++w) {
                const float factor = __expf(states[w].x - highest);
                total += factor * outputs[w * kDim + member];
                weight += factor * states[w].y;
            }
            write_box(box + member, step.splits > 1 ? total : total / weight);
            if (step.splits > 1 && member == 0) write_box(box + kDim, make_float4(highest, weight, 0.0f, 0.0f));
        }
        team_sync();
    }
};

}  // namespace decode

// Where a product's inputs come from: the residual stream with what the ranks add to it, joined attention, or a mailbox.
#pragma once
#include "products.cuh"

namespace decode {

// x + the parts of all ranks, kept as the new x; times the norm's weights. The root of the mean square comes later.
template <class Products>
struct NormRow {
    static constexpr int kKeep = Products::keep(4096);
    const Products& at;
    const float* parts;  // (ranks, kMaxTokens, hidden); for the first layer the embedding, in the first part
    bool first;

    __device__ __forceinline__ float* kept_at(int token, int index) const {
        return at.shared.residual + token * (at.step.matrices[kQkv].chunks / Products::kCluster * kChunkInputs) + 4 * index;
    }

    __device__ __forceinline__ void read(float4 (&kept)[kKeep], int token, int begin4, int lane_of_token, int count4) {
        const int64_t part = static_cast<int64_t>(kMaxTokens) * at.step.hidden;
        const float* row = parts + token * at.step.hidden + 4 * begin4;
        await(kept, [&](int i) -> const float* {
            const int index = lane_of_token + i * Products::kLanesPerToken;
            return index < count4 ? row + 4 * index : nullptr;
        });
        const int ranks = first ? 1 : at.step.ranks;
#pragma unroll 1
        for (int rank = 1; rank < ranks; ++rank) {
            float4 others[kKeep];
            await(others, [&](int i) -> const float* {
                const int index = lane_of_token + i * Products::kLanesPerToken;
                return index < count4 ? row + rank * part + 4 * index : nullptr;
            });
#pragma unroll
            for (int i = 0; i < kKeep; ++i) kept[i] = add(kept[i], others[i]);
        }
#pragma unroll
        for (int i = 0; i < kKeep; ++i) {
            const int index = lane_of_token + i * Products::kLanesPerToken;
            if (index < count4) keep(kept[i], token, index);
        }
    }

    __device__ __forceinline__ float4 again(int token, int begin4, int index, bool for_the_first_time) {
        float4 v;
        if (for_the_first_time) {
            const int64_t part = static_cast<int64_t>(kMaxTokens) * at.step.hidden;
            const float* row = parts + token * at.step.hidden + 4 * (begin4 + index);
            v = await(row);
            for (int rank = 1; rank < (first ? 1 : at.step.ranks); ++rank) v = add(v, await(row + rank * part));
            keep(v, token, index);
        } else {
            v = *reinterpret_cast<const float4*>(kept_at(token, index));
        }
        return v;
    }

    __device__ __forceinline__ void keep(float4& v, int token, int index) {
        float4* x = reinterpret_cast<float4*>(kept_at(token, index));
        if (!first) v = add(*x, v);
        *x = v;
    }

    __device__ __forceinline__ void measure(float4& v, int index, float& squares, float& largest) const {
        const float4 w = *reinterpret_cast<const float4*>(at.shared.norm + 4 * index);
        squares += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
        v = make_float4(v.x * w.x, v.y * w.y, v.z * w.z, v.w * w.w);
        largest = fmaxf(fmaxf(largest, fabsf(v.x)), fmaxf(fmaxf(fabsf(v.y), fabsf(v.z)), fabsf(v.w)));
    }

    static __device__ __forceinline__ float4 add(const float4& a, const float4& b) {
        return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
    }
};

// Rows as they lie in a mailbox of this rank.
template <class Products>
struct PlainRow {
    static constexpr int kKeep = Products::keep(Products::kTokens == 8 ? 11008 : 5504);
    const Products& at;
    const float* box;  // (kMaxTokens, width)
    int width;

    __device__ __forceinline__ void read(float4 (&kept)[kKeep], int token, int begin4, int lane_of_token, int count4) {
        const float* row = box + token * width + 4 * begin4;
        await(kept, [&](int i) -> const float* {
            const int index = lane_of_token + i * Products::kLanesPerToken;
            return index < count4 ? row + 4 * index : nullptr;
        });
    }

    __device__ __forceinline__ float4 again(int token, int begin4, int index, bool) { return await(box + token * width + 4 * (begin4 + index)); }

    __device__ __forceinline__ void measure(float4& v, int, float&, float& largest) const {
        largest = fmaxf(fmaxf(largest, fabsf(v.x)), fmaxf(fmaxf(fabsf(v.y), fabsf(v.z)), fabsf(v.w)));
    }
};

// Attention's outputs: the splits of a head joined.
template <class Products, int kDim>
struct AttendedRow {
    static constexpr int kKeep = Products::keep(4096);
    static constexpr int kMostSplits = kMaxTokens / Products::kTokens, kAtOnce = kMostSplits < 2 ? 1 : 2;  // splits on their way
    const Products& at;
    const float* box;  // (tokens * heads, splits, kDim + 4)

    __device__ __forceinline__ void read(float4 (&kept)[kKeep], int token, int begin4, int lane_of_token, int count4) {
#pragma unroll
        for (int i = 0; i < kKeep; ++i) {
            const int index = lane_of_token + i * Products::kLanesPerToken;
            if (index < count4) kept[i] = again(token, begin4, index, true);
        }
    }

    __device__ __forceinline__ float4 again(int token, int begin4, int index, bool) {
        const int at4 = begin4 + index, splits = kMostSplits == 1 ? 1 : at.step.splits;
        const float* row = box + static_cast<int64_t>(token * at.step.heads + 4 * at4 / kDim) * splits * (kDim + 4);
        if (splits == 1) {
            const float4 o = await(row + 4 * at4 % kDim), state = await(row + kDim);
            const float whole = 1.0f / state.y;
            return make_float4(o.x * whole, o.y * whole, o.z * whole, o.w * whole);
        }
        float top = -INFINITY, mass = 0.0f;
        float4 v = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll 1
        for (int base = 0; base < splits; base += kAtOnce) {
            float4 read[2 * kAtOnce];
            await(read, [&](int i) -> const float* {
                const int split = base + i / 2;
                return split < splits ? row + split * (kDim + 4) + (i % 2 ? kDim : 4 * at4 % kDim) : nullptr;
            });
#pragma unroll
            for (int i = 0; i < kAtOnce; ++i) {
                if (base + i >= splits) continue;
                const float4 o = read[2 * i], state = read[2 * i + 1];
                const float highest = fmaxf(top, state.x);
                const float old = __expf(top - highest), now = __expf(state.x - highest);
                v.x = v.x * old + o.x * now; v.y = v.y * old + o.y * now;
                v.z = v.z * old + o.z * now; v.w = v.w * old + o.w * now;
                mass = mass * old + state.y * now;
                top = highest;
            }
        }
        const float whole = 1.0f / mass;
        return make_float4(v.x * whole, v.y * whole, v.z * whole, v.w * whole);
    }

    __device__ __forceinline__ void measure(float4& v, int, float&, float& largest) const {
        largest = fmaxf(fmaxf(largest, fabsf(v.x)), fmaxf(fmaxf(fabsf(v.y), fabsf(v.z)), fabsf(v.w)));
    }
};

}  // namespace decode

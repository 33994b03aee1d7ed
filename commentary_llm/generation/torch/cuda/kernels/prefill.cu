// A forward pass of LLaMA over up to `max_tokens` new tokens as a sequence of kernels, 10 a layer:
//
//   embed, norm ─▶ [ qkv ─▶ rope, cache ─▶ attention ─▶ digits ─▶ out ═▶ add, norm ─▶ gate/up ─▶ silu ─▶ down ═▶ add, norm ]
//                  x layers ─▶ head ═▶ logits          ═▶ every rank stores its part into every rank's memory, waits for all
//
// Products are exact INT8: an activation row is two INT8 digits, x = scale * (d0 + d1 / 254), scale = max|x| / 127, as in
// the CPU kernels. Digits are columns of the products, sums are int32. After the last layer's attention only the rows
// whose logits are wanted go on.
#include <algorithm>

#include "prefill_attention.cuh"
#include "prefill_gemm.cuh"
#include "prefill_rows.cuh"

namespace prefill {

constexpr int kMostSplits = 8;

int ceil_div(int value, int by) { return (value + by - 1) / by; }

// The width of the products' cut for so many rows of activations: in 8-column blocks, and of the whole digits buffer.
int cut_blocks(int rows) { return rows <= 8 ? Narrow::kBlocks : rows <= 32 ? Middle::kBlocks : Wide::kBlocks; }
int digit_blocks(int rows) { return ceil_div(2 * rows, 8 * cut_blocks(rows)) * cut_blocks(rows); }

// Splits of a product's inputs: enough blocks to fill the GPU, in whole rounds, against what a split costs: a start (its
// first loads have nothing to hide behind) and sums written and read twice as wide. In units of a pair of chunks.
template <typename C>
int choose_splits(const Matrix& matrix, int rows, int64_t sums_bytes, int multiprocessors) {
    const int pairs = matrix.chunks / 2, places = multiprocessors * C::kResident;
    const int blocks = ceil_div(matrix.tiles, C::kTileRowsOfBlock) * ceil_div(2 * rows, 8 * C::kBlocks);
    int best = 1, lowest = 1 << 30;
    for (int splits = 1; splits <= std::min(kMostSplits, pairs); ++splits) {
        if (splits > 1 && static_cast<int64_t>(splits) * rows * matrix.rows() * 8 > sums_bytes) break;
        const int cost = ceil_div(blocks * splits, places) * (ceil_div(pairs, splits) + 6 + (splits > 1 ? 6 : 0)) + 2 * splits;
        if (cost < lowest) {
            lowest = cost;
            best = splits;
        }
    }
    return best;
}

template <typename C>
Sums launch_gemm(const Matrix& matrix, const int8_t* digits, int rows, int splits, void* sums, int64_t sums_bytes,
                 int multiprocessors, cudaStream_t stream) {
    if (!splits) splits = choose_splits<C>(matrix, rows, sums_bytes, multiprocessors);
    const dim3 grid(ceil_div(2 * rows, 8 * C::kBlocks), ceil_div(matrix.tiles, C::kTileRowsOfBlock), splits);
    gemm<C><<<grid, kGemmThreads, C::kSharedBytes, stream>>>(matrix, digits, digit_blocks(rows), rows, sums);
    return {sums, splits, rows, matrix.rows()};
}

Sums multiply_rows(const Matrix& matrix, const int8_t* digits, int rows, int splits, void* sums, int64_t sums_bytes,
                   int multiprocessors, cudaStream_t stream) {
    const auto launch = rows <= 8 ? launch_gemm<Narrow> : rows <= 32 ? launch_gemm<Middle> : launch_gemm<Wide>;
    return launch(matrix, digits, rows, splits, sums, sums_bytes, multiprocessors, stream);
}

struct Runner {
    Pass& pass;
    cudaStream_t stream;
    int multiprocessors;

    Sums product(const Matrix& matrix, const Batch& batch) const {
        return multiply_rows(matrix, pass.digits, batch.rows, 0, pass.sums, pass.sums_bytes, multiprocessors, stream);
    }

    // Blocks of a kernel that exchanges; counts the exchange, as the kernel is told of it.
    int exchange(int blocks) const {
        if (pass.ranks == 1) return blocks;
        blocks = std::min(blocks, kWaitingBlocks);
        ++pass.exchanges;
        pass.arrived += static_cast<unsigned>(blocks * pass.ranks);
        return blocks;
    }

    void add(const Source& source, const float* norm, const Batch& batch) const {
        const int blocks = exchange(batch.rows);
        add_norm<<<blocks, kRowThreads, 0, stream>>>(pass, source, norm, batch);
    }

    void attend(int layer) const {
        const int per_kv = pass.heads / pass.kv_heads;
        int tiles = 0;
        for (int i = 0; i < pass.span_count; ++i) tiles += ceil_div(pass.spans[i].count * per_kv, kQueryRows);
        const dim3 grid(tiles, pass.kv_heads);
        // Where there are few blocks, more warps share a row's keys.
        const int warps = tiles * pass.kv_heads <= 2 * multiprocessors ? 8 : 4;
        const int bytes = warps * attention_warp_floats(pass.head_dim) * static_cast<int>(sizeof(float));
        if (pass.head_dim == 64) {
            attention<64><<<grid, warps * 32, bytes, stream>>>(pass, layer);
        } else {
            attention<128><<<grid, warps * 32, bytes, stream>>>(pass, layer);
        }
    }

    cudaError_t run() const {
        const Batch all{pass.tokens, digit_blocks(pass.tokens), false};
        const Batch wanted{pass.logit_count, digit_blocks(pass.logit_count), true};
        add({true, {}, {}}, pass.input_norm, all);
        for (int layer = 0; layer < pass.layers; ++layer) {
            const bool last = layer + 1 == pass.layers;
            const Batch& batch = last ? wanted : all;
            const Matrix qkv = pass.qkv.of(layer), out = pass.out.of(layer), gate_up = pass.gate_up.of(layer), down = pass.down.of(layer);
            Sums sums = product(qkv, all);
            const int octets = (pass.heads + 2 * pass.kv_heads) * pass.head_dim / 8;
            finish_qkv<<<dim3(pass.tokens, ceil_div(octets, 256)), 256, 0, stream>>>(pass, qkv, sums, layer);
            if (!batch.rows) break;  // the cache is all that was wanted
            attend(layer);
            digits_of_attended<<<batch.rows, kRowThreads, 0, stream>>>(pass, batch);
            sums = product(out, batch);
            add({false, out, sums}, pass.post_norm + static_cast<int64_t>(layer) * pass.hidden, batch);
            sums = product(gate_up, batch);
            digits_of_activated<<<batch.rows, kRowThreads, 0, stream>>>(pass, gate_up, sums, batch);
            sums = product(down, batch);
            add({false, down, sums}, last ? pass.final_norm : pass.input_norm + static_cast<int64_t>(layer + 1) * pass.hidden, batch);
            if (const cudaError_t error = cudaGetLastError(); error != cudaSuccess) return error;
        }
        if (wanted.rows) {
            const Sums sums = product(pass.head, wanted);
            const int blocks = exchange(ceil_div(wanted.rows * ceil_div(pass.local_vocabulary, 8), kRowThreads));
            finish_head<<<blocks, kRowThreads, 0, stream>>>(pass, sums);
        }
        return cudaGetLastError();
    }
};

int multiprocessor_count() {
    int device = 0, count = 0;
    cudaGetDevice(&device);
    cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device);
    return count;
}

// Digits of plain rows, for tests of the product alone.
__global__ void pack_digits(const int8_t* digits, int inputs, int blocks, int8_t* packed) {
    const int column = blockIdx.x;
    for (int input = threadIdx.x; input < inputs; input += blockDim.x) {
        const int chunk = input / 32, lane = column % 8 * 4 + input % 32 / 8;
        packed[(static_cast<int64_t>(chunk / 2) * blocks + column / 8) * kChunkBytes + lane * 16 + chunk % 2 * 8 + input % 8] =
            digits[static_cast<int64_t>(column) * inputs + input];
    }
}

template <typename... Arguments>
cudaError_t prepare(void (*kernel)(Arguments...), int shared_bytes = 0) {
    cudaFuncAttributes attributes;
    const cudaError_t error = cudaFuncGetAttributes(&attributes, kernel);
    if (error != cudaSuccess || !shared_bytes) return error;
    return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
}

}  // namespace prefill

using namespace prefill;

extern "C" {

int prefill_bytes() { return sizeof(Pass); }

// 8-column blocks of the digits of so many rows.
int prefill_digit_blocks(int rows) { return digit_blocks(rows); }

// To be called once on the current device: loads every kernel (a kernel loaded at its first launch may wait for others
// that run, and so for a rank that waits for this one) and allows the shared memory they need. Returns a cudaError_t.
int prefill_prepare() {
    const auto joining = [](int head_dim) { return 8 * attention_warp_floats(head_dim) * static_cast<int>(sizeof(float)); };
    for (const cudaError_t error :
         {prepare(gemm<Narrow>, Narrow::kSharedBytes), prepare(gemm<Middle>, Middle::kSharedBytes), prepare(gemm<Wide>, Wide::kSharedBytes),
          prepare(attention<64>, joining(64)), prepare(attention<128>, joining(128)), prepare(add_norm), prepare(finish_qkv),
          prepare(digits_of_attended), prepare(digits_of_activated), prepare(finish_head), prepare(pack_digits)}) {
        if (error != cudaSuccess) return error;
    }
    return cudaSuccess;
}

// Queues a pass on `stream` and counts its exchanges in `parameters`. Returns a cudaError_t.
int prefill_run(void* parameters, void* stream) {
    return Runner{*static_cast<Pass*>(parameters), static_cast<cudaStream_t>(stream), multiprocessor_count()}.run();
}

// One product, for tests: plain digits (2 * rows, inputs) int8, two neighbouring rows a token, into `sums` as `Sums` says.
// `packed` holds (chunks / 2) * prefill_digit_blocks(rows) * 512 bytes. Returns a cudaError_t.
int prefill_multiply(const int8_t* weights, int tiles, int chunks, const int8_t* digits, int inputs, int rows, int splits, int8_t* packed,
                     void* sums, void* stream) {
    const cudaStream_t on = static_cast<cudaStream_t>(stream);
    pack_digits<<<2 * rows, 256, 0, on>>>(digits, inputs, digit_blocks(rows), packed);
    multiply_rows({weights, nullptr, tiles, chunks, inputs}, packed, rows, splits, sums, 0, 1, on);
    return cudaGetLastError();
}
}

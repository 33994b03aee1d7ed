// The order of the work, which the threads of a block that stream, multiply and finish follow each by itself.
#pragma once
#include "device.cuh"

namespace decode {

// The tiles of a matrix that a cluster multiplies: a run of neighbours.
struct Tiles {
    int first, count;
};

__device__ __forceinline__ Tiles tiles_of(const Matrix& matrix, int cluster, int clusters) {
    const int first = cluster * matrix.tiles / clusters;
    return {first, (cluster + 1) * matrix.tiles / clusters - first};
}

// So many tiles that their sums fit shared memory: all of a cluster's, or a part of them.
struct Round {
    int kind = 0, layer = 0, first = 0, count = 0;
    bool opens = true;  // a product: its inputs are to be taken

    __device__ explicit Round(const Tiles* tiles) { begin(tiles[0]); }

    __device__ void begin(const Tiles& tiles) {
        first = tiles.first;
        count = min(kRoundTiles, tiles.count);
        opens = true;
    }

    // `tiles` of each kind of product, this cluster's. After the last round its kind is beyond kHead.
    __device__ Round next(const Tiles* tiles, int layers) const {
        Round later = *this;
        later.first += count;
        later.count = min(kRoundTiles, tiles[kind].first + tiles[kind].count - later.first);
        later.opens = false;
        if (later.count > 0) return later;
        later.kind = kind == kDown ? (layer + 1 == layers ? kHead : kQkv) : kind + 1;
        later.layer = layer + (kind == kDown);
        if (kind != kHead) later.begin(tiles[later.kind]);
        return later;
    }

    __device__ int matrix_layer() const { return kind == kHead ? 0 : layer; }  // there is one head
};

}  // namespace decode

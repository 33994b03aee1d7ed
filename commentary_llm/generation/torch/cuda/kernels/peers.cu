// Memory that other processes' GPUs on this host can reach (CUDA IPC over NVLink or PCIe).
#include <cuda_runtime.h>

#include <cstring>

extern "C" {

int peers_handle_bytes() { return sizeof(cudaIpcMemHandle_t); }

// Allocates on the current device and writes the handle by which another process opens it. Returns a cudaError_t.
int peers_allocate(size_t bytes, void** memory, void* handle) {
    cudaError_t error = cudaMalloc(memory, bytes);
    if (error != cudaSuccess) return error;
    cudaIpcMemHandle_t own;
    error = cudaIpcGetMemHandle(&own, *memory);
    if (error != cudaSuccess) return error;
    std::memcpy(handle, &own, sizeof own);
    return cudaSuccess;
}

int peers_open(const void* handle, void** memory) {
    cudaIpcMemHandle_t theirs;
    std::memcpy(&theirs, handle, sizeof theirs);
    return cudaIpcOpenMemHandle(memory, theirs, cudaIpcMemLazyEnablePeerAccess);
}

int peers_fill(void* memory, int byte, size_t bytes) { return cudaMemset(memory, byte, bytes); }

const char* peers_error(int code) { return cudaGetErrorString(static_cast<cudaError_t>(code)); }
}

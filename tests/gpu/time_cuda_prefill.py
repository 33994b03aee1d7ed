"""Times the prefill pass on one GPU with the shapes that one of two ranks has of LLaMA-7B; weights are random.

    PYTHONPATH=. python tests/gpu/time_cuda_prefill.py [--layers 32] [--context 0] [--profile 32 128 512]

Prints milliseconds a pass for several numbers of tokens, their lower bound from the weights' bytes, what queueing costs
the CPU, and for the profiled ones every kernel's share. One rank: the exchange between ranks is not in the numbers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import torch
from random_llama import Stacked, config_of, rotations

from checkpoints.llama import LlamaShape
from commentary_llm.generation.torch_backend.config import ModelConfig
from commentary_llm.generation.torch_backend.cuda.prefill import Exchange, PrefillPass, logits_bytes

_CONTEXT, _MAX_TOKENS = 2048, 512
_BYTES_A_MS = 3.35e9  # H100 SXM, data sheet


class RandomWeights:
    """One rank's packed weights, drawn on the GPU: values and scales mean nothing, but activations stay finite."""

    def __init__(self, config: ModelConfig) -> None:
        local = config.local
        heads = (local.query_heads + 2 * local.kv_heads) * local.head_dim
        self.qkv = self._stacked(local.layers, heads, local.hidden)
        self.out = self._stacked(local.layers, local.hidden, local.query_heads * local.head_dim)
        self.gate_up = self._stacked(local.layers, 2 * -(-local.intermediate // 8) * 8, local.hidden)
        self.down = self._stacked(local.layers, local.hidden, local.intermediate)
        self.head = self._stacked(1, local.vocabulary, local.hidden)
        self.embedding = torch.randint(-127, 128, (local.vocabulary, local.hidden), dtype=torch.int8, device="cuda")
        self.embedding_scale = torch.full((local.vocabulary,), 1 / 73, device="cuda")
        self.input_norm = torch.ones(local.layers, local.hidden, device="cuda")
        self.post_norm = torch.ones(local.layers, local.hidden, device="cuda")
        self.final_norm = torch.ones(local.hidden, device="cuda")
        self.rotation = rotations(config).cuda()

    @staticmethod
    def _stacked(layers: int, rows: int, inputs: int) -> Stacked:
        tiles, chunks = -(-rows // 16), -(-inputs // 128) * 4
        weights = torch.randint(-127, 128, (layers, tiles * chunks * 512), dtype=torch.int8, device="cuda")
        scales = torch.full((layers, tiles * 16), 1 / 73 / inputs**0.5, device="cuda")
        return Stacked(weights, scales, tiles, chunks, inputs)

    @property
    def size_bytes(self) -> int:
        matrices = (self.qkv, self.out, self.gate_up, self.down, self.head)
        return sum(matrix.weights.numel() for matrix in matrices)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--context", type=int, default=0, help="positions already in the cache")
    parser.add_argument("--tokens", type=int, nargs="+", default=[1, 8, 32, 48, 128, 256, 512])
    parser.add_argument("--profile", type=int, nargs="*", default=[32, 128, 512])
    parser.add_argument("--repeats", type=int, default=20)
    arguments = parser.parse_args()
    config = config_of(LlamaShape(arguments.layers, 4096, 16, 16, 128, 5504, 16000, tied=False), 1, _CONTEXT)
    local, weights = config.local, RandomWeights(config)
    cache = torch.zeros(local.layers, 1, local.kv_heads, 2, _CONTEXT, local.head_dim, dtype=torch.float16).cuda()
    logits = torch.empty(logits_bytes(config, 1) // 4, device="cuda")
    exchange = Exchange(0, 1, (), (), (logits.data_ptr(),))
    prefill = PrefillPass(config, weights, cache, exchange, _MAX_TOKENS)
    print(f"{torch.cuda.get_device_name()}; weights' bound {weights.size_bytes / _BYTES_A_MS:.2f} ms")
    results = {}
    for tokens in arguments.tokens:
        ids = torch.randint(local.vocabulary, (tokens,), dtype=torch.int32, device="cuda")
        spans, rows = [(0, arguments.context, tokens)], [tokens - 1]
        for _ in range(3):
            prefill.run(ids, spans, rows)
        torch.cuda.synchronize()
        times, queued = [], []
        for _ in range(arguments.repeats):
            start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            began = time.perf_counter()
            prefill.run(ids, spans, rows)
            queued.append(1e3 * (time.perf_counter() - began))
            stop.record()
            stop.synchronize()
            times.append(start.elapsed_time(stop))
        results[tokens] = statistics.median(times)
        print(
            f"{tokens:4d} tokens: {results[tokens]:7.3f} ms (best {min(times):.3f}, worst {max(times):.3f}); "
            f"queueing {statistics.median(queued):.2f} ms"
        )
        if tokens in arguments.profile:
            profile(prefill, ids, spans, rows)
    assert bool(logits[: local.vocabulary].isfinite().all())
    print(json.dumps({"device": torch.cuda.get_device_name(), "context": arguments.context, "ms": results}))


def profile(prefill: PrefillPass, ids: torch.Tensor, spans: list[tuple[int, int, int]], rows: list[int]) -> None:
    """Prints, for one pass, each kernel's calls and microseconds; products of one shape have one grid."""
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profiler:
        prefill.run(ids, spans, rows)
        torch.cuda.synchronize()
    found: dict[str, list[float]] = {}
    for event in sorted(profiler.events(), key=lambda event: event.time_range.start):
        if event.device_type == torch.autograd.DeviceType.CUDA:
            name = event.name.removeprefix("void ").replace("prefill::", "").split("(")[0]
            found.setdefault(name, []).append(event.time_range.elapsed_us())
    for name, times in sorted(found.items(), key=lambda item: -sum(item[1])):
        # Products of a layer, in order: qkv, out, gate_up, down.
        parts = ""
        if name.startswith("gemm") and len(times) >= 8:
            whole = len(times) // 4 * 4
            parts = "; of each layer " + ", ".join(f"{statistics.mean(times[i:whole:4]):.1f}" for i in range(4))
        mean, total = statistics.mean(times), sum(times) / 1e3
        print(f"      {name:45s} {len(times):4d} x {mean:7.2f} us = {total:7.3f} ms{parts}")


if __name__ == "__main__":
    main()

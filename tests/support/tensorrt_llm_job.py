"""What ranks do with a real TensorRT-LLM: `tensorrt_llm_job.py MODEL build|generate [OPTION …]`.

Options: `no-fusion` (build without reduce_fusion), `no-graphs` (run without CUDA graphs). Rank 0 prints TOKENS lines,
every rank when its executor has ended.
"""

from __future__ import annotations

import json
import sys
import time
from unittest import mock

from mpi4py import MPI

from checkpoints.progress import Reporter
from checkpoints.tensorrt_llm import convert
from checkpoints.tensorrt_llm.build import build_llm_engines
from commentary_llm.artifacts.tensorrt_llm import EngineOptions
from commentary_llm.generation import GenerationRequest, SamplingParams
from commentary_llm.generation.tensorrt_llm.config import TensorRTLLMConfig
from commentary_llm.generation.tensorrt_llm.generator import open_tensorrt_llm_generator
from commentary_llm.generation.tensorrt_llm.worker import serve_tensorrt_llm_generator
from commentary_llm.ground.home import llm_engines_dir
from commentary_llm.ground.world import leave

PROMPTS = ("Goal! Messi", "The referee points to the spot", "90+4 minutes, and")
WAIT_S = 60.0


def build(model: str, options: list[str]) -> None:
    asked = convert.plugin_options

    def without_fusion(engine: EngineOptions, ranks: int) -> dict[str, object]:
        return {**asked(engine, ranks), "reduce_fusion": False}

    chosen = without_fusion if "no-fusion" in options else asked
    with mock.patch.object(convert, "plugin_options", chosen):
        build_llm_engines(model, EngineOptions(max_seq_len=512, max_num_tokens=512), MPI.COMM_WORLD, Reporter())


def generate(model: str, options: list[str]) -> None:
    comm = MPI.COMM_WORLD
    config = TensorRTLLMConfig(llm_engines_dir(model, comm.size), model, cuda_graphs="no-graphs" not in options)
    if comm.rank:
        started = time.monotonic()
        serve_tensorrt_llm_generator(config, comm)
        print(f"FOLLOWED {time.monotonic() - started:.1f}", flush=True)
        return
    with open_tensorrt_llm_generator(config, comm if comm.size > 1 else None) as generator:
        for prompt in PROMPTS:
            request = GenerationRequest("", prompt, SamplingParams(max_new_tokens=24))
            (completion,) = generator.submit(request).result(WAIT_S)
            print("TOKENS", json.dumps(completion.token_ids), flush=True)
        sampling = SamplingParams(max_new_tokens=200, temperature=1.0, candidates=4)
        handle = generator.submit(GenerationRequest("", PROMPTS[0], sampling))
        next(iter(handle))
        generator.cancel(handle)
        print("CANCELLED", [completion.finish_reason.value for completion in handle.result(WAIT_S)], flush=True)
        late = generator.submit(GenerationRequest("", PROMPTS[0], SamplingParams(max_new_tokens=400), deadline_ms=30))
        print("LATE", late.result(WAIT_S)[0].finish_reason.value, flush=True)
        prefix = "The match is in its final minutes and nobody in the stadium is sitting down any more. " * 4
        for end in ("A", "B"):
            again = generator.submit(GenerationRequest(prefix, end, SamplingParams(max_new_tokens=2)))
            again.result(WAIT_S)
        print("CACHED", again.cached_tokens, flush=True)
        time.sleep(3)  # heartbeats while nothing runs
    print("CLOSED", flush=True)


def main() -> int:
    model, step, options = sys.argv[1], sys.argv[2], sys.argv[3:]
    (build if step == "build" else generate)(model, options)
    return 0


if __name__ == "__main__":
    leave(main)

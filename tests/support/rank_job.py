"""What the ranks of the mpirun tests do: `rank_job.py MODE SHARDS`. Rank 0 prints what it saw as one JSON line."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from device_double import drawing_on_device
from mpi4py import MPI

from commentary_llm.generation import GenerationRequest, SamplingParams
from commentary_llm.generation.torch.backend import TorchBackendConfig
from commentary_llm.generation.torch.generator import open_torch_generator
from commentary_llm.generation.torch.runner import StepRunner
from commentary_llm.generation.torch.worker import serve_torch_generator
from commentary_llm.ground.errors import CommentaryError

PROMPTS = ("Goal! Messi", "The referee points to the spot", "90+4 minutes")


def main(mode: str, shards: Path) -> None:
    if mode.startswith("ahead-"):
        with drawing_on_device(queued=False):
            run(mode.removeprefix("ahead-"), shards)
    else:
        run(mode, shards)


def run(mode: str, shards: Path) -> None:
    comm = MPI.COMM_WORLD
    config = TorchBackendConfig(shards, compute_dtype="float32", max_context=300)
    if comm.rank:
        if comm.rank == comm.size - 1:
            sabotage(mode)
        serve_torch_generator(config, comm)
        return
    with open_torch_generator(config, comm) as generator:
        if mode == "tokens":
            greedy = SamplingParams(max_new_tokens=12)
            drawn = SamplingParams(15, temperature=0.9, top_p=0.9, repetition_penalty=1.2, seed=4, candidates=3)
            requests = [GenerationRequest("", prompt, params) for prompt in PROMPTS for params in (greedy, drawn)]
            handles = [generator.submit(request) for request in requests]
            print(json.dumps([[c.token_ids for c in handle.result(50)] for handle in handles]), flush=True)
            time.sleep(1.5)  # idle long enough for a ping
            return
        started = time.perf_counter()
        try:
            while time.perf_counter() - started < 30:
                if mode.endswith("idle"):
                    time.sleep(0.1)
                    if time.perf_counter() - started < 6:
                        continue
                generator.submit(GenerationRequest("", PROMPTS[0], SamplingParams(max_new_tokens=100))).result(30)
        except CommentaryError as error:
            print("CAUGHT", type(error).__name__, error, flush=True)


def sabotage(mode: str) -> None:
    """Makes this rank die 0.7 s from now, or in its 20th step."""
    kind = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "stop-idle": signal.SIGSTOP}.get(mode)
    if kind is not None:
        delay_s = 3.0  # after loading
        threading.Timer(delay_s, lambda: os.kill(os.getpid(), kind)).start()
    elif mode == "raise":
        logits, count = StepRunner.logits, iter(range(20))

        def failing(self: StepRunner, plan: object) -> object:
            if next(count, None) is None:
                raise ZeroDivisionError("the sabotaged step")
            return logits(self, plan)  # type: ignore[arg-type]

        StepRunner.logits = failing  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

"""What the ranks of the TensorRT-LLM jobs do: `trt_job.py MODE`, with COMMENTARY_HOME set and the double in place.

Rank 0 prints what it saw as lines that begin with a word in capitals.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from trt_pretend import pretend


def generate(mode: str) -> None:
    from mpi4py import MPI

    from commentary_llm.generation import GenerationRequest, SamplingParams
    from commentary_llm.generation.peers import RankTimeouts
    from commentary_llm.generation.registry import select_backend
    from commentary_llm.generation.tensorrt_llm.config import TensorRTLLMConfig
    from commentary_llm.generation.tensorrt_llm.generator import open_tensorrt_llm_generator
    from commentary_llm.generation.tensorrt_llm.worker import serve_tensorrt_llm_generator
    from commentary_llm.ground.errors import CommentaryError
    from commentary_llm.ground.home import llm_engines_dir
    from commentary_llm.settings import EngineConfig

    comm = MPI.COMM_WORLD
    timeouts = RankTimeouts(start_s=60.0, grace_s=1.0)
    folder = llm_engines_dir("llama3", 2)
    stall_s = 3.0 if mode == "hang" else 20.0  # a stopped rank is to be noticed by its missing heartbeats
    engines = TensorRTLLMConfig(folder, "llama3", stall_s=stall_s, shutdown_s=8.0, timeouts=timeouts)
    if mode == "auto":
        choice = select_backend("auto", EngineConfig(llm="llama3").station.model_options, comm)
        print(f"CHOICE {comm.rank} {choice}", flush=True)
        return
    if comm.rank:
        if mode in ("stop-follower", "kill-follower"):
            threading.Thread(target=hit_follower, args=(mode,), daemon=True).start()
        serve_tensorrt_llm_generator(engines, comm)
        print(f"LEFT rank {comm.rank}", flush=True)
        return
    generator = open_tensorrt_llm_generator(engines, comm)
    print("OPEN", generator.description, flush=True)
    if mode == "raise":
        raise ZeroDivisionError("the program fails without closing")
    if mode == "stop-leader":
        threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGSTOP)).start()
    try:
        for seed in range(3):
            params = SamplingParams(max_new_tokens=100, temperature=0.8, seed=seed, candidates=3, stop=("\n",))
            handle = generator.submit(GenerationRequest("Goal! ", "Messi scores", params))
            for completion in handle.result(30):
                print("TEXT", repr(completion.text), flush=True)
        print("CACHED", handle.cached_tokens, flush=True)
        if mode == "idle":
            time.sleep(2.5)  # some heartbeats
        started = time.perf_counter()
        while mode not in ("text", "idle") and time.perf_counter() - started < 25:
            params = SamplingParams(max_new_tokens=200)
            generator.submit(GenerationRequest("", "Messi", params)).result(30)
    except CommentaryError as error:
        print("CAUGHT", type(error).__name__, error, flush=True)
        time.sleep(5)
    generator.close()
    print("CLOSED", flush=True)


def hit_follower(mode: str) -> None:
    """Stops or kills this process when it serves."""
    while not any(thread.name == "executor-follower" for thread in threading.enumerate()):
        time.sleep(0.05)
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGSTOP if mode.startswith("stop") else signal.SIGTERM)


def rules() -> None:
    """The bindings called directly, wrongly by the follower: what the double has to refuse."""
    from datetime import timedelta

    import tensorrt_llm.bindings.executor as bindings
    from mpi4py import MPI

    from commentary_llm.ground.home import llm_engines_dir

    rank = MPI.COMM_WORLD.rank
    executor = bindings.Executor(
        str(llm_engines_dir("llama3", 2)), bindings.ModelType.DECODER_ONLY, bindings.ExecutorConfig()
    )
    print(f"LEADS {rank} {executor.can_enqueue_requests()}", flush=True)
    if rank == 0:
        time.sleep(2.0)
        executor.shutdown()
        return
    for name, call in (
        ("enqueue", lambda: executor.enqueue_requests([])),
        ("await", lambda: executor.await_responses(timeout=timedelta(milliseconds=1))),
        ("cancel", lambda: executor.cancel_request(1)),
    ):
        try:
            call()
        except RuntimeError as error:
            print(f"REFUSED {name}: {error}", flush=True)
    started = time.perf_counter()
    executor.shutdown()
    print(f"BLOCKED {time.perf_counter() - started > 0.5}", flush=True)


def build(arguments: list[str]) -> int:
    from checkpoints.__main__ import main

    return main(["engines", "build-llm", *arguments])


def replay(arguments: list[str]) -> None:
    """As `python -m commentary_llm replay`."""
    from commentary_llm.commands.cli import main
    from commentary_llm.ground.world import leave

    leave(lambda: main(["replay", *arguments]))


if __name__ == "__main__":
    mode, rest = sys.argv[1], sys.argv[2:]
    rank = int(os.environ.get("OMPI_COMM_WORLD_RANK", "0"))
    gpus = int(os.environ.get("PRETEND_GPUS", "2"))
    major = int(os.environ.get("PRETEND_MAJOR", "9"))
    name = os.environ.get(f"PRETEND_GPU_{rank}", "NVIDIA H100 80GB HBM3")
    with pretend(gpus, name=name, capability=(major, 0)):
        if mode == "build":
            sys.exit(build(rest))
        if mode == "replay":
            replay(rest)
        if mode == "rules":
            rules()
        else:
            generate(mode)

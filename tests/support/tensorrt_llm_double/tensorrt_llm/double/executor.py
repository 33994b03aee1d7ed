"""The executor: which rank may call what, and when."""

from __future__ import annotations

import itertools
import json
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from .configs import ExecutorConfig, expect
from .enums import CommunicationMode, ModelType
from .loop import ExecutionLoop
from .ranks import Ranks
from .requests import Request
from .responses import Response
from .rules import control, note, refuse


class Executor:
    def __init__(self, model_path: str | Path, model_type: ModelType, executor_config: ExecutorConfig) -> None:
        if not isinstance(model_path, (str, Path)):
            raise TypeError(f"model_path: incompatible function arguments, got {model_path!r}")
        expect("model_type", model_type, ModelType, False)
        expect("executor_config", executor_config, ExecutorConfig, False)
        if executor_config.parallel_config.communication_mode is not CommunicationMode.LEADER:
            refuse("the double has no orchestrator")
        self._ranks = Ranks()
        directory = Path(model_path)
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        mapping = config["pretrained_config"]["mapping"]
        if mapping["tp_size"] != self._ranks.size:
            refuse(
                "With communicationMode kLEADER, MPI worldSize is expected to be equal to tp*pp*cp when participantIds "
                "are not specified"
            )
        if control.fail_load_rank == self._ranks.rank:
            raise RuntimeError("[TensorRT-LLM][ERROR] CUDA runtime error: out of memory")
        engine = self._engine(directory, mapping["gpus_per_node"])
        build, plugins = config["build_config"], config["build_config"]["plugin_config"]
        if executor_config.kv_cache_config.enable_block_reuse and not plugins["use_paged_context_fmha"]:
            refuse("KV cache reuse needs an engine built with use_paged_context_fmha")
        self._ranks.connect()
        self._max_queue = executor_config.max_queue_size or 0
        self._ids = itertools.count(1)
        self._ready: dict[int, list[Response]] = {}
        self._terminated: set[int] = set()
        self._came = threading.Condition()
        self._shut = False
        max_batch = min(executor_config.max_batch_size or build["max_batch_size"], build["max_batch_size"])
        self._loop = ExecutionLoop(self._ranks, engine["script"], max_batch, build["max_seq_len"], self._respond)

    def _engine(self, directory: Path, gpus_per_node: int) -> dict[str, Any]:
        import torch

        rank = self._ranks.rank
        device = rank % gpus_per_node
        if device >= torch.cuda.device_count():
            refuse(f"CUDA runtime error in cudaSetDevice({device}): invalid device ordinal")
        engine: dict[str, Any] = json.loads((directory / f"rank{rank}.engine").read_text(encoding="utf-8"))
        major, minor = torch.cuda.get_device_capability(device)
        if engine["compute_capability"] != f"{major}.{minor}":
            refuse(
                f"The engine plan file is generated on an incompatible device, expecting compute {major}.{minor} got "
                f"compute {engine['compute_capability']}, please rebuild."
            )
        if engine["rank"] != rank:
            refuse(f"rank{rank}.engine holds the engine of rank {engine['rank']}")
        return engine

    def can_enqueue_requests(self) -> bool:
        return not self._shut and self._ranks.rank == 0

    def enqueue_request(self, request: Request) -> int:
        return self.enqueue_requests([request])[0]

    def enqueue_requests(self, requests: list[Request]) -> list[int]:
        self._check("enqueueRequests")
        if not all(isinstance(request, Request) for request in requests):
            raise TypeError("enqueue_requests(): incompatible function arguments")
        waiting = len(self._loop.queue)
        if self._max_queue and waiting + len(requests) > self._max_queue:
            raise RuntimeError(f"[TensorRT-LLM][ERROR] Maximum queue size of {self._max_queue} has been reached")
        ids = [next(self._ids) for _ in requests]
        self._loop.enqueue(list(zip(ids, requests, strict=True)))
        return ids

    def await_responses(self, id: int | None = None, timeout: timedelta | None = None) -> list[Response]:
        self._check("awaitResponses")
        if timeout is not None and not isinstance(timeout, timedelta):
            raise TypeError("await_responses(): incompatible function arguments, timeout has to be a timedelta")
        seconds = None if timeout is None else timeout.total_seconds()
        with self._came:
            if id is None:
                self._came.wait_for(lambda: bool(self._ready), seconds)
                taken, self._ready = self._ready, {}
                responses = [response for group in taken.values() for response in group]
            elif id in self._terminated:
                return [Response(id, f"ReqId {id} has already been processed and was terminated.", None)]
            else:  # an id that nobody enqueued is waited for as long as the timeout says, without one for ever
                self._came.wait_for(lambda: id in self._ready, seconds)
                responses = self._ready.pop(id, [])
            for response in responses:
                if response.has_error() or response.result.is_final:
                    self._terminated.add(response.request_id)
            return responses

    def cancel_request(self, id: int) -> None:
        self._check("cancelRequest")
        with self._came:
            if id in self._terminated:
                return
        with self._loop.queued:
            self._loop.cancelled.add(id)

    def shutdown(self) -> None:
        if self._shut:
            return
        self._shut = True
        time.sleep(control.slow_shutdown_s)
        if self._ranks.rank == 0:
            self._loop.enqueue([(-1, None)])
        self._loop.join()

    def _check(self, function: str) -> None:
        if self._shut:
            refuse(f"Shutdown called, cannot {function}")
        if self._ranks.rank:
            refuse(f"With LEADER communication mode, only leader rank is expected to call {function}")

    def _respond(self, responses: list[Response]) -> None:
        with self._came:
            for response in responses:
                self._ready.setdefault(response.request_id, []).append(response)
            self._came.notify_all()

    def __del__(self) -> None:
        if not getattr(self, "_shut", True):
            note("an executor was dropped without shutdown()")

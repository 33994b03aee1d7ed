"""Rank 0's scheduler thread: takes requests, plans steps, runs them with the other ranks, streams what they draw."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from commentary_llm.generation.handle import RequestHandle
from commentary_llm.generation.interface import FinishReason
from commentary_llm.generation.peers import Peers
from commentary_llm.generation.tokenizer import Tokenizer
from commentary_llm.generation.torch.backend import RankBackend, TorchBackendConfig, connect, load_backend
from commentary_llm.generation.torch.candidate import Candidate
from commentary_llm.generation.torch.plans import Plans
from commentary_llm.generation.torch.runner import Drawn
from commentary_llm.generation.torch.scheduler import ScheduledRequest, Sequence
from commentary_llm.ground.errors import BusyError, CommentaryError, EngineError, RankLostError

if TYPE_CHECKING:
    from mpi4py import MPI

    from commentary_llm.ground.device_turn import DeviceTurn

log = logging.getLogger(__name__)


class DecodeLoop:
    """Owns the model on rank 0. All MPI calls and torch steps happen on its thread; other methods are thread-safe."""

    def __init__(self, config: TorchBackendConfig, comm: MPI.Comm | None, turn: DeviceTurn | None = None) -> None:
        """`turn`: of rank 0's GPU; who has it is let past, between plans."""
        self._config, self._comm, self._turn = config, comm, turn
        self._changed = threading.Condition()
        self._inbox: list[RequestHandle] = []
        self._cancelled: list[RequestHandle] = []
        self._closing = False
        self._queued = 0  # in the inbox or waiting in the scheduler
        self._ready = threading.Event()
        self._error: CommentaryError | None = None
        self._requests: dict[ScheduledRequest, RequestHandle] = {}
        self._candidates: dict[Sequence, Candidate] = {}
        self._next_id = 0
        self._plans: Plans  # made when the runner is known
        self._backend: RankBackend | None = None
        self._tokenizer: Tokenizer | None = None
        # Not a daemon: at the program's end it has to stop or abort the other ranks before MPI is finalised.
        self._thread = threading.Thread(target=self._run, name="decode-loop")

    def start(self) -> tuple[RankBackend, Tokenizer]:
        """Loads model and tokenizer on the loop's thread and waits for every rank. Raises what loading raised."""
        self._thread.start()
        # Loading waits for other ranks at most `start_s` twice: to meet them and to see them loaded.
        self._ready.wait(2 * self._config.timeouts.start_s + 60)
        if self._error is not None:
            raise self._error
        if self._backend is None or self._tokenizer is None:
            raise EngineError("the model was not loaded in time; is the disk that holds the shards answering?")
        return self._backend, self._tokenizer

    def submit(self, handle: RequestHandle) -> None:
        """Queues a request. Raises BusyError when the queue is full, EngineError or RankLostError once it is over."""
        with self._changed:
            self._raise_ended()
            if self._queued >= self._config.max_waiting:
                raise BusyError(
                    f"{self._queued} requests are waiting, no more are taken; cancel some or submit more slowly"
                )
            self._queued += 1
            self._inbox.append(handle)
            self._changed.notify()

    def cancel(self, handle: RequestHandle) -> None:
        """Asks for the end of a request; finished ones stay as they are."""
        with self._changed:
            if not handle.finished:
                self._cancelled.append(handle)
                self._changed.notify()

    def close(self) -> None:
        """Cancels what is running, stops all ranks and joins the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            timeouts = self._config.timeouts
            self._thread.join(timeouts.answer_s + timeouts.grace_s + 5)

    def _raise_ended(self) -> None:
        if self._error is not None:
            raise self._error
        if self._closing:
            raise EngineError("the generator is closed")

    def _run(self) -> None:
        peers: Peers | None = None
        try:
            manifest, peers = connect(self._config, self._comm)
            self._tokenizer = Tokenizer(self._config.shards)
            self._backend = load_backend(self._config, manifest, peers)
            self._plans = Plans(self._config, self._backend)
            self._ready.set()
            self._serve(self._plans)
        except CommentaryError as error:
            self._fail(error, peers)
        except Exception as error:
            log.exception("the decode loop failed")
            self._fail(EngineError(f"the decode loop failed: {type(error).__name__}: {error}"), peers)

    def _fail(self, error: CommentaryError, peers: Peers | None) -> None:
        """Every caller gets the error; other ranks cannot go on, so the job ends after time to close outputs."""
        with self._changed:
            self._error = error
            handles = [*self._requests.values(), *self._inbox]
        for handle in handles:
            handle.fail(error)
        self._ready.set()
        if peers is not None:
            log.critical("%s", error)
            if not isinstance(error, RankLostError):
                error = EngineError(f"{peers.label(0)} failed: {error}")
            time.sleep(peers.timeouts.grace_s)
            peers.abort(str(error))

    def _serve(self, plans: Plans) -> None:
        while self._take():
            plans.fill(self._may_plan)
            self._count_queued()
            if plans.in_flight:
                for sequence, drawn in plans.read():
                    self._advance(sequence, drawn)
            elif self._idle():
                plans.ping()
        for request in list(self._requests):
            self._end(request, FinishReason.CANCELLED)
        plans.close()

    def _may_plan(self) -> bool:
        """Whether the GPU is ours, after a wait where nothing else is left to do.

        What runs there already can be read meanwhile. Ranks above 0 hear of a plan only when it may run.
        """
        if self._turn is not None and self._turn.pending:
            if self._plans.in_flight:
                return False
            self._turn.wait()
        return True

    def _idle(self) -> bool:
        """Waits for something to do; True when it is time to ping the other ranks instead.

        A request that comes waits `batch_window_ms` for others, which then share its first step: unless a batch is
        full, since what comes after would have to wait anyway. Beside running sequences nothing waits.
        """
        window_s = self._config.batch_window_ms / 1e3
        with self._changed:
            timeout_s = self._config.timeouts.ping_s
            if not self._changed.wait_for(lambda: self._inbox or self._cancelled or self._closing, timeout_s):
                return True
            if window_s and self._inbox:
                self._changed.wait_for(lambda: self._full_batch() or self._cancelled or self._closing, window_s)
            return False

    def _full_batch(self) -> bool:
        return sum(handle.request.sampling.candidates for handle in self._inbox) >= self._config.max_batch

    def _count_queued(self) -> None:
        with self._changed:
            self._queued = len(self._inbox) + self._plans.scheduler.waiting

    def _take(self) -> bool:
        """Moves new requests to the scheduler and ends cancelled and late ones; False when the loop is to end."""
        with self._changed:
            inbox, self._inbox = self._inbox, []
            cancelled, self._cancelled = self._cancelled, []
            # A program that ends without `close` (an exception on its way out) must not leave ranks waiting.
            closing = self._closing or not threading.main_thread().is_alive()
        for handle in inbox:
            request = ScheduledRequest(
                self._next_id, handle.prompt, handle.request.sampling, handle.request.priority, handle.request.prefix
            )
            self._next_id += 1
            self._requests[request] = handle
            self._plans.scheduler.add(request)
        now_s = time.perf_counter()
        for request, handle in list(self._requests.items()):
            if handle in cancelled:
                self._end(request, FinishReason.CANCELLED)
            elif handle.deadline_s is not None and now_s >= handle.deadline_s:
                self._end(request, FinishReason.DEADLINE)
        return not closing

    def _end(self, request: ScheduledRequest, reason: FinishReason) -> None:
        """Ends all candidates of a request that are not finished, waiting or running."""
        handle = self._requests.pop(request)
        running = {sequence.candidate: sequence for sequence in request.sequences}
        for index in range(request.sampling.candidates):
            sequence = running.get(index)
            if sequence is not None and sequence.finished:
                continue
            candidate = self._candidates.pop(sequence, None) if sequence is not None else None
            candidate = candidate or self._candidate(handle, index)
            chunk, completion = candidate.end(reason)
            handle.put(chunk)
            handle.complete(completion)
        self._plans.scheduler.remove(request)

    def _candidate(self, handle: RequestHandle, index: int) -> Candidate:
        assert self._tokenizer is not None
        return Candidate(index, handle.request.sampling, handle.prompt, self._tokenizer, self._tokenizer.eos_token_ids)

    def _advance(self, sequence: Sequence, drawn: Drawn) -> None:
        request = sequence.request
        handle = self._requests[request]
        handle.note_cached(request.cached_tokens)
        self._plans.scheduler.note_drawn(sequence, drawn.token)
        if sequence not in self._candidates:
            self._candidates[sequence] = self._candidate(handle, sequence.candidate)
        chunk, completion = self._candidates[sequence].push(drawn.token, drawn.logprob)
        if completion is not None:
            del self._candidates[sequence]
            self._plans.scheduler.finish(sequence)
        handle.put(chunk)
        if completion is not None:
            handle.complete(completion)
            if handle.finished:
                del self._requests[request]

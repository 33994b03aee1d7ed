"""Rank 0's side of the executor: requests in, responses out on a reader thread, and an orderly end.

Every candidate is a request of its own, enqueued together with its siblings. `num_return_sequences` would make them
children of one request, which the executor can only end together: a candidate whose text has met a stop string would
decode on, and a child does not time out once its parent has ended (executorImpl.cpp, `finishTimedOutRequests`).

Requests of one moment are enqueued in one call, so that the executor begins them with one step: while nothing runs, the
first one waits `batch_window_ms` for others, and the callers wait with it. Beside running sequences nothing waits; the
executor takes what has come before each of its steps.

Two clocks watch a deadline: the executor's (`allotted_time_ms`, which starts when a request becomes active) and ours,
since a queued request has none.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from commentary_llm.generation.handle import RequestHandle
from commentary_llm.generation.interface import FinishReason
from commentary_llm.generation.tensorrt_llm.candidate import CandidateText
from commentary_llm.generation.tensorrt_llm.config import TensorRTLLMConfig
from commentary_llm.generation.tensorrt_llm.responses import Piece, StepFailed, error_of, read_piece
from commentary_llm.generation.tensorrt_llm.settings import Sampling, executor_request, priority_of
from commentary_llm.generation.tensorrt_llm.stop_words import end_and_stop_words
from commentary_llm.generation.tokenizer import Tokenizer
from commentary_llm.ground.errors import BusyError, CommentaryError, EngineError, RankLostError

log = logging.getLogger(__name__)

_READ_S = 0.05  # longest wait for responses: deadlines, stalls and the end of the program are looked at in between


@dataclass(eq=False)
class _Sequence:
    """One request of the executor: a candidate of a handle."""

    handle: RequestHandle
    candidate: CandidateText
    tokens: int = 0  # received
    cancelled: bool = False  # told to the executor


@dataclass(eq=False)
class _Submission:
    """One caller's request on its way to the executor."""

    requests: list[Any]
    sequences: list[_Sequence]
    done: bool = False
    error: CommentaryError | None = None


class LeaderSession:
    """Owns the executor on rank 0. Thread-safe, but for the responses, which the reader thread alone handles."""

    def __init__(
        self,
        executor: Any,
        bindings: Any,
        tokenizer: Tokenizer,
        config: TensorRTLLMConfig,
        max_batch: int,
        tokens_per_block: int,
        failed: Callable[[CommentaryError], None],
    ) -> None:
        """`failed` is called once, on the reader thread, when the executor can no longer be used."""
        self._executor, self._bindings, self._tokenizer, self._config = executor, bindings, tokenizer, config
        self._max_batch, self._tokens_per_block, self._failed = max_batch, tokens_per_block, failed
        self._end_id, self._end_words = end_and_stop_words(tokenizer)
        self._lock = threading.Lock()
        self._gathered = threading.Condition(self._lock)
        self._gathering: list[_Submission] = []
        self._running: dict[int, _Sequence] = {}
        self._closing = False
        self._abandoned = False
        self._error: CommentaryError | None = None
        self._progress_s = time.perf_counter()  # when responses, or the first of running requests, came
        # Not a daemon: at the program's end it has to end the executor before MPI is finalised.
        self._reader = threading.Thread(target=self._run, name="response-reader")
        self._reader.start()

    def submit(self, handle: RequestHandle, stop_words: list[list[int]]) -> None:
        """Enqueues all candidates, within the batch window.

        Raises BusyError when the queue is full, EngineError when the session has ended.
        """
        request, sampling = handle.request, handle.request.sampling
        allotted = None
        if handle.deadline_s is not None:
            allotted = timedelta(seconds=max(0.001, handle.deadline_s - time.perf_counter()))
        requests = [
            executor_request(
                self._bindings,
                prompt=handle.prompt,
                max_tokens=sampling.max_new_tokens,
                sampling=Sampling.of(sampling, index),
                end_id=self._end_id,
                stop_words=self._end_words + stop_words,
                priority=priority_of(request.priority),
                allotted=allotted,
            )
            for index in range(sampling.candidates)
        ]
        eos = self._tokenizer.eos_token_ids
        sequences = [
            _Sequence(handle, CandidateText(index, sampling, handle.prompt, self._tokenizer, eos))
            for index in range(sampling.candidates)
        ]
        self._enqueue_with_others(_Submission(requests, sequences))

    def _enqueue_with_others(self, own: _Submission) -> None:
        """Enqueues what callers submit within the batch window; the first of them does it for all."""
        with self._gathered:
            self._raise_ended()
            self._gathering.append(own)
            if self._gathering[0] is own:
                window_s = self._config.batch_window_ms / 1e3
                if window_s and not self._running:
                    self._gathered.wait_for(lambda: self._closing or self._full_batch(), window_s)
                batch, self._gathering = self._gathering, []
                self._enqueue(batch)
                self._gathered.notify_all()
            else:
                self._gathered.notify_all()  # the batch may be full
                self._gathered.wait_for(lambda: own.done)
            if own.error is not None:
                raise own.error

    def _full_batch(self) -> bool:
        return sum(len(each.requests) for each in self._gathering) >= self._max_batch

    def _enqueue(self, batch: list[_Submission]) -> None:
        """With the lock held, so that the reader waits: a response must not come before its id is known."""
        try:
            self._raise_ended()
            ids = self._executor.enqueue_requests([request for each in batch for request in each.requests])
        except RuntimeError as error:
            if len(batch) > 1:  # the queue may have room for some of them
                for each in batch:
                    self._enqueue([each])
                return
            batch[0].error, batch[0].done = self._refusal(error), True
            return
        except CommentaryError as error:
            for each in batch:
                each.error, each.done = error, True
            return
        if not self._running:
            self._progress_s = time.perf_counter()
        sequences = [sequence for each in batch for sequence in each.sequences]
        self._running.update(zip(ids, sequences, strict=True))
        for each in batch:
            each.done = True

    def cancel(self, handle: RequestHandle) -> None:
        """Ends a request for its caller at once; the executor follows with its next step.

        A request still queued keeps its place there until it becomes active.
        """
        self._end(handle, FinishReason.CANCELLED)

    def close(self) -> bool:
        """Ends all requests and waits until the executor has none; False when that took longer than `drain_s`.

        Requests still queued when the executor is shut down would vanish without a response.
        """
        with self._gathered:
            self._closing = True
            self._gathered.notify_all()
            handles = {sequence.handle for sequence in self._running.values()}
        for handle in handles:
            self._end(handle, FinishReason.CANCELLED)
        if threading.current_thread() is not self._reader:
            self._reader.join(self._config.drain_s)
            return not self._reader.is_alive()
        return True

    def fail(self, error: CommentaryError) -> None:
        """Every caller gets the error, now and later."""
        with self._lock:
            if self._error is not None:
                return
            self._error = error
            handles = {sequence.handle for sequence in self._running.values()}
        for handle in handles:
            handle.fail(error)

    def _refusal(self, error: RuntimeError) -> EngineError:
        if "queue size" in str(error):
            return BusyError(
                f"the queue of {self._config.max_waiting} sequences is full, no more are taken; cancel some or submit "
                f"more slowly ({error})"
            )
        return EngineError(f"TensorRT-LLM took no request: {error}")

    def _raise_ended(self) -> None:
        if self._error is not None:
            raise self._error
        if self._closing:
            raise EngineError("the generator is closed")

    def _end(self, handle: RequestHandle, reason: FinishReason) -> None:
        """Ends what is left of a request for its caller, and tells the executor."""
        with self._lock:
            for number, sequence in self._running.items():
                if sequence.handle is handle:
                    self._end_sequence(number, sequence, reason)

    def _end_sequence(self, number: int, sequence: _Sequence, reason: FinishReason | None) -> None:
        """With the lock held. `reason` None: its text has ended by itself."""
        if not sequence.candidate.ended and reason is not None and not sequence.handle.finished:
            chunk, completion = sequence.candidate.end(reason)
            sequence.handle.put(chunk)
            sequence.handle.complete(completion)
        if not sequence.cancelled and self._error is None:
            sequence.cancelled = True
            self._executor.cancel_request(number)

    def _run(self) -> None:
        """The reader thread, until the session is closed and nothing runs, or something failed."""
        try:
            while self._goes_on():
                for response in self._executor.await_responses(timeout=timedelta(seconds=self._read_s())):
                    self._take(response)
                self._look_at_clocks()
            if self._abandoned:
                self._failed(EngineError("the program ended without closing the generator"))
        except CommentaryError as error:
            self._give_up(error)
        except Exception as error:
            log.exception("reading responses failed")
            self._give_up(EngineError(f"reading responses failed: {type(error).__name__}: {error}"))

    def _give_up(self, error: CommentaryError) -> None:
        self.fail(error)
        self._failed(error)

    def _goes_on(self) -> bool:
        if not self._closing and not threading.main_thread().is_alive():
            # A program that ends without `close` (an exception on its way out) must not leave ranks waiting.
            self._abandoned = True
            self.close()
        with self._lock:
            return self._error is None and not (self._closing and not self._running)

    def _read_s(self) -> float:
        """How long to wait for responses: until the next deadline, at most `_READ_S`."""
        with self._lock:
            deadlines = [s.handle.deadline_s for s in self._running.values() if not s.candidate.ended]
        left = [deadline - time.perf_counter() for deadline in deadlines if deadline is not None]
        return max(0.001, min([_READ_S, *left]))

    def _take(self, response: Any) -> None:
        """One response. Raises StepFailed when the ranks may be out of step."""
        number = response.request_id
        with self._lock:
            self._progress_s = time.perf_counter()
            sequence = self._running.get(number)
            if sequence is None:
                log.warning("a response came for request %s, which is not running", number)
                return
            if response.has_error():
                error = error_of(response.error_msg)
                if isinstance(error, StepFailed):
                    raise error
                del self._running[number]
                self._fail_handle(sequence.handle, error)
                return
            piece = read_piece(self._bindings, response.result, sequence.tokens)
            self._deliver(number, sequence, piece)
            if piece.final:
                del self._running[number]

    def _fail_handle(self, handle: RequestHandle, error: CommentaryError) -> None:
        """With the lock held: one candidate was refused, so the request is; its other candidates end too."""
        handle.fail(error)
        for number, sequence in self._running.items():
            if sequence.handle is handle:
                self._end_sequence(number, sequence, None)

    def _deliver(self, number: int, sequence: _Sequence, piece: Piece) -> None:
        handle, candidate = sequence.handle, sequence.candidate
        sequence.tokens += len(piece.tokens)
        if piece.reused_blocks and not handle.cached_tokens:
            handle.note_cached(min(piece.reused_blocks * self._tokens_per_block, handle.prompt_tokens - 1))
        if candidate.ended or handle.finished:
            return  # ended by us: what the executor had decoded meanwhile is dropped
        finish = piece.finish
        if finish is FinishReason.CANCELLED:  # not by us: the executor says so of some requests whose time is over
            if handle.deadline_s is None:
                raise EngineError(f"TensorRT-LLM cancelled request {number}, which nobody asked for")
            finish = FinishReason.DEADLINE
        chunk, completion = candidate.push(piece.tokens, piece.logprobs, finish)
        handle.put(chunk)
        if completion is not None:
            handle.complete(completion)
            if not piece.final:
                self._end_sequence(number, sequence, None)

    def _look_at_clocks(self) -> None:
        now_s = time.perf_counter()
        with self._lock:
            for number, sequence in self._running.items():
                deadline_s = sequence.handle.deadline_s
                if deadline_s is not None and now_s >= deadline_s and not sequence.candidate.ended:
                    self._end_sequence(number, sequence, FinishReason.DEADLINE)
            stalled_s = now_s - self._progress_s
            if self._running and stalled_s > self._config.stall_s:
                raise RankLostError(
                    f"TensorRT-LLM has been silent for {stalled_s:.0f} s with {len(self._running)} sequences running: "
                    "a rank is stuck in a step; the job ends, start it again"
                )

"""A request in flight, as its caller holds it."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Iterator

from commentary_llm.generation.interface import Completion, GenerationRequest, TokenChunk
from commentary_llm.generation.sampling import check_params
from commentary_llm.generation.tokenizer import Tokenizer
from commentary_llm.ground.errors import CommentaryError, EngineError, InputError

_SWITCH_INTERVAL_S = 0.0002


def pass_tokens_on_promptly() -> None:
    """Lets threads of a backend take the interpreter back within 0.2 ms.

    Every torch, MPI and executor call gives the interpreter lock away for a moment. With Python's default of 5 ms a
    busy thread of the caller would keep it that long each time, several hundred times a token.
    """
    sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH_INTERVAL_S))


class RequestHandle:
    """GenerationHandle of every backend; filled by the thread that hears of its tokens."""

    def __init__(self, request: GenerationRequest, prompt: tuple[int, ...]) -> None:
        self.request = request
        self.prompt = prompt
        self.deadline_s = None if request.deadline_ms is None else time.perf_counter() + request.deadline_ms / 1000
        self._cached_tokens = 0
        self._chunks: queue.SimpleQueue[TokenChunk | None] = queue.SimpleQueue()
        self._completions: list[Completion] = []
        self._error: CommentaryError | None = None
        self._finished = threading.Event()

    @property
    def prompt_tokens(self) -> int:
        return len(self.prompt)

    @property
    def cached_tokens(self) -> int:
        return self._cached_tokens

    @property
    def finished(self) -> bool:
        return self._finished.is_set()

    def __iter__(self) -> Iterator[TokenChunk]:
        """Chunks as they come. One reader: a chunk goes to whoever asks first. Ends always, if need be with an error:
        the scheduler thread finishes or fails every handle before it ends."""
        while (chunk := self._chunks.get()) is not None:
            yield chunk
        self._chunks.put(None)  # for another reader, or the same one again
        if self._error is not None:
            raise self._error

    def result(self, timeout_s: float | None = None) -> list[Completion]:
        """All completions, by candidate. Raises TimeoutError, EngineError, RankLostError."""
        if not self._finished.wait(timeout_s):
            raise TimeoutError(f"the request was not finished within {timeout_s} s")
        if self._error is not None:
            raise self._error
        return sorted(self._completions, key=lambda completion: completion.candidate)

    def note_cached(self, tokens: int) -> None:
        self._cached_tokens = tokens

    def put(self, chunk: TokenChunk) -> None:
        self._chunks.put(chunk)

    def complete(self, completion: Completion) -> None:
        """One candidate's end; the last one finishes the handle."""
        self._completions.append(completion)
        if len(self._completions) == self.request.sampling.candidates:
            self._finished.set()
            self._chunks.put(None)

    def fail(self, error: CommentaryError) -> None:
        """Ends the handle with an error, unless it is finished."""
        if not self.finished:
            self._error = error if isinstance(error, CommentaryError) else EngineError(str(error))
            self._finished.set()
            self._chunks.put(None)


def handle_for(request: GenerationRequest, tokenizer: Tokenizer) -> RequestHandle:
    """A handle with the request's prompt in tokens. Raises InputError for wrong parameters or an empty prompt."""
    check_params(request.sampling)
    prompt = tuple(tokenizer.encode(request.prefix + request.text))
    if not prompt:
        raise InputError("the prompt is empty, expected at least one token")
    return RequestHandle(request, prompt)

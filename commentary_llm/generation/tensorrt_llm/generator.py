"""The `Generator` of the TensorRT-LLM backend, on rank 0."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from commentary_llm.artifacts.machine import TENSORRT_LLM_VERSION
from commentary_llm.artifacts.tensorrt_llm import TOKENIZER_FOLDER, rank_file
from commentary_llm.generation.handle import RequestHandle, handle_for, pass_tokens_on_promptly
from commentary_llm.generation.interface import GenerationHandle, GenerationRequest
from commentary_llm.generation.tensorrt_llm.config import TensorRTLLMConfig
from commentary_llm.generation.tensorrt_llm.connect import Rank, connect, open_executor
from commentary_llm.generation.tensorrt_llm.session import LeaderSession
from commentary_llm.generation.tensorrt_llm.stop_words import stop_words_of
from commentary_llm.generation.tensorrt_llm.watch import RankWatch
from commentary_llm.generation.tokenizer import Tokenizer
from commentary_llm.ground.errors import CommentaryError, ConfigError, EngineError, InputError, RankLostError

if TYPE_CHECKING:
    from mpi4py import MPI

log = logging.getLogger(__name__)


class TensorRTLLMGenerator:
    """Generator over all ranks of `comm`. Thread-safe. A context manager: leaves by `close()`."""

    def __init__(self, config: TensorRTLLMConfig, comm: MPI.Comm | None) -> None:
        """Blocks until every rank has its engine. Raises ConfigError, ArtifactError, EngineError, RankLostError."""
        if comm is not None and comm.Get_rank() != 0:
            raise ConfigError(
                f"the generator opens on rank 0; rank {comm.Get_rank()} has to serve_tensorrt_llm_generator"
            )
        self._config = config
        pass_tokens_on_promptly()
        self._member: Rank = connect(config, comm)
        facts = self._member.facts
        self._options = facts.options
        # Before the executor: a fault here must not leave the others in their constructors.
        self._tokenizer = self._load_tokenizer()
        self.weight_bytes = facts.manifest.files[rank_file(0)].bytes
        self._closed = threading.Event()
        self._close_lock = threading.Lock()
        self._executor: Any = open_executor(config, self._member)
        self._session = LeaderSession(
            self._executor,
            self._member.bindings,
            self._tokenizer,
            config,
            facts.options.max_batch_size,
            facts.tokens_per_block,
            self._failed,
        )
        self._watch: RankWatch | None = None
        if self._member.peers is not None:
            self._watch = RankWatch(self._member.peers, self._lost)
            self._watch.start()
        ranks = self._member.ranks
        self._description = (
            f"tensorrt_llm {TENSORRT_LLM_VERSION} {facts.model}, {self._options.quantization.upper()}, float16, "
            f"{self._member.gpu.name}, {ranks} rank{'s' if ranks > 1 else ''}"
        )

    @property
    def description(self) -> str:
        return self._description

    def chat(self, system: str, turns: list[tuple[str, str]]) -> str:
        """See `Generator.chat`."""
        return self._tokenizer.chat(system, turns)

    def count_tokens(self, text: str) -> int:
        return len(self._tokenizer.encode(text))

    def submit(self, request: GenerationRequest) -> GenerationHandle:
        """See `Generator.submit`. Log-probabilities are the library's, of the distribution it drew from.

        `cached_tokens` counts whole KV blocks that were reused. Raises InputError for a prompt or parameters that can
        never run (the library itself would cut the completion short without a word), EngineError.
        """
        sampling, handle = request.sampling, handle_for(request, self._tokenizer)
        if sampling.candidates > self._options.max_batch_size:
            raise InputError(
                f"{sampling.candidates} candidates do not fit max_batch_size {self._options.max_batch_size} of the "
                "engines"
            )
        if handle.prompt_tokens + sampling.max_new_tokens > self._options.max_seq_len:
            raise InputError(
                f"a prompt of {handle.prompt_tokens} tokens and {sampling.max_new_tokens} new ones exceed max_seq_len "
                f"{self._options.max_seq_len} of the engines; shorten the prompt or build engines for more"
            )
        self._session.submit(handle, stop_words_of(self._tokenizer, sampling.stop))
        return handle

    def cancel(self, handle: GenerationHandle) -> None:
        """See `Generator.cancel`."""
        if not isinstance(handle, RequestHandle):
            raise EngineError(f"cancel was given a {type(handle).__name__}, expected a handle of this generator")
        self._session.cancel(handle)

    def close(self) -> None:
        """See `Generator.close`: cancel, drain, then shut the executor down on all ranks, each within a bound."""
        with self._close_lock:
            if self._closed.is_set():
                return
            self._closed.set()
        try:
            self._leave()
        except CommentaryError as error:
            self._end_job(error)
        except BaseException:  # interrupted: the other ranks cannot be left half closed
            if self._member.peers is not None:
                self._member.peers.abort(f"{self._member.label} was interrupted while closing")
            raise

    def _leave(self) -> None:
        """The steps of `close`, in order. Raises EngineError or RankLostError when one does not end in time."""
        config, timeouts = self._config, self._config.timeouts
        if not self._session.close():
            raise EngineError(f"requests were still running {config.drain_s:g} s after being cancelled")
        if self._watch is not None:
            heard_s = timeouts.answer_s + 2 * (timeouts.ping_s + timeouts.grace_s)  # longer than a lost rank takes
            if not self._watch.close(heard_s):
                raise RankLostError(f"another rank did not hear within {heard_s:g} s that the job closes")
        self._shut_down()
        self._executor = None
        if self._member.peers is not None:
            self._member.peers.barrier("closing", config.shutdown_s)
            self._member.peers.free()

    def __enter__(self) -> TensorRTLLMGenerator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _load_tokenizer(self) -> Tokenizer:
        try:
            return Tokenizer(self._config.engine_dir / TOKENIZER_FOLDER)
        except Exception as error:
            if self._member.peers is not None:
                self._member.peers.abort(f"{self._member.label} could not load the tokenizer: {error}")
            raise

    def _shut_down(self) -> None:
        """Ends the executor, on a thread so that a signal can still be handled here. Raises EngineError."""
        failure: list[Exception] = []

        def run() -> None:
            try:
                self._executor.shutdown()
            except Exception as error:
                failure.append(error)

        if threading.main_thread().is_alive():
            ending = threading.Thread(target=run, name="executor-shutdown", daemon=True)
            ending.start()
            ending.join(self._config.shutdown_s)
            if ending.is_alive():
                raise EngineError(f"the executor did not shut down within {self._config.shutdown_s:g} s")
        else:  # the interpreter is ending and starts no more threads
            run()
        if failure:
            raise EngineError(f"shutting the executor down failed: {failure[0]}") from failure[0]

    def _failed(self, error: CommentaryError) -> None:
        """The session cannot go on: the program ended without closing, or the executor failed. On a session thread."""
        if not threading.main_thread().is_alive():
            self.close()
        else:
            self._end_job(error)

    def _lost(self, error: CommentaryError) -> None:
        """Another rank is lost: callers get the error, then the job ends."""
        self._session.fail(error)
        self._end_job(error)

    def _end_job(self, error: CommentaryError) -> None:
        """After time for callers to close their outputs, ends all ranks; with one rank the error alone is enough."""
        log.critical("%s", error)
        peers = self._member.peers
        if peers is None:
            return
        if not isinstance(error, RankLostError):
            error = EngineError(f"{self._member.label} failed: {error}")
        time.sleep(peers.timeouts.grace_s)
        peers.abort(str(error))


def open_tensorrt_llm_generator(config: TensorRTLLMConfig, comm: MPI.Comm | None) -> TensorRTLLMGenerator:
    """Opens the engines on rank 0 while the others run `serve_tensorrt_llm_generator`; `comm` None: one rank.

    Raises ConfigError (library missing or other, GPUs not visible), ArtifactError (engines missing, damaged or built on
    something else, with the command that rebuilds them), RankLostError.
    """
    return TensorRTLLMGenerator(config, comm)

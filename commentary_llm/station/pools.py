"""The threads of a station. Their number is fixed when it starts: the same for one match and for sixteen.

writers   take a cue, of whichever match is most urgent, and write its line; several lines are decoded in one batch
speakers  take a clause and speak it
release   makes final what has been heard, of all matches, every 20 ms
prepare   writes and voices what is likely to come, while no line waits for words
listening hears the stadiums, where there is a recogniser
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import perf_counter

from asr_tts.recognizer.listener import ListeningPool
from commentary_llm.ground.errors import EngineError
from commentary_llm.session.session import Session
from commentary_llm.session.work import ClauseQueue, CueQueue

log = logging.getLogger(__name__)

_POLL_S = 0.1  # how soon the threads notice that the station is closing
_RELEASE_S = 0.02  # one broadcast video frame is 0.02 s: finer release is not visible in captions
_JOIN_S = 10.0


class Pools:
    """Threads that take work from the queues and do it in the session it belongs to."""

    def __init__(
        self,
        cues: CueQueue,
        clauses: ClauseQueue,
        sessions: Callable[[], tuple[Session, ...]],
        *,
        writers: int,
        speakers: int,
        listening: ListeningPool | None,
        failed: Callable[[EngineError], None],
    ) -> None:
        """`sessions`: those open now. `listening` hears live streams; who closes it ends its thread.

        `failed` is told when a thread has ended by a defect: no session can go on.
        """
        self._cues, self._clauses, self._sessions, self._failed = cues, clauses, sessions, failed
        self._stop = threading.Event()
        self._due = threading.Event()  # there may be something to prepare
        loops = [(f"writer-{number}", self._write) for number in range(1, writers + 1)]
        loops += [(f"speaker-{number}", self._speak) for number in range(1, speakers + 1)]
        loops += [("release", self._release), ("prepare", self._prepare)]
        loops += [("listening", listening.run)] if listening is not None else []
        self._threads = [
            threading.Thread(target=self._guard, args=(loop,), name=name, daemon=True) for name, loop in loops
        ]
        for thread in self._threads:
            thread.start()

    def wake_prepare(self) -> None:
        """Says that there may be something to prepare."""
        self._due.set()

    def close(self) -> None:
        """Ends the threads, once they have done what they are at. Idempotent."""
        self._stop.set()
        self._due.set()
        self._cues.close()
        self._clauses.close()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(_JOIN_S)

    def _guard(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except Exception as error:  # sessions see to their own errors: this is a defect of ours
            name = threading.current_thread().name
            log.exception("station thread %s failed", name)
            failure = EngineError(f"station thread {name} failed: {error!r}")
            failure.__cause__ = error
            self._failed(failure)

    def _write(self) -> None:
        while not self._stop.is_set():
            if (taken := self._cues.take(_POLL_S)) is None:
                continue
            session, job = taken
            assert isinstance(session, Session)
            try:
                session.write(job)
            finally:
                self._cues.done(session)

    def _speak(self) -> None:
        while not self._stop.is_set():
            if (taken := self._clauses.take(_POLL_S)) is None:
                continue
            session, job, clause = taken
            assert isinstance(session, Session)
            try:
                session.speak(job, clause)
            finally:
                self._clauses.done(session)

    def _release(self) -> None:
        while not self._stop.is_set():
            started = perf_counter()
            for session in self._sessions():
                session.release()
            self._stop.wait(max(0.0, _RELEASE_S - (perf_counter() - started)))

    def _prepare(self) -> None:
        while not self._stop.is_set():
            self._due.wait(_POLL_S)
            self._due.clear()
            for session in self._sessions():
                # The least urgent work of all: any line of any match goes first.
                if not self._cues.busy_sessions and session.has_to_prepare and session.prepare():
                    self._due.set()

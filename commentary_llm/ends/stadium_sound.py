"""The stadium's microphone: live sound to the recogniser, on the engine's clock."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import numpy as np

from asr_tts.audio.live import RATE_HZ, SpooledSound, live_chunks
from commentary_llm.ground.clock import StreamClock
from commentary_llm.ground.errors import EngineError, InputError, OutputError

log = logging.getLogger(__name__)

AHEAD_S = 0.25  # sound may run ahead of the clock by this much (a source's own buffering) before it is held back
BEHIND_S = 1.0  # a source that falls back further has lost sound: silence takes its place


class StadiumSound:
    """Feeds live sound to `hear` and keeps it, from a thread of its own.

    A source that gives sound faster than real time (a file) is held back to it; one that pauses leaves silence. When it
    ends or fails the engine goes on without, and says so.
    """

    def __init__(
        self,
        source: str,
        raw_rate_hz: int | None,
        hear: Callable[[np.ndarray], None],
        clock: StreamClock,
        spool: SpooledSound,
        start_s: float,
        complain: Callable[[str], None],
    ) -> None:
        """`start_s`: stream time of the first sample that `hear` and `spool` get."""
        self._source = source
        self._raw_rate_hz = raw_rate_hz
        self._hear = hear
        self._clock = clock
        self._spool = spool
        self._position_s = start_s
        self._complain = complain
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stadium-sound", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Hears no more. A source that blocks in reading is left to end with the process."""
        self._stop.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        try:
            for samples in live_chunks(self._source, self._raw_rate_hz):
                if self._stop.is_set():
                    return
                gap_s = self._clock.now_s() - self._position_s
                if gap_s > BEHIND_S:
                    self._give(np.zeros(round(gap_s * RATE_HZ), np.float32))
                self._give(samples)
                while (ahead_s := self._position_s - self._clock.now_s()) > AHEAD_S and not self._stop.is_set():
                    time.sleep(min(ahead_s - AHEAD_S / 2, 0.2))
        except (InputError, OutputError) as error:
            self._complain(f"{error}; going on without the stadium's sound")
        except EngineError as error:
            log.info("stadium sound ends with the engine: %s", error)
        else:
            self._complain(f"--audio {self._source} has ended; going on without the stadium's sound")

    def _give(self, samples: np.ndarray) -> None:
        self._hear(samples)
        self._spool.append(samples)
        self._position_s += len(samples) / RATE_HZ

"""What a recording's stadium microphone has heard, for the prompt of a replay."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable

import numpy as np

from asr_tts.audio.reader import AudioReader
from asr_tts.interfaces import Recognizer
from asr_tts.recognizer.offline import transcribe_around
from commentary_llm.ground.errors import CommentaryError, ConfigError
from commentary_llm.match import MatchEvent

log = logging.getLogger(__name__)

_BEFORE_S = 5.0
_AFTER_S = 5.0
_LOOK_AHEAD = 4  # windows recognised before they are asked for; each takes about half a second of one core


class RecordedHearing:
    """A recording's sound from 5 s before to 5 s after each event, recognised a few events ahead of the replay.

    The events are known in advance, so the words are normally there when the replay gets to them; if not, `heard`
    waits for them, and the wait shows in the cue's prompt stage.
    """

    def __init__(
        self, reader: AudioReader, recognizer: Recognizer, events: Iterable[tuple[MatchEvent, float]], *, wait_s: float
    ) -> None:
        self._reader = reader
        self._recognizer = recognizer
        self._wait_s = wait_s
        self._plan = [(event.event_id, at_s) for event, at_s in events]
        self._order = {event_id: i for i, (event_id, _) in enumerate(self._plan)}
        self._texts: dict[str, str] = {}
        self._wanted = 0  # index of the plan the replay has reached
        self._error: CommentaryError | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="hearing", daemon=True)
        self._thread.start()

    def push(self, samples: np.ndarray) -> None:
        raise ConfigError("this match hears a recording; it takes no live sound")

    def _run(self) -> None:
        for i, (event_id, at_s) in enumerate(self._plan):
            with self._changed:
                while i > self._wanted + _LOOK_AHEAD and not self._closed:
                    self._changed.wait(1.0)
                if self._closed:
                    return
                if i < self._wanted:
                    continue  # the replay has passed it without asking
            try:
                text = transcribe_around(
                    self._recognizer, self._reader, at_s, before_s=_BEFORE_S, after_s=_AFTER_S
                ).text
            except CommentaryError as error:
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return
            with self._changed:
                self._texts[event_id] = text
                self._changed.notify_all()

    def heard(self, event: MatchEvent, stream_s: float) -> str:
        index = self._order.get(event.event_id)
        if index is None:
            return ""
        with self._changed:
            self._wanted = max(self._wanted, index)
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: event.event_id in self._texts or self._error is not None or self._closed, self._wait_s
            )
            if self._error is not None:
                raise self._error
            text = self._texts.get(event.event_id)
        if text is None:
            log.warning("stadium audio around event %s was not recognised within %g s", event.event_id, self._wait_s)
            return ""
        return text

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(10.0)

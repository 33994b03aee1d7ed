"""What a listener notes: when sound exists, and when it is handed over."""

from __future__ import annotations

import numpy as np

from benchmarks.listener import Listening
from commentary_llm.ends.contract import ClauseOffAir, HandedOver
from commentary_llm.session.events import ClauseBegun, ClauseSamples
from commentary_llm.session.timeline import Segment

RATE = 8000


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def tone(seconds: float) -> np.ndarray:
    return (0.3 * np.sin(np.arange(round(seconds * RATE)))).astype(np.float32)


def segment(event_id: str) -> Segment:
    return Segment(event_id, "Goal!", 0.0, RATE)


def test_sound_is_ready_with_its_first_audible_sample_and_heard_with_the_block_that_holds_it() -> None:
    clock = Clock()
    listening = Listening(RATE, clock)
    listening.put(ClauseBegun("m", "e1", 0, "Goal!", "opener", RATE))
    clock.now_s = 1.0
    listening.put(ClauseSamples("m", "e1", 0, np.zeros(400, np.float32)))  # nothing to be heard in it
    clock.now_s = 2.0
    listening.put(ClauseSamples("m", "e1", 0, tone(0.1)))
    clock.now_s = 3.0
    listening.put(ClauseSamples("m", "e1", 0, tone(0.1)))
    cue = listening.cues["e1"]
    assert cue.ready_s == 2.0
    assert not cue.sound
    listening.take(HandedOver("m", "e1", 4_060_000_000, 0.0))
    assert cue.handed_s == 4.06
    clock.now_s = 5.0
    listening.take(ClauseOffAir("m", segment("e1"), 5.0))
    assert cue.off_air_s == 5.0


def test_later_clauses_of_a_cue_are_its_rest() -> None:
    clock = Clock()
    listening = Listening(RATE, clock)
    listening.take(HandedOver("m", "e1", 1_000_000_000, 0.0))
    for at_s in (1.0, 2.0):
        clock.now_s = at_s
        listening.take(ClauseOffAir("m", segment("e1"), at_s))
    assert listening.cues["e1"].handed_s == 1.0
    assert listening.cues["e1"].off_air_s == 2.0

"""Speaks a cue: its opener at once from prepared sound, each later clause while it is being synthesised."""

from __future__ import annotations

from time import perf_counter_ns

import numpy as np

from asr_tts.audio.levels import first_audible
from asr_tts.interfaces import Synthesizer
from asr_tts.synthesizer.piper import pause_after_s
from commentary_llm.cue.excitement import mood_of
from commentary_llm.cue.wording import TextRules, clauses_of
from commentary_llm.session.events import ClauseBegun, ClauseEnded, ClauseSamples, EventStream
from commentary_llm.session.job import CueJob
from commentary_llm.session.sound_bank import SoundBank, style_of
from commentary_llm.session.timeline import SpeechTimeline


class Speaker:
    """Puts speech on the timeline. `open` belongs to the submitting thread, `speak` to the pipeline's speaking one."""

    def __init__(
        self,
        synthesizer: Synthesizer,
        timeline: SpeechTimeline,
        bank: SoundBank,
        rules: TextRules,
        events: EventStream,
        match_id: str,
    ) -> None:
        """`rules`: of the language that is spoken."""
        self._synthesizer = synthesizer
        self._timeline = timeline
        self._bank = bank
        self._rules = rules
        self._events = events
        self._match_id = match_id

    def open(self, job: CueJob, opener: str) -> bool:
        """Hands over the whole sound of `opener`, which then begins the job's line. Waits for nothing.

        False when there is no such sound in the bank: the line will begin with its first clause.
        """
        speech = self._bank.speech(clauses_of(opener, self._rules), mood_of(job.cue.excitement))
        if speech is None:
            return False
        segment = self._timeline.open(job.lane, opener, speech.sample_rate_hz)
        if segment is None:
            return False
        self._timeline.append(segment, speech.samples, speech.word_edges_s)
        self._timeline.complete(segment)
        marks = job.marks
        marks.opened = marks.last_sample = perf_counter_ns()
        job.opener, job.source = opener, "opener"
        job.clauses.append(opener)
        job.segments.append(segment)
        cue = self._match_id, job.cue.event.event_id, 0
        self._events.publish(ClauseBegun(*cue, opener, "opener", speech.sample_rate_hz))
        self._events.publish(ClauseSamples(*cue, speech.samples))
        self._events.publish(ClauseEnded(*cue))
        return True

    def speak(self, job: CueJob, text: str) -> bool:
        """Puts one clause onto the timeline, chunk by chunk as it is decoded; at once where it was voiced ahead.

        Returns False when the cue has lost its place to another: the rest of it need not be spoken.
        """
        marks = job.marks
        cue = self._match_id, job.cue.event.event_id, len(job.clauses)
        segment = None
        audible = False
        try:
            speech = job.voiced(text) or self._synthesizer.speak(text, style_of(job.cue))
            for chunk in speech:
                marks.clause_pcm = marks.clause_pcm or perf_counter_ns()
                if segment is None:
                    pause_s = pause_after_s(job.clauses[-1]) if job.clauses else 0.0
                    segment = self._timeline.open(job.lane, text, chunk.sample_rate_hz, pause_s)
                    if segment is None:
                        return False
                    self._events.publish(ClauseBegun(*cue, text, job.source, chunk.sample_rate_hz))
                    job.clauses.append(text)
                    job.segments.append(segment)
                if not self._timeline.append(segment, chunk.samples, speech.word_edges_s):
                    return False
                self._events.publish(ClauseSamples(*cue, chunk.samples))
                now = perf_counter_ns()
                if not audible and not marks.clause_audible:
                    audible = first_audible(np.concatenate(segment.chunks), chunk.sample_rate_hz) is not None
                    marks.clause_audible = now if audible else 0
                marks.last_sample = now
        finally:
            if segment is not None:
                self._timeline.complete(segment)
                self._events.publish(ClauseEnded(*cue))
        return True

"""From checked words to sound on the timeline."""

from __future__ import annotations

from time import perf_counter_ns

import numpy as np

from asr_tts.audio.levels import first_audible
from asr_tts.interfaces import Synthesizer
from asr_tts.synthesizer.piper import pause_after_s
from asr_tts.synthesizer.style import style_for
from commentary_llm.pipeline.clock import StreamClock
from commentary_llm.pipeline.job import CueJob, SpokenClause
from commentary_llm.pipeline.timeline import BREATH_S, Segment, SpeechTimeline
from commentary_llm.script.cue import Urgency

# Whose speech a cue may cut off: a goal anything below it, a card or save only filling talk, the rest nothing.
_CUTS_BELOW = {
    Urgency.URGENT: Urgency.URGENT,
    Urgency.KEY: Urgency.NOTE,
    Urgency.NOTE: Urgency.FILL,
    Urgency.FILL: Urgency.FILL,
}


class Speaker:
    """Speaks the clauses of one cue at a time. Owned by the pipeline's speaking thread."""

    def __init__(self, synthesizer: Synthesizer, timeline: SpeechTimeline, clock: StreamClock) -> None:
        self._synthesizer = synthesizer
        self._timeline = timeline
        self._clock = clock

    def speak(self, job: CueJob, text: str) -> bool:
        """Synthesises one clause onto the timeline, chunk by chunk as it is decoded.

        Returns False when the cue has been cut off by a more urgent one: the rest of it need not be spoken.
        """
        cue, marks = job.cue, job.marks
        marks.speech_started = marks.speech_started or perf_counter_ns()
        clause = SpokenClause(text, job.source, self._synthesizer.sample_rate_hz)
        job.handle._offer(clause)
        segment = None
        try:
            speech = job.voiced(text) or self._synthesizer.speak(text, style_for(cue.excitement))
            for chunk in speech:
                marks.first_pcm = marks.first_pcm or perf_counter_ns()
                if segment is None:
                    segment = self._open(job, text, chunk.sample_rate_hz)
                segment.word_edges_s = speech.word_edges_s
                if not self._timeline.append(segment, chunk.samples):
                    return False
                clause._push(chunk.samples)
                now = perf_counter_ns()
                if not marks.first_audible:
                    heard = first_audible(np.concatenate(segment.chunks), chunk.sample_rate_hz)
                    marks.first_audible = now if heard is not None else 0
                marks.last_sample = now
        finally:
            clause._push(None)
            if segment is not None:
                self._timeline.complete(segment)
        return True

    def _open(self, job: CueJob, text: str, sample_rate_hz: int) -> Segment:
        cue, now_s = job.cue, self._clock.now_s()
        if job.clauses:
            pause_s = pause_after_s(job.clauses[-1])
        else:
            pause_s = BREATH_S
            self._timeline.cut(now_s, below=_CUTS_BELOW[cue.urgency])
        segment = self._timeline.open(
            cue.event.event_id, text, sample_rate_hz, cue.urgency, cue.interruptible, now_s, pause_s
        )
        job.clauses.append(text)
        job.segments.append(segment)
        return segment

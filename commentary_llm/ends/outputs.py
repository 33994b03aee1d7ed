"""What a replay leaves behind: the sound, the captions, the journal and the report, on one timeline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from asr_tts.audio.background import Background, Splice, SplicedBackground
from asr_tts.audio.mixer import Mixer, MixReport
from commentary_llm.ends.journal import Journal
from commentary_llm.ends.layout import LEAD_OUT_S, Layout
from commentary_llm.ends.vtt import write_vtt
from commentary_llm.ground.errors import OutputError
from commentary_llm.session.events import CueEnded, SegmentHeard, SessionEvent
from commentary_llm.session.record import CueRecord
from commentary_llm.session.timeline import Segment

SOUND, CAPTIONS, JOURNAL, REPORT = "commentary.wav", "captions.vtt", "commentary.jsonl", "report.html"


class ReplayOutputs:
    """Gathers speech and records, and writes everything when told to `finish`.

    Until then only the journal is on disk, its times in stream seconds; finishing also after an interruption makes
    valid files of what was said so far.
    """

    def __init__(self, folder: Path, *, full_timeline: bool) -> None:
        """Makes `folder`. Raises OutputError if that or the journal cannot be written."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the output folder {folder}: {error.strerror}") from error
        self.folder = folder
        self._full_timeline = full_timeline
        self._journal = Journal(folder / JOURNAL)
        self._segments: list[Segment] = []
        self._records: list[CueRecord] = []

    def put(self, event: SessionEvent) -> None:
        if isinstance(event, SegmentHeard) and event.segment.samples:
            self._segments.append(event.segment)
        elif isinstance(event, CueEnded):
            self._journal.write(event.record)
            self._records.append(event.record)

    def finish(
        self,
        background: Background,
        stream_end_s: float,
        title: str,
        progress: Callable[[float], None] | None = None,
    ) -> tuple[list[CueRecord], MixReport]:
        """Writes sound, captions and the final journal; returns the records with their times in the sound.

        `background` is heard under the speech, by stream time. Raises OutputError.
        """
        self._journal.close()
        segments = sorted(self._segments, key=lambda s: s.start_s)
        if self._full_timeline:
            last_s = max([stream_end_s, *(s.end_s for s in segments)])
            layout = Layout.full(0.0, last_s + LEAD_OUT_S)
        else:
            layout = Layout.compact([(s.start_s, s.end_s) for s in segments])
        # The small files first: should the job be ended meanwhile, only the sound is missing.
        records = [_placed(record, layout) for record in sorted(self._records, key=lambda r: r.stream_s)]
        write_vtt(records, self.folder / CAPTIONS, title=title)
        self._journal.replace(records)
        splices = [
            Splice(span.stream_start_s, span.sound_start_s, span.stream_end_s - span.stream_start_s)
            for span in layout.spans
        ]
        with Mixer(temporary_folder=self.folder) as mixer:
            for segment in segments:
                mixer.add(layout.sound_s(segment.start_s), segment.pcm(), segment.sample_rate_hz)
            bed = SplicedBackground(background, splices)
            return records, mixer.write(self.folder / SOUND, layout.duration_s, bed, progress)


def _placed(record: CueRecord, layout: Layout) -> CueRecord:
    if record.start_s is None or record.end_s is None:
        return record
    return record.model_copy(
        update={
            "start_s": round(layout.sound_s(record.start_s), 3),
            "end_s": round(layout.sound_s(record.end_s), 3),
        }
    )

"""`commentary.wav`: speech over the ducked background, at broadcast loudness, pauses cut short."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from asr_tts.audio.background import Splice, SplicedBackground
from commentary_llm.ends.contract import Closing, Ending, EndsEvent, Opening
from commentary_llm.ends.layout import GrowingLayout
from commentary_llm.ends.registry import SINKS, SinkSetting
from commentary_llm.session.events import SegmentHeard, WhenFull

if TYPE_CHECKING:
    from asr_tts.audio.mixer import MixReport

_EVENTS_WAITING = 4096  # as of the journal


class WavFile:
    """A `FileSink`. Speech goes to the disk, beside the file to be, as it becomes final; nothing of it is kept."""

    kinds = (SegmentHeard,)
    capacity = _EVENTS_WAITING
    when_full = WhenFull.END

    def __init__(self, path: Path, setting: SinkSetting) -> None:
        """Raises OutputError when nothing can be written beside `path`."""
        from asr_tts.audio.mixer import Mixer  # here: a second of filter design, and sinks are listed without it

        self.name = path.name
        self._path, self._match_id = path, setting.match_id
        self._layout = GrowingLayout(full=setting.full_timeline)
        self._mixer = Mixer(temporary_folder=path.parent)
        self.report: MixReport | None = None  # of the mix, once finished

    def start(self, opening: Opening) -> None:
        pass

    def take(self, event: EndsEvent) -> None:
        if isinstance(event, SegmentHeard):
            segment = event.segment
            sound_s = self._layout.hear(segment)
            if sound_s is not None:
                self._mixer.add(sound_s, segment.pcm(), segment.sample_rate_hz)

    async def stop(self, closing: Closing) -> None:
        pass

    def finish(self, ending: Ending) -> None:
        layout = self._layout.layout(ending.stream_end_s)
        bed = None
        if ending.background is not None:
            spans = layout.spans
            splices = [Splice(s.stream_start_s, s.sound_start_s, s.stream_end_s - s.stream_start_s) for s in spans]
            bed = SplicedBackground(ending.background, splices)
        with self._mixer:
            title = f"{ending.title} (match {self._match_id})"
            self.report = self._mixer.write(self._path, layout.duration_s, bed, ending.progress, title=title)


SINKS.register("wav", lambda target, setting: WavFile(Path(target), setting))

"""What a match leaves behind: the sound, the captions, the journal and the report, on one timeline."""

from __future__ import annotations

from pathlib import Path

from asr_tts.audio.mixer import MixReport
from commentary_llm.ends.contract import Sink
from commentary_llm.ends.registry import SinkSetting
from commentary_llm.ends.sinks.journal_entry import JournalFile
from commentary_llm.ends.sinks.vtt_entry import VttFile
from commentary_llm.ends.sinks.wav_entry import WavFile
from commentary_llm.ground.errors import OutputError
from commentary_llm.session.record import CueRecord

SOUND, CAPTIONS, JOURNAL, REPORT = "commentary.wav", "captions.vtt", "commentary.jsonl", "report.html"


class MatchFiles:
    """The sinks of an output folder, of a live match and of a replay alike.

    During the match only the journal is there, its times in stream seconds. Finished, also after an interruption, all
    three are valid files of what was said.
    """

    def __init__(self, folder: Path, setting: SinkSetting) -> None:
        """Makes `folder`. Raises OutputError if that or the journal cannot be written."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the output folder {folder}: {error.strerror}") from error
        self.folder = folder
        self._journal = JournalFile(folder / JOURNAL, setting)
        self._captions = VttFile(folder / CAPTIONS, setting)
        self._sound = WavFile(folder / SOUND, setting)

    @property
    def sinks(self) -> list[Sink]:
        """The small files first: should the job be ended while they are finished, only the sound is missing."""
        return [self._journal, self._captions, self._sound]

    @property
    def records(self) -> list[CueRecord]:
        """By stream time, with their times in the sound; once finished."""
        return self._journal.records

    @property
    def mix(self) -> MixReport:
        """Once finished."""
        assert self._sound.report is not None
        return self._sound.report

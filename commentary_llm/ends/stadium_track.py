"""A stadium track for a match that comes without sound: crowd noise, and a public-address voice made by the engine.

Everything on it is synthetic and labelled so, in the file's tags and in `stadium.json` beside it, which also holds
what the announcer said and when: the truth that recognition is measured against.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import numpy as np
import soxr
from av.audio.stream import AudioStream
from scipy.signal import butter, sosfilt

from asr_tts.audio.crowd import CrowdNoise, Moment
from asr_tts.audio.levels import gain_of, rms_dbfs
from asr_tts.interfaces import SpeechStyle, Synthesizer
from commentary_llm.ground.errors import OutputError
from commentary_llm.ground.files import written_aside
from commentary_llm.ground.home import commentary_home
from commentary_llm.match import CardType, EventType, MatchEvent, MatchInfo, ShotOutcome, VarDecision

SAMPLE_RATE_HZ = 16_000
AUDIO_FILE = "stadium.opus"
SIDECAR_FILE = "stadium.json"
_VERSION = 2  # of the recipe below: a track made by another one is made anew
_BIT_RATE = 24_000
_COMPLEXITY = "1"  # of libopus: twice as fast as its default, no difference to be heard in noise
_BLOCK_S = 20.0

_ANNOUNCED_AFTER_S = 1.2  # the announcer has to see it first
_BETWEEN_S = 0.5
_TAIL_S = 20.0  # sound after the last event
_PA_STYLE = SpeechStyle(rate=0.95, energy=0.35)  # even and clear
_PA_DBFS = -15.0
_CROWD_DB = -15.0  # so that a goal's roar stays under the announcement of it
_PA_BAND_HZ = (300.0, 3400.0)
_ECHOES = ((0.05, -15.0), (0.12, -20.0))  # seconds, dB: loudspeakers further away

_EXCITEMENT = {
    EventType.PERIOD_START: 0.45,
    EventType.PERIOD_END: 0.4,
    EventType.MATCH_END: 1.0,
    EventType.GOAL: 1.0,
    EventType.OWN_GOAL: 0.8,
    EventType.PENALTY_AWARDED: 0.6,
    EventType.SAVE: 0.4,
    EventType.CORNER: 0.2,
    EventType.FREE_KICK: 0.15,
    EventType.FOUL: 0.15,
    EventType.CARD: 0.3,
    EventType.SUBSTITUTION: 0.2,
    EventType.VAR_DECISION: 0.6,
}
_SHOT_EXCITEMENT = {
    ShotOutcome.SAVED: 0.5,
    ShotOutcome.POST: 0.65,
    ShotOutcome.OFF_TARGET: 0.4,
    ShotOutcome.BLOCKED: 0.3,
}


Announce = Callable[[MatchEvent], str]  # what the announcer says about an event, '' for nothing


@dataclass(frozen=True)
class Announcement:
    """One sentence of the public-address voice; `time_s` is where it starts in the track."""

    event_id: str
    time_s: float
    duration_s: float
    text: str


@dataclass(frozen=True)
class StadiumTrack:
    """A finished track: its sound file, and what was announced."""

    audio: Path
    duration_s: float
    announcements: tuple[Announcement, ...]

    def announced(self, event_id: str) -> str:
        """What the announcer says about an event; '' for nothing."""
        return next((item.text for item in self.announcements if item.event_id == event_id), "")


def ensure_stadium_track(
    events: Sequence[MatchEvent],
    info: MatchInfo,
    announce: Announce,
    synthesizer: Callable[[], Synthesizer],
    stream_time: Callable[[MatchEvent], float],
    folder: Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> StadiumTrack:
    """The track of this match: the one made earlier if it is still true, else a new one.

    `announce`: the announcer's texts, in the language of the match's commentary or another.
    `folder`: by default `stadium/<match id>` in the project's home. `synthesizer` is called only when a track has to
    be made. Raises OutputError.
    """
    folder = folder or commentary_home() / "stadium" / info.id
    ready = _load(folder, _fingerprint(events, info, announce, stream_time))
    return ready or build_stadium_track(events, info, announce, synthesizer(), folder, stream_time, progress)


def build_stadium_track(
    events: Sequence[MatchEvent],
    info: MatchInfo,
    announce: Announce,
    synthesizer: Synthesizer,
    out: Path,
    stream_time: Callable[[MatchEvent], float],
    progress: Callable[[float], None] | None = None,
) -> StadiumTrack:
    """Makes `out/stadium.opus` and `out/stadium.json`; the folder appears when both are complete.

    `stream_time` places an event in the recording, in seconds. `progress` is told the share done, 0 to 1. A match of
    150 minutes takes under a minute and 30 MB. Raises OutputError if the files cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(out) as aside:
            aside.mkdir()
            track = _build(events, info, announce, synthesizer, aside, stream_time, progress or (lambda share: None))
    except (OSError, av.error.FFmpegError) as error:
        raise OutputError(f"the stadium track cannot be written to {out}: {error}; free some space") from error
    return StadiumTrack(out / AUDIO_FILE, track.duration_s, track.announcements)


def _build(
    events: Sequence[MatchEvent],
    info: MatchInfo,
    announce: Announce,
    synthesizer: Synthesizer,
    folder: Path,
    stream_time: Callable[[MatchEvent], float],
    progress: Callable[[float], None],
) -> StadiumTrack:
    duration_s = max((stream_time(event) for event in events), default=0.0) + _TAIL_S
    voice = _speak(_texts(events, announce, stream_time), synthesizer)
    progress(0.1)
    crowd = CrowdNoise(moments(events, stream_time), SAMPLE_RATE_HZ, seed=_seed(info.id))
    blocks = _blocks(crowd, voice, round(duration_s * SAMPLE_RATE_HZ))
    title = f"{info.home.name} v {info.away.name}: synthetic stadium sound"
    _encode(folder / AUDIO_FILE, title, blocks, duration_s, lambda share: progress(0.1 + 0.9 * share))
    announcements = tuple(announcement for announcement, _ in voice)
    sidecar = {
        "synthetic": True,
        "what": "crowd noise and announcements made by commentary-llm; not a recording of the match",
        "match_id": info.id,
        "fingerprint": _fingerprint(events, info, announce, stream_time),
        "sample_rate_hz": SAMPLE_RATE_HZ,
        "duration_s": round(duration_s, 3),
        "audio_bytes": (folder / AUDIO_FILE).stat().st_size,
        "announcements": [asdict(announcement) for announcement in announcements],
    }
    (folder / SIDECAR_FILE).write_text(json.dumps(sidecar, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return StadiumTrack(folder / AUDIO_FILE, duration_s, announcements)


def _load(folder: Path, fingerprint: str) -> StadiumTrack | None:
    """The track in `folder`; None if there is none, or it is damaged or of other events."""
    audio = folder / AUDIO_FILE
    try:
        sidecar = json.loads((folder / SIDECAR_FILE).read_text(encoding="utf-8"))
        if sidecar["fingerprint"] != fingerprint or sidecar["audio_bytes"] != audio.stat().st_size:
            return None
        announcements = tuple(Announcement(**item) for item in sidecar["announcements"])
        return StadiumTrack(audio, float(sidecar["duration_s"]), announcements)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _fingerprint(
    events: Sequence[MatchEvent], info: MatchInfo, announce: Announce, stream_time: Callable[[MatchEvent], float]
) -> str:
    """Changes with anything that the track depends on."""
    heard = [[event_id, round(time_s, 3), text] for event_id, time_s, text in _texts(events, announce, stream_time)]
    felt = [[round(moment.time_s, 3), moment.excitement] for moment in moments(events, stream_time)]
    return hashlib.sha256(json.dumps([_VERSION, info.id, heard, felt]).encode()).hexdigest()


def _seed(match_id: str) -> int:
    return int.from_bytes(hashlib.sha256(match_id.encode()).digest()[:4], "little")


def moments(events: Iterable[MatchEvent], stream_time: Callable[[MatchEvent], float]) -> list[Moment]:
    """What the crowd answers, by how loud."""
    found = []
    for event in events:
        excitement = _EXCITEMENT.get(event.type, 0.0)
        if event.type is EventType.SHOT and event.outcome is not None:
            excitement = _SHOT_EXCITEMENT[event.outcome]
        elif event.type is EventType.CARD and event.card is not CardType.YELLOW:
            excitement = 0.6
        elif event.type is EventType.VAR_DECISION and event.decision is VarDecision.NO_CHANGE:
            excitement = 0.3
        if excitement:
            found.append(Moment(stream_time(event), excitement))
    return found


def _texts(
    events: Iterable[MatchEvent], announce: Announce, stream_time: Callable[[MatchEvent], float]
) -> list[tuple[str, float, str]]:
    """(event id, time of the event in the recording, what is announced), by time."""
    texts = [(event.event_id, stream_time(event), announce(event)) for event in events]
    return sorted((item for item in texts if item[2]), key=lambda item: item[1])


def _speak(texts: Sequence[tuple[str, float, str]], synthesizer: Synthesizer) -> list[tuple[Announcement, np.ndarray]]:
    """Speaks the announcements, one after the other where events come close together."""
    voice = []
    free_s = 0.0
    for event_id, event_s, text in texts:
        chunks = [chunk.samples for chunk in synthesizer.synthesize(text, _PA_STYLE)]
        spoken = soxr.resample(np.concatenate(chunks), synthesizer.sample_rate_hz, SAMPLE_RATE_HZ)
        start_s = max(event_s + _ANNOUNCED_AFTER_S, free_s)
        duration_s = len(spoken) / SAMPLE_RATE_HZ
        free_s = start_s + duration_s + _BETWEEN_S
        announcement = Announcement(event_id, round(start_s, 3), round(duration_s, 3), text)
        voice.append((announcement, public_address(spoken)))
    return voice


def public_address(samples: np.ndarray) -> np.ndarray:
    """Speech at 16 kHz as stadium loudspeakers give it: band-limited, with the echo of further ones, levelled."""
    sections = butter(2, _PA_BAND_HZ, btype="bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    narrow = np.asarray(sosfilt(sections, samples), dtype=np.float32)
    longest = round(max(delay_s for delay_s, _ in _ECHOES) * SAMPLE_RATE_HZ)
    heard = np.concatenate((narrow, np.zeros(longest, dtype=np.float32)))
    for delay_s, level_db in _ECHOES:
        delay = round(delay_s * SAMPLE_RATE_HZ)
        heard[delay : delay + len(narrow)] += gain_of(level_db) * narrow
    levelled: np.ndarray = np.tanh(heard * gain_of(_PA_DBFS - rms_dbfs(narrow)))
    return levelled.astype(np.float32)


def _blocks(crowd: CrowdNoise, voice: Sequence[tuple[Announcement, np.ndarray]], total: int) -> Iterator[np.ndarray]:
    placed = [(round(announcement.time_s * SAMPLE_RATE_HZ), samples) for announcement, samples in voice]
    block = round(_BLOCK_S * SAMPLE_RATE_HZ)
    level = np.float32(gain_of(_CROWD_DB))
    for first in range(0, total, block):
        count = min(block, total - first)
        mix = crowd.read(first / SAMPLE_RATE_HZ, count / SAMPLE_RATE_HZ) * level
        for start, samples in placed:
            begin, end = max(start, first), min(start + len(samples), first + count)
            if begin < end:
                mix[begin - first : end - first] += samples[begin - start : end - start]
        yield np.clip(mix, -1.0, 1.0)


def _encode(
    path: Path, title: str, blocks: Iterable[np.ndarray], duration_s: float, progress: Callable[[float], None]
) -> None:
    with av.open(str(path), "w", format="ogg") as container:
        container.metadata.update(
            title=title, comment="Synthetic: crowd noise and announcements made by commentary-llm, not a recording."
        )
        stream = container.add_stream(
            "libopus", rate=SAMPLE_RATE_HZ, options={"application": "audio", "compression_level": _COMPLEXITY}
        )
        assert isinstance(stream, AudioStream)
        stream.layout = "mono"
        stream.bit_rate = _BIT_RATE
        done = 0
        for block in blocks:
            frame = av.AudioFrame.from_ndarray(block[np.newaxis], format="flt", layout="mono")
            frame.sample_rate = SAMPLE_RATE_HZ
            frame.pts = done
            container.mux(stream.encode(frame))
            done += len(block)
            progress(done / SAMPLE_RATE_HZ / duration_s)
        container.mux(stream.encode(None))

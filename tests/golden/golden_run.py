"""A run that comes out the same each time: stepped clock, one greedy candidate, every event dealt with before the next.

    python tests/golden/golden_run.py FILE                    records all three sources (the provider's where present)
    python tests/golden/golden_run.py --compare OLD NEW       names what differs; exit code 1 if anything does

A change that is not meant to be heard leaves the record as it is. `recorded.json` beside this file holds decisions and
texts. Sums of samples depend on the processor too, so that they are compared only between runs on one machine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from unittest import mock

from asr_tts.audio.crowd import CrowdNoise
from commentary_llm.commands.runs import BED_RATE_HZ
from commentary_llm.ends.contract import Closing, Ending, Opening
from commentary_llm.ends.desk import Answers, EventDesk
from commentary_llm.ends.loop import EndsLoop
from commentary_llm.ends.match_ends import MatchEnds
from commentary_llm.ends.outputs import CAPTIONS, SOUND, MatchFiles
from commentary_llm.ends.registry import SinkSetting
from commentary_llm.ends.sources.tcp_entry import TrackerPort
from commentary_llm.ends.stadium_track import moments
from commentary_llm.engine import CommentaryEngine
from commentary_llm.ground.clock import StreamClock
from commentary_llm.ground.errors import InputError
from commentary_llm.match import MatchEvent
from commentary_llm.match.feeds.builtin import builtin_match_path
from commentary_llm.match.feeds.jsonl import read_jsonl
from commentary_llm.match.feeds.providers import load_provider
from commentary_llm.match.feeds.recording import Recording
from commentary_llm.match.feeds.schedule import StreamTimes
from commentary_llm.session.events import SegmentHeard, SessionEvent
from commentary_llm.session.record import CueRecord
from commentary_llm.settings import EngineConfig

RECORDED = Path(__file__).with_name("recorded.json")
_WAIT_S = 120.0
_TCP_EVENTS = 30
_SHORT_EVENTS = 24  # for a test: up to the second goal
Submit = Callable[[MatchEvent], str]


class SteppedTime:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Heard:
    """Sums up each segment's samples."""

    def __init__(self) -> None:
        self.sums: list[str] = []

    def put(self, event: SessionEvent) -> None:
        if isinstance(event, SegmentHeard) and event.segment.samples:
            segment = event.segment
            digest = hashlib.sha256(segment.pcm().tobytes()).hexdigest()[:16]
            self.sums.append(f"{segment.event_id} {segment.start_s:.3f} {segment.text} {digest}")


def golden(recording: Recording, folder: Path, feed: Feed) -> dict[str, Any]:
    """What comes of a recording's events when `feed` hands them in."""
    times = StreamTimes.lay_out(list(recording.events))
    stepped = SteppedTime()
    clock = StreamClock(monotonic=stepped)
    files, heard, answers = MatchFiles(folder, SinkSetting(recording.info.id)), Heard(), Answers(recording.info.id)
    complaints: list[str] = []
    config = EngineConfig(match=recording.info, candidates=1, temperature=0.0, max_new_tokens=32)
    decisions: list[str] = []
    # Time stands still for the writer too: how fast the machine decodes must not show in where a line is cut.
    still = mock.patch("commentary_llm.session.writer.perf_counter", return_value=0.0)
    patience = mock.patch("commentary_llm.session.writer.TextBudget.of", return_value=_WAIT_S)
    with (
        still,
        patience,
        EndsLoop() as loop,
        CommentaryEngine.start(config, clock=clock, subscribers=[heard]) as engine,
    ):
        ends = MatchEnds(loop, [*files.sinks, answers], complaints.append)
        opening = Opening(recording.info.id, "golden", engine.synthesizer.sample_rate_hz, clock.now_s())
        ends.start(engine.events, opening, clock, live=False)

        def settle() -> None:
            assert engine.wait_idle(_WAIT_S), "the engine did not come to rest"

        def decided(event: MatchEvent, decision: str) -> None:
            decisions.append(f"{event.event_id} {decision}")
            settle()

        clock.start_at(times(recording.events[0]))
        settle()
        feed(engine, recording, lambda event: clock.jump_to(times(event)), decided, loop, answers)
        engine.drain(_WAIT_S)
        ends.close(Closing())
        bed = CrowdNoise(moments(recording.events, times), BED_RATE_HZ, seed=0)
        ends.finish(Ending("golden", clock.now_s(), bed))
        assert not complaints
        counts = {name: engine.metrics.of(name) for name in ("events", "skipped", "dropped", "cues", "branches")}
    return {
        "decisions": decisions,
        "lines": [_line(record) for record in files.records],
        "counts": counts,
        "captions": hashlib.sha256((folder / CAPTIONS).read_bytes()).hexdigest()[:16],
        "samples": heard.sums,
        "sound": hashlib.sha256((folder / SOUND).read_bytes()).hexdigest()[:16],
    }


def _line(record: CueRecord) -> str:
    fields = (record.event_id, record.urgency, record.source, record.score, record.dropped, record.cut_off)
    refused = "; ".join(f"{refusal.cause}: {refusal.text}" for refusal in record.refusals)
    return " | ".join(map(str, (*fields, record.text, refused)))


Feed = Callable[
    [CommentaryEngine, Recording, Callable[[MatchEvent], None], Callable[[MatchEvent, str], None], EndsLoop, Answers],
    None,
]


def feed_by_call(
    engine: CommentaryEngine,
    recording: Recording,
    step: Callable[[MatchEvent], None],
    decided: Callable[[MatchEvent, str], None],
    loop: EndsLoop,
    answers: Answers,
) -> None:
    for event in recording.events:
        step(event)
        try:
            decided(event, engine.submit(event).skipped or "told")
        except InputError:
            decided(event, "refused")


def feed_by_tcp(
    engine: CommentaryEngine,
    recording: Recording,
    step: Callable[[MatchEvent], None],
    decided: Callable[[MatchEvent, str], None],
    loop: EndsLoop,
    answers: Answers,
) -> None:
    port = TrackerPort("127.0.0.1", 0)
    desk = EventDesk(engine, recording.info, answers, engine.clock.now_s, lambda text: None)
    loop.run(port.start(desk))
    address = ("127.0.0.1", port.port)
    with socket.create_connection(address, timeout=_WAIT_S) as tracker, tracker.makefile("rw") as lines:
        for event in recording.events:
            step(event)
            lines.write(json.dumps(event.model_dump(mode="json", exclude_defaults=True), ensure_ascii=False) + "\n")
            lines.flush()
            # A cue's final record comes in between, once its sound is over.
            while (answer := json.loads(lines.readline()))["status"] in ("spoken", "dropped"):
                pass
            decided(event, str(answer.get("silent", answer["status"])))
    loop.run(port.stop())
    loop.run(port.close())


def shared_statsbomb() -> Recording | None:
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "statsbomb"
    files = {"events": folder / "15946_event.json", "lineups": folder / "15946_lineup.json"}
    return load_provider("statsbomb", files) if all(path.is_file() for path in files.values()) else None


def first_events(recording: Recording, count: int) -> Recording:
    return Recording(recording.info, recording.events[:count])


def record_all(short: bool = False) -> dict[str, Any]:
    """Every source's record; `short` leaves it at the beginning of the built-in match."""
    builtin = read_jsonl(builtin_match_path())
    runs: dict[str, tuple[Recording, Feed]] = {
        "builtin": (first_events(builtin, _SHORT_EVENTS) if short else builtin, feed_by_call),
        "tcp": (first_events(builtin, _SHORT_EVENTS if short else _TCP_EVENTS), feed_by_tcp),
    }
    if not short and (provider := shared_statsbomb()) is not None:
        runs["statsbomb"] = (provider, feed_by_call)
    found: dict[str, Any] = {"processor": processor()}
    for name, (recording, feed) in runs.items():
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            found[name] = golden(recording, Path(folder), feed)
        print(f"{name}: {len(found[name]['lines'])} cues, {time.monotonic() - started:.0f} s", file=sys.stderr)
    return found


def processor() -> str:
    """What sums of samples depend on, beside the code."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    return next((line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")), "unknown")


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What differs, source by source; sums only where both ran on the same kind of processor."""
    found = []
    same_machine = old.get("processor") == new.get("processor")
    for name in sorted((old.keys() & new.keys()) - {"processor"}):
        for part in sorted(old[name].keys() & new[name].keys()):
            if part in ("samples", "sound", "captions") and not same_machine:
                continue
            found += [f"{name}.{part}: {text}" for text in _unlike(old[name][part], new[name][part])]
    return found


def _unlike(old: Any, new: Any) -> Iterable[str]:
    if old == new:
        return
    if not isinstance(old, list) or not isinstance(new, list):
        yield f"{old!r} -> {new!r}"
        return
    for index in range(max(len(old), len(new))):
        was, now = (side[index] if index < len(side) else None for side in (old, new))
        if was != now:
            yield f"[{index}] {was!r} -> {now!r}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--compare", action="store_true", help="compare two records instead of making one")
    parser.add_argument("--short", action="store_true", help="only what the test runs")
    args = parser.parse_args()
    if args.compare:
        old, new = (json.loads(path.read_text(encoding="utf-8")) for path in args.files)
        unlike = differences(old, new)
        print("\n".join(unlike) or "no difference")
        return 1 if unlike else 0
    args.files[0].write_text(json.dumps(record_all(args.short), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    assert threading.current_thread() is threading.main_thread()
    sys.exit(main())

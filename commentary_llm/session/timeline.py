"""What is spoken when: one voice, placed in stream time.

Each cue has a lane: its clauses sound one after another, and none of another cue's between them. Lanes sound in order.
A clause that has begun stays where it is and can only be cut at a word edge; one that has not moves as those before it
come, grow or go. What a sink has already been given cannot be changed.

    lane a   ──opener──·──clause──·──clause──
    lane b                                    ──opener──·──clause──
                                              ^ placed when b came; moved each time a grew
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from asr_tts.audio.fades import faded_cut
from commentary_llm.cue.cue import Urgency

BREATH_S = 0.20  # pause between two cues
CUT_IN_S = 0.06  # pause between what was cut off and what cut it off
# How long the next cue waits in silence for more of a cue that is still being written and matters as much.
PATIENCE_S = 0.4
# Less of a clause than this has not been played by anybody: players follow the clock at a distance of 30 ms.
UNHEARD_S = 0.02
# From the news to where speech is cut at the latest, and at the earliest where that is no word's edge: with the pause
# after it and the player's distance an urgent cue is then heard within 0.4 s.
LONGEST_TO_CUT_S = 0.27
_LEAST_TO_CUT_S = 0.06
_FRAME_S = 0.01
_LIKELY_REST_S = 1.5  # of a line that is still being written


@dataclass(eq=False)
class Segment:
    """The speech of one clause. Grows while it is being synthesised; `start_s` is final once it has begun."""

    event_id: str
    text: str
    start_s: float
    sample_rate_hz: int
    pause_s: float = 0.0  # before it
    chunks: list[np.ndarray] = field(default_factory=list)  # float32 mono
    samples: int = 0
    word_edges_s: tuple[float, ...] = ()  # from the segment's start, rising
    complete: bool = False
    cut_s: float | None = None  # from the segment's start: where speech was cut

    @property
    def end_s(self) -> float:
        return self.start_s + (self.samples / self.sample_rate_hz if self.cut_s is None else self.cut_s)

    @property
    def expected_end_s(self) -> float:
        """Where it will end, as far as its words are known."""
        if self.complete or not self.word_edges_s:
            return self.end_s
        return max(self.end_s, self.start_s + self.word_edges_s[-1])

    def begun(self, now_s: float) -> bool:
        """Whether somebody may have heard of it."""
        return self.start_s <= now_s - UNHEARD_S

    def cut_place_s(self, spoken_s: float) -> float:
        """Where speech that must make way after `spoken_s` is cut, in seconds from the segment's start.

        At the next word's edge; where that is longer off than news can wait, at the quietest moment before: between two
        syllables, as a rule.
        """
        edge_s = next((edge for edge in self.word_edges_s if edge >= spoken_s), self.samples / self.sample_rate_hz)
        if edge_s - spoken_s <= LONGEST_TO_CUT_S:
            return edge_s
        rate, frame = self.sample_rate_hz, round(_FRAME_S * self.sample_rate_hz)
        first, last = round((spoken_s + _LEAST_TO_CUT_S) * rate), round((spoken_s + LONGEST_TO_CUT_S) * rate)
        sound = np.concatenate(self.chunks)[first:last]
        frames = sound[: len(sound) // frame * frame].reshape(-1, frame)
        if not len(frames):
            return edge_s  # so little is decoded: it is cut where that ends
        return (first + (int(np.square(frames).sum(axis=1).argmin()) + 1) * frame) / rate

    def pcm(self) -> np.ndarray:
        """float32 mono, ended at the cut (with a short fade) where there is one."""
        whole = np.concatenate(self.chunks) if self.chunks else np.zeros(0, np.float32)
        return whole if self.cut_s is None else faded_cut(whole, self.sample_rate_hz, self.cut_s)


@dataclass(eq=False)
class Lane:
    """A cue's place among the others. Changed by its timeline alone."""

    event_id: str
    urgency: Urgency
    interruptible: bool
    reserved_s: float
    lead_s: float = BREATH_S  # pause before it
    segments: list[Segment] = field(default_factory=list)  # not yet released
    spoken: bool = False  # something of it has been released
    open: bool = True  # more clauses may come

    @property
    def growing(self) -> bool:
        return self.open or any(not segment.complete for segment in self.segments)

    def begun(self, now_s: float) -> bool:
        return self.spoken or any(segment.begun(now_s) for segment in self.segments)


@dataclass(frozen=True)
class Busy:
    """What the voice is committed to at some moment."""

    until_s: float  # end of the last line, as far as it can be told
    urgency: Urgency | None  # highest among the lines not yet ended
    interruptible: bool  # whether all of them may be cut


class SpeechTimeline:
    """The voice's schedule. Thread-safe; every call returns within microseconds.

    `on_open` is told of each segment when it is placed, from the thread that places it: until it has begun it may still
    move, and then grow and be cut, which is what a live player wants. It must not wait.
    """

    def __init__(self, now_s: Callable[[], float], on_open: Callable[[Segment], None] | None = None) -> None:
        """`now_s`: the stream's clock."""
        self._now_s = now_s
        self._on_open = on_open
        self._lock = threading.Lock()
        self._lanes: list[Lane] = []  # in the order they sound
        self._last_end_s = float("-inf")  # of what was released

    def busy(self, now_s: float) -> Busy:
        with self._lock:
            pending = [lane for lane in self._lanes if lane.open or any(s.end_s > now_s for s in lane.segments)]
            until_s = now_s
            for lane in pending:
                until_s = max([until_s, *(segment.expected_end_s for segment in lane.segments)])
                until_s += _LIKELY_REST_S if lane.open else 0.0
            return Busy(
                until_s=until_s,
                urgency=max((lane.urgency for lane in pending), default=None),
                interruptible=all(lane.interruptible for lane in pending),
            )

    def reserve(self, event_id: str, urgency: Urgency, interruptible: bool, cuts_below: int) -> tuple[Lane, list[Lane]]:
        """A lane for a new cue, behind those that are at least as urgent or have begun.

        Interruptible speech less urgent than `cuts_below` makes way: what has begun ends at its next word edge, small
        talk that has not begun goes. Returns the lane, and those that take no more clauses because of it.
        """
        with self._lock:
            now_s = self._now_s()
            lost = [lane for lane in self._lanes if self._cut(lane, now_s, cuts_below)]
            lane = Lane(event_id, urgency, interruptible, now_s, CUT_IN_S if lost else BREATH_S)
            place = len(self._lanes)
            while place and self._lanes[place - 1].urgency < urgency and not self._lanes[place - 1].begun(now_s):
                place -= 1
            self._lanes.insert(place, lane)
            self._arrange(now_s)
            return lane, lost

    def open(self, lane: Lane, text: str, sample_rate_hz: int, pause_s: float = 0.0) -> Segment | None:
        """Places a new clause `pause_s` after the lane's last. None when the lane takes no more."""
        with self._lock:
            now_s = self._now_s()
            if not lane.open or self._overtaken(lane, now_s):
                lane.open = False
                return None
            segment = Segment(lane.event_id, text, float("inf"), sample_rate_hz, pause_s)
            lane.segments.append(segment)
            self._arrange(now_s)
        if self._on_open is not None:
            self._on_open(segment)
        return segment

    def append(self, segment: Segment, samples: np.ndarray, word_edges_s: tuple[float, ...] = ()) -> bool:
        """Adds decoded PCM. False when the segment was cut or withdrawn meanwhile: stop synthesising it."""
        with self._lock:
            if segment.cut_s is not None:
                return False
            segment.chunks.append(samples)
            segment.samples += len(samples)
            segment.word_edges_s = word_edges_s or segment.word_edges_s
            self._arrange(self._now_s())
            return True

    def complete(self, segment: Segment) -> None:
        with self._lock:
            segment.complete = True
            self._arrange(self._now_s())

    def close(self, lane: Lane) -> None:
        """No more clauses come: the next cue need not wait for them."""
        with self._lock:
            lane.open = False
            self._arrange(self._now_s())

    def withdraw(self, lane: Lane) -> bool:
        """Takes back a lane of which nothing has been heard; False when something has."""
        with self._lock:
            now_s = self._now_s()
            if lane.begun(now_s):
                return False
            self._empty(lane)
            self._arrange(now_s)
            return True

    def begun(self, lane: Lane) -> bool:
        """Whether something of the lane may have been heard."""
        with self._lock:
            return lane.begun(self._now_s())

    def takes_more(self, lane: Lane) -> bool:
        with self._lock:
            return lane.open and not self._overtaken(lane, self._now_s())

    def sounds_from_s(self, lane: Lane) -> float:
        """When the lane's next word would be heard, as things stand; in the past for one that has begun."""
        with self._lock:
            now_s = self._now_s()
            if lane.spoken or lane.segments:
                return lane.segments[0].start_s if lane.segments else now_s
            before = self._lanes[: self._lanes.index(lane)] if lane in self._lanes else []
            return max([now_s, *(segment.expected_end_s for other in before for segment in other.segments)])

    def sounds_until_s(self, lane: Lane) -> float:
        """Until when the lane's words that are placed are heard; minus infinity without any."""
        with self._lock:
            return max((segment.expected_end_s for segment in lane.segments), default=float("-inf"))

    def release(self, until_s: float) -> list[Segment]:
        """Hands out, in order, the segments that ended by `until_s`; they can no longer be changed."""
        ready: list[Segment] = []
        with self._lock:
            for lane in list(self._lanes):
                while lane.segments and lane.segments[0].complete and lane.segments[0].end_s <= until_s:
                    segment = lane.segments.pop(0)
                    lane.spoken = True
                    self._last_end_s = max(self._last_end_s, segment.end_s)
                    ready.append(segment)
                if lane.segments:
                    break
                if not lane.open:
                    self._lanes.remove(lane)
                elif any(later.begun(until_s) for later in self._behind(lane)):
                    lane.open = False
                    self._lanes.remove(lane)
        return ready

    # All below: holding the lock.

    def _arrange(self, now_s: float) -> None:
        """Gives every segment that has not begun its place."""
        end_s, ahead = self._last_end_s, None
        for lane in self._lanes:
            for position, segment in enumerate(lane.segments):
                if not segment.begun(now_s):
                    gap_s = segment.pause_s if position or lane.spoken else self._gap_s(lane, ahead)
                    # What is due already stays due: being arranged again must not put it off.
                    segment.start_s = max(end_s + gap_s, min(segment.start_s, now_s))
                end_s = max(end_s, segment.expected_end_s)
            if lane.open and not lane.segments and not lane.spoken:
                end_s = max(end_s, lane.reserved_s)  # its first word is on the way
            ahead = lane

    @staticmethod
    def _gap_s(lane: Lane, ahead: Lane | None) -> float:
        if ahead is not None and ahead.growing and ahead.urgency >= lane.urgency:
            return max(lane.lead_s, PATIENCE_S)
        return lane.lead_s

    def _behind(self, lane: Lane) -> Iterator[Lane]:
        if lane in self._lanes:
            yield from self._lanes[self._lanes.index(lane) + 1 :]

    def _overtaken(self, lane: Lane, now_s: float) -> bool:
        return lane not in self._lanes or any(later.begun(now_s) for later in self._behind(lane))

    def _cut(self, lane: Lane, now_s: float, below: int) -> bool:
        """Whether `lane` had to make way."""
        if lane.urgency >= below or not lane.interruptible:
            return False
        if not lane.begun(now_s):
            if lane.urgency >= Urgency.KEY:
                return False  # it is still worth hearing afterwards
            self._empty(lane)
            return True
        changed = lane.open
        lane.open = False
        for segment in lane.segments:
            if segment.end_s <= now_s and segment.complete:
                continue
            if not segment.begun(now_s):
                segment.cut_s = 0.0
            else:
                have_s = segment.samples / segment.sample_rate_hz
                cut_s = min(segment.cut_place_s(now_s - segment.start_s), have_s)
                if segment.complete and cut_s >= have_s:
                    continue  # already in its last word
                segment.cut_s = cut_s
            segment.complete = True
            changed = True
        lane.segments = [segment for segment in lane.segments if segment.cut_s != 0.0]
        return changed

    def _empty(self, lane: Lane) -> None:
        for segment in lane.segments:
            segment.cut_s, segment.complete = 0.0, True
        lane.segments.clear()
        lane.open = False
        if lane in self._lanes:
            self._lanes.remove(lane)

"""The voice's schedule: one thing at a time, in order, cut where it may be, everything handed out once."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commentary_llm.cue.cue import Urgency
from commentary_llm.session.timeline import (
    BREATH_S,
    CUT_IN_S,
    LONGEST_TO_CUT_S,
    PATIENCE_S,
    UNHEARD_S,
    Lane,
    Segment,
    SpeechTimeline,
)

RATE = 1000
CLOSE_S = 2 / RATE


@dataclass
class Show:
    """A timeline on a clock that the test moves."""

    now_s: float = 0.0
    opened: list[Segment] = field(default_factory=list)
    timeline: SpeechTimeline = field(init=False)

    def __post_init__(self) -> None:
        self.timeline = SpeechTimeline(lambda: self.now_s, self.opened.append)

    def cue(self, name: str, urgency: Urgency = Urgency.NOTE, interruptible: bool = True, cuts: int = 0) -> Lane:
        return self.timeline.reserve(name, urgency, interruptible, cuts)[0]

    def say(self, lane: Lane, length_s: float, pause_s: float = 0.0) -> Segment:
        segment = self.timeline.open(lane, "text", RATE, pause_s)
        assert segment is not None
        self.add(segment, length_s)
        self.timeline.complete(segment)
        return segment

    def add(self, segment: Segment, length_s: float) -> bool:
        edges = tuple(np.arange(0.5, length_s + 0.01, 0.5))
        return self.timeline.append(segment, np.ones(round(length_s * RATE), np.float32), edges)

    def line(self, name: str, length_s: float, urgency: Urgency = Urgency.NOTE, interruptible: bool = True) -> Segment:
        """A whole cue of one clause."""
        lane = self.cue(name, urgency, interruptible)
        segment = self.say(lane, length_s)
        self.timeline.close(lane)
        return segment


def test_the_first_word_is_placed_now() -> None:
    show = Show(now_s=10.0)
    segment = show.say(show.cue("a"), 1.0)
    assert segment.start_s == 10.0
    assert show.opened == [segment]


def test_a_clause_follows_its_opener_after_the_pause_asked_for() -> None:
    show = Show(now_s=10.0)
    lane = show.cue("a")
    opener = show.say(lane, 1.0)
    show.now_s = 10.4
    clause = show.say(lane, 1.0, pause_s=0.25)
    assert clause.start_s == pytest.approx(opener.end_s + 0.25)


def test_a_clause_that_comes_late_is_heard_at_once() -> None:
    show = Show()
    lane = show.cue("a")
    show.say(lane, 1.0)
    show.now_s = 3.0
    assert show.say(lane, 1.0, pause_s=0.25).start_s == 3.0


def test_a_later_cue_waits_for_the_whole_line_before_it() -> None:
    show = Show()
    first = show.cue("a")
    show.say(first, 1.0)
    show.now_s = 0.3
    second = show.cue("b")
    opener = show.say(second, 1.0)
    assert opener.start_s == pytest.approx(1.0 + PATIENCE_S)
    clause = show.say(first, 2.0, pause_s=0.2)
    assert clause.start_s == pytest.approx(1.2)
    assert opener.start_s == pytest.approx(3.2 + PATIENCE_S)
    show.timeline.close(first)
    assert opener.start_s == pytest.approx(3.2 + BREATH_S)


def test_a_line_that_is_written_too_slowly_loses_its_place() -> None:
    show = Show()
    first = show.cue("a")
    show.say(first, 1.0)
    opener = show.say(show.cue("b"), 1.0)
    show.now_s = 1.0 + PATIENCE_S + 2 * UNHEARD_S
    assert not show.timeline.takes_more(first)
    assert show.timeline.open(first, "too late", RATE) is None
    assert opener.start_s == pytest.approx(1.0 + PATIENCE_S)


def test_a_cue_that_matters_more_does_not_wait_for_words_to_come() -> None:
    show = Show()
    show.say(show.cue("a", Urgency.NOTE), 1.0)
    show.now_s = 0.1
    opener = show.say(show.cue("b", Urgency.KEY), 1.0)
    assert opener.start_s == pytest.approx(1.0 + BREATH_S)


def test_what_has_begun_is_never_moved() -> None:
    show = Show()
    first, second = show.cue("a"), None
    show.say(first, 1.0)
    second = show.say(show.cue("b"), 5.0)
    show.now_s = 2.0
    begun_s = second.start_s
    show.say(show.cue("c", Urgency.URGENT), 1.0)
    show.timeline.close(first)
    assert second.start_s == begun_s


def test_an_urgent_cue_goes_before_what_has_not_begun() -> None:
    show = Show()
    playing = show.line("a", 2.0, Urgency.KEY)
    waiting = show.line("b", 1.0, Urgency.KEY)
    show.now_s = 0.5
    urgent = show.say(show.cue("c", Urgency.URGENT), 1.0)
    assert urgent.start_s == pytest.approx(playing.end_s + BREATH_S)
    assert waiting.start_s >= urgent.end_s + BREATH_S


def test_an_urgent_cue_cuts_at_the_next_word_edge() -> None:
    show = Show()
    playing = show.line("a", 3.0)
    show.now_s = 0.1
    chatter = show.line("b", 2.0)
    substitution = show.line("c", 2.0, Urgency.KEY)
    show.now_s = 1.25
    lane, lost = show.timeline.reserve("goal", Urgency.URGENT, False, Urgency.URGENT)
    goal = show.say(lane, 1.0)
    assert [each.event_id for each in lost] == ["a", "b"]
    assert playing.cut_s == 1.5
    assert chatter.cut_s == 0.0
    pcm = playing.pcm()
    assert len(pcm) == 1500
    assert pcm[-1] == 0.0
    assert goal.start_s == pytest.approx(1.5 + CUT_IN_S)
    show.timeline.close(lane)
    assert substitution.start_s == pytest.approx(goal.end_s + BREATH_S)


def test_a_call_that_may_not_be_cut_is_not() -> None:
    show = Show()
    call = show.line("goal", 3.0, Urgency.URGENT, interruptible=False)
    show.now_s = 1.0
    assert show.timeline.reserve("x", Urgency.URGENT, False, Urgency.URGENT + 1)[1] == []
    assert call.cut_s is None


def test_a_goal_cuts_off_the_penalty_before_it() -> None:
    show = Show()
    penalty = show.cue("penalty", Urgency.URGENT)
    show.say(penalty, 2.0)
    show.now_s = 0.2
    assert show.timeline.reserve("goal", Urgency.URGENT, False, Urgency.URGENT + 1)[1] == [penalty]


def test_the_last_word_is_finished_but_nothing_follows_it() -> None:
    show = Show()
    lane = show.cue("a")
    opener = show.say(lane, 3.0)
    show.now_s = 2.8
    assert show.timeline.reserve("goal", Urgency.URGENT, False, Urgency.URGENT)[1] == [lane]
    assert opener.cut_s is None
    assert show.timeline.open(lane, "more", RATE) is None


def test_a_clause_cut_while_it_grows_takes_no_more_sound() -> None:
    show = Show()
    segment = show.timeline.open(show.cue("a"), "text", RATE)
    assert segment is not None
    assert show.timeline.append(segment, np.ones(600, np.float32), (0.4, 0.8, 2.0))
    show.now_s = 0.15
    show.timeline.reserve("goal", Urgency.URGENT, False, Urgency.URGENT)
    assert segment.cut_s == 0.4
    assert not show.timeline.append(segment, np.ones(600, np.float32))


def test_what_nobody_has_heard_can_be_taken_back() -> None:
    show = Show()
    lane = show.cue("a")
    segment = show.say(lane, 1.0)
    show.now_s = UNHEARD_S / 2
    assert show.timeline.withdraw(lane)
    assert len(segment.pcm()) == 0
    assert show.timeline.open(lane, "more", RATE) is None
    other = show.cue("b")
    show.say(other, 1.0)
    show.now_s += 2 * UNHEARD_S
    assert not show.timeline.withdraw(other)
    assert show.timeline.release(10.0) != []


def test_release_hands_out_only_what_has_ended() -> None:
    show = Show()
    a, b = show.line("a", 1.0), show.line("b", 1.0)
    assert show.timeline.release(0.9) == []
    assert show.timeline.release(1.0) == [a]
    assert show.timeline.release(10.0) == [b]
    assert show.timeline.busy(10.0).urgency is None
    show.now_s = 1.5
    assert show.line("c", 1.0).start_s == pytest.approx(b.end_s + BREATH_S)


def test_busy_tells_what_the_voice_is_committed_to() -> None:
    show = Show()
    show.line("a", 1.0)
    show.now_s = 0.1
    show.line("b", 1.0, Urgency.KEY, interruptible=False)
    busy = show.timeline.busy(0.5)
    assert busy.until_s == pytest.approx(2.0 + BREATH_S)
    assert busy.urgency is Urgency.KEY
    assert not busy.interruptible
    show.cue("c")
    assert show.timeline.busy(0.5).until_s > busy.until_s  # more is to come


@dataclass
class Cue:
    lane: Lane
    segment: Segment | None = None  # being decoded
    clauses: int = 0


actions = st.one_of(
    st.tuples(st.just("wait"), st.floats(0.001, 1.5)),
    st.tuples(st.just("cue"), st.sampled_from(list(Urgency)), st.booleans(), st.booleans()),
    st.tuples(st.just("open"), st.integers(0, 5), st.floats(0.0, 0.3)),
    st.tuples(st.just("append"), st.integers(0, 5), st.integers(1, 8)),
    st.tuples(st.just("complete"), st.integers(0, 5)),
    st.tuples(st.just("close"), st.integers(0, 5)),
    st.tuples(st.just("withdraw"), st.integers(0, 5)),
    st.tuples(st.just("release")),
)


def check(show: Show, heard: list[Segment], before: dict[int, float]) -> None:
    """What holds after every step: nothing overlaps, what has begun stays, lanes are not mixed."""
    live = [s for s in show.opened if s.cut_s != 0.0]
    live.sort(key=lambda s: s.start_s)
    for left, right in itertools.pairwise(live):
        assert right.start_s >= left.end_s - CLOSE_S, (left, right)
    for segment in live:
        if id(segment) in before:
            assert segment.start_s == before[id(segment)], "moved after it had begun"
        if segment.begun(show.now_s):
            before[id(segment)] = segment.start_s
    assert len({id(s) for s in heard}) == len(heard)
    assert heard == sorted(heard, key=lambda s: s.start_s)


@settings(max_examples=300, deadline=None)
@given(st.lists(actions, max_size=60))
def test_whatever_happens_one_thing_is_said_at_a_time(steps: list[tuple]) -> None:
    show, cues, heard, begun = Show(), [], [], {}
    for step in steps:
        kind, arguments = step[0], step[1:]
        # A decoder is ahead of the voice: time passes only up to the end of what is being decoded.
        growing = [c.segment for c in cues if c.segment is not None and c.segment.cut_s is None]
        cue = cues[arguments[0] % len(cues)] if cues and arguments and isinstance(arguments[0], int) else None
        if kind == "wait":
            limit_s = min((s.end_s for s in growing if s.begun(show.now_s)), default=float("inf"))
            show.now_s = max(show.now_s, min(show.now_s + arguments[0], limit_s))
        elif kind == "cue":
            urgency, interruptible, cuts = arguments
            cues.append(Cue(show.cue(str(len(cues)), urgency, interruptible, urgency if cuts else 0)))
        elif kind == "release":
            heard += show.timeline.release(show.now_s)
        elif cue is None:
            continue
        elif kind == "open" and not growing:  # the speaking thread decodes one clause at a time
            cue.segment = show.timeline.open(cue.lane, f"{cue.lane.event_id}.{cue.clauses}", RATE, arguments[1])
            cue.clauses += 1
            if cue.segment is not None:
                show.timeline.append(cue.segment, np.ones(100, np.float32), (0.1, 0.8))
        elif kind == "append" and cue.segment is not None:
            have_s = cue.segment.samples / RATE
            more = min(arguments[1] * 100, round((0.8 - have_s) * RATE))
            if more > 0:
                show.timeline.append(cue.segment, np.ones(more, np.float32))
        elif kind == "complete" and cue.segment is not None:
            show.timeline.complete(cue.segment)
            cue.segment = None
        elif kind == "close" and cue.segment is None:
            show.timeline.close(cue.lane)
        elif kind == "withdraw" and cue.segment is None:
            show.timeline.withdraw(cue.lane)
        check(show, heard, begun)
    for cue in cues:
        if cue.segment is not None:
            show.timeline.complete(cue.segment)
        show.timeline.close(cue.lane)
    heard += show.timeline.release(float("inf"))
    check(show, heard, begun)
    assert {id(s) for s in heard} == {id(s) for s in show.opened if s.cut_s != 0.0}, "all that was kept is heard, once"
    assert show.timeline.release(float("inf")) == []
    order = [s.event_id for s in heard]
    assert len([name for name, _ in itertools.groupby(order)]) == len(set(order)), "a cue was broken into by another"


def test_a_long_word_is_cut_where_it_is_quietest() -> None:
    show = Show()
    lane = show.cue("a", Urgency.NOTE)
    segment = show.timeline.open(lane, "Supercalifragilistic", RATE)
    assert segment is not None
    loud = np.full(2 * RATE, 0.5, np.float32)
    quiet = round(0.58 * RATE)
    loud[quiet : quiet + RATE // 50] = 0.001  # between two syllables
    show.timeline.append(segment, loud, (2.0,))
    show.timeline.complete(segment)
    show.now_s = segment.start_s + 0.4
    urgent = show.say(show.cue("b", Urgency.URGENT, cuts=Urgency.URGENT), 1.0)
    assert segment.cut_s is not None
    assert 0.58 < segment.cut_s <= 0.6 + 1e-6
    assert urgent.start_s - show.now_s <= LONGEST_TO_CUT_S + CUT_IN_S + 1e-6


@given(st.integers(1, 40), st.floats(0.05, 3.0), st.integers(0, 2**32 - 1))
def test_news_never_waits_long_for_a_word(words: int, word_s: float, seed: int) -> None:
    show, rng = Show(), np.random.default_rng(seed)
    lane = show.cue("a", Urgency.NOTE)
    segment = show.timeline.open(lane, "words", RATE)
    assert segment is not None
    sound = rng.normal(0, 0.1, round(words * word_s * RATE)).astype(np.float32)
    show.timeline.append(segment, sound, tuple(word_s * (n + 1) for n in range(words)))
    show.timeline.complete(segment)
    show.now_s = segment.start_s + float(rng.random()) * words * word_s
    urgent = show.say(show.cue("b", Urgency.URGENT, cuts=Urgency.URGENT), 1.0)
    assert urgent.start_s - show.now_s <= LONGEST_TO_CUT_S + CUT_IN_S + BREATH_S

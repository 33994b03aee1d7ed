"""The director on scripted events: exact decisions, no babble over a goal, no lost key event."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from commentary_llm.cue.cue import Urgency
from commentary_llm.cue.director import Decision, Director, SpeechStatus
from commentary_llm.cue.facts import match_seconds
from commentary_llm.match import (
    CardType,
    EventType,
    MatchEvent,
    MatchInfo,
    MatchState,
    ShotOutcome,
    Situation,
)
from commentary_llm.match.feeds import Recording, builtin_match_path, load_provider, read_jsonl
from commentary_llm.match.match import Match

_NEVER_DROPPED = {
    EventType.GOAL,
    EventType.OWN_GOAL,
    EventType.CARD,
    EventType.PENALTY_AWARDED,
    EventType.SUBSTITUTION,
    EventType.VAR_DECISION,
    EventType.VAR_REVIEW,
    EventType.PERIOD_START,
    EventType.MATCH_END,
}


class Stage:
    """Feeds events to a director as if every cue were spoken for `line_s` seconds."""

    def __init__(self, info: MatchInfo, line_s: float = 3.0) -> None:
        self.director = Director()
        self.state = MatchState.initial(info)
        self.line_s = line_s
        self.busy_until_s = float("-inf")
        self.interruptible = True
        self.queued: tuple[str, ...] = ()

    def play(self, event: MatchEvent) -> Decision:
        self.state = self.state.apply(event)
        now_s = match_seconds(event)
        decision = self.director.decide(
            event,
            self.state,
            SpeechStatus(
                now_s=now_s,
                busy_until_s=self.busy_until_s,
                interruptible=self.interruptible or now_s >= self.busy_until_s,
                last_end_s=self.busy_until_s if self.busy_until_s <= now_s else float("-inf"),
                queued=self.queued,
            ),
        )
        if decision.cue is not None:
            self.busy_until_s = max(now_s, self.busy_until_s) + self.line_s
            self.interruptible = decision.cue.interruptible
        return decision


def event(kind: EventType, at_s: float, name: str = "", period: int = 1, **values: object) -> MatchEvent:
    return MatchEvent(event_id=name or f"{kind.value}-{at_s}", type=kind, period=period, elapsed_s=at_s, **values)


@pytest.fixture
def stage(small_match: MatchInfo) -> Stage:
    stage = Stage(small_match)
    stage.play(event(EventType.PERIOD_START, 0))
    return stage


def shot(at_s: float, **values: object) -> MatchEvent:
    values = {"outcome": ShotOutcome.SAVED, "goalkeeper": "a1", **values}
    return event(EventType.SHOT, at_s, team="h", player="h9", **values)


def test_a_goal_is_urgent_and_nothing_lower_is_said_over_it(stage: Stage) -> None:
    stage.line_s = 6.0
    goal = stage.play(event(EventType.GOAL, 100, team="h", player="h9"))
    assert goal.reason == "goal"
    assert goal.cue is not None
    assert (goal.cue.urgency, goal.cue.interruptible) == (Urgency.URGENT, False)
    assert stage.play(event(EventType.THROW_IN, 103, team="a")).cue is None
    corner = stage.play(event(EventType.CORNER, 104, team="a"))
    assert (corner.cue, corner.reason) == (None, "a call that may not be cut off is running")
    assert stage.play(event(EventType.CORNER, 107, team="a")).reason == "the goal still rings"
    assert stage.play(event(EventType.CARD, 108, team="a", player="a4", card=CardType.YELLOW)).cue is not None
    assert stage.play(event(EventType.CORNER, 120, team="a")).reason == "corner"


def test_shot_saved_and_corner_are_one_story(stage: Stage) -> None:
    assert stage.play(shot(60)).reason == "save"
    assert stage.play(event(EventType.SAVE, 61, team="a", player="a1")).reason == "follows the shot"
    assert stage.play(event(EventType.CORNER, 70, team="h")).reason == "follows the shot"
    assert stage.play(event(EventType.CORNER, 90, team="h")).reason == "corner"


def test_foul_free_kick_and_card_are_one_story(stage: Stage) -> None:
    foul = event(EventType.FOUL, 60, "foul", team="a", player="a4", opponent="h9")
    assert stage.play(foul).reason == "foul"
    stage.queued = ("foul",)
    card = stage.play(event(EventType.CARD, 60, team="a", player="a4", card=CardType.YELLOW))
    assert (card.reason, card.supersedes) == ("card", ("foul",))
    assert stage.play(event(EventType.FREE_KICK, 80, team="h")).reason == "follows the foul"


def test_two_changes_at_once_are_one_cue_while_the_first_waits(stage: Stage) -> None:
    first = event(EventType.SUBSTITUTION, 300, "s1", team="h", player="h9", player_on="h12")
    second = event(EventType.SUBSTITUTION, 302, "s2", team="h", player="h8", player_on="h13")
    assert stage.play(first).reason == "substitution"
    stage.queued = ("s1",)
    decision = stage.play(second)
    assert (decision.reason, decision.supersedes) == ("double substitution", ("s1",))


def test_a_second_change_after_the_first_was_spoken_stands_alone(stage: Stage) -> None:
    stage.play(event(EventType.SUBSTITUTION, 300, "s1", team="h", player="h9", player_on="h12"))
    decision = stage.play(event(EventType.SUBSTITUTION, 310, "s2", team="h", player="h8", player_on="h13"))
    assert (decision.reason, decision.supersedes) == ("another substitution", ())


def test_a_goal_sweeps_the_queue(stage: Stage) -> None:
    stage.queued = ("old-1", "old-2")
    decision = stage.play(event(EventType.GOAL, 400, team="a", player="a9"))
    assert decision.supersedes == ("old-1", "old-2")


def test_penalty_then_goal(stage: Stage) -> None:
    assert stage.play(event(EventType.PENALTY_AWARDED, 500, team="h")).reason == "penalty"
    assert stage.play(event(EventType.FOUL, 500, team="a", player="a4")).reason == "follows the penalty"
    goal = stage.play(event(EventType.GOAL, 560, team="h", player="h9", situation=Situation.PENALTY))
    assert goal.reason == "penalty goal"


def test_build_up_is_paced(stage: Stage) -> None:
    spoken = []
    for at_s in range(10, 310, 3):
        values = {"team": "h", "player": "h6", "receiver": "h7", "completed": True, "x": 0.5, "y": 0.5}
        if stage.play(event(EventType.PASS, at_s, **values)).cue is not None:
            spoken.append(at_s)
    gaps = [b - a for a, b in pairwise(spoken)]
    assert 8 <= len(spoken) <= 15
    assert min(gaps) >= 22


def test_failed_passes_get_no_words(stage: Stage) -> None:
    lost = event(EventType.PASS, 200, team="h", player="h6", completed=False)
    assert stage.play(lost) == Decision(None, "no words for pass")


def test_excitement_grows_with_the_stakes(small_match: MatchInfo) -> None:
    early = Stage(small_match).play(event(EventType.GOAL, 600, team="h", player="h9")).cue
    late = Stage(small_match).play(event(EventType.GOAL, 2690, team="h", player="h9", period=2)).cue
    assert early is not None
    assert late is not None
    assert 0 < early.excitement < late.excitement <= 1


def _replay(recording: Recording) -> tuple[int, list[MatchEvent]]:
    match, director = Match(recording.info), Director()
    cues, lost, busy_until_s, interruptible = 0, [], float("-inf"), True
    for item in recording.events:
        state = match.accept(item).state_after
        now_s = match_seconds(item) + 600 * item.period
        speech = SpeechStatus(now_s, busy_until_s, None, interruptible or now_s >= busy_until_s, busy_until_s)
        decision = director.decide(item, state, speech)
        if decision.cue is not None:
            cues += 1
            busy_until_s = max(now_s, busy_until_s) + 3.5
            interruptible = decision.cue.interruptible
        elif item.type in _NEVER_DROPPED:
            lost.append(item)
    return cues, lost


def test_the_built_in_match_loses_no_key_event() -> None:
    cues, lost = _replay(read_jsonl(builtin_match_path()))
    assert lost == []
    assert cues >= 60


def test_a_whole_provider_match_is_neither_mute_nor_babble(shared_data: Path) -> None:
    folder = shared_data / "statsbomb"
    recording = load_provider(
        "statsbomb", {"events": folder / "15946_event.json", "lineups": folder / "15946_lineup.json"}
    )
    cues, lost = _replay(recording)
    assert lost == []
    assert 120 <= cues <= 250


def test_a_goal_takes_back_small_talk_that_waits_but_no_other_goal(small_match: MatchInfo) -> None:
    director, state = Director(), MatchState.initial(small_match)
    goals = [
        MatchEvent(event_id=f"g{n}", type=EventType.GOAL, period=1, elapsed_s=600.0 + n, team="h", player="h4")
        for n in range(2)
    ]
    state = state.apply(goals[0])
    director.decide(goals[0], state, SpeechStatus(now_s=600.0))
    waiting = SpeechStatus(now_s=600.0, queued=("corner", "g0"))
    assert director.decide(goals[1], state.apply(goals[1]), waiting).supersedes == ("corner",)

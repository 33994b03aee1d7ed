"""Template lines: true on every event, many, never repeated, in the persona's manner."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
from english import AnyGate, history, template_writer
from script_helpers import cue_for, cues_of

from commentary_llm.cue.choice import repeats_opener
from commentary_llm.cue.cue import Cue
from commentary_llm.cue.facts import match_seconds
from commentary_llm.language.en.describe import describe
from commentary_llm.language.en.personas import PERSONAS
from commentary_llm.language.en.templates.grammar import sections
from commentary_llm.language.en.text_rules import ENGLISH_RULES
from commentary_llm.match import (
    BodyPart,
    CardType,
    EventType,
    MatchEvent,
    MatchInfo,
    ShotOutcome,
    Situation,
    VarDecision,
)
from commentary_llm.match.feeds import builtin_match_path, load_provider, read_jsonl
from commentary_llm.match.match import Match

GATE = AnyGate()


def refused_lines(cues: list[Cue], name: str) -> list[str]:
    writer = template_writer(cues[0].state.info, persona=name)
    found = []
    for cue in cues:
        for line in writer.lines(cue):
            verdict = GATE.check(line.text, cue)
            if not verdict.ok:
                found.append(f"{line.text} ({cue.event.type.value}: {verdict.cause} {verdict.detail})")
    return found


@pytest.mark.parametrize("name", sorted(PERSONAS))
def test_every_line_is_true_on_the_built_in_match(name: str) -> None:
    assert refused_lines(list(cues_of(read_jsonl(builtin_match_path()))), name) == []


def test_every_line_is_true_on_a_provider_match(shared_data: Path) -> None:
    folder = shared_data / "statsbomb"
    recording = load_provider(
        "statsbomb", {"events": folder / "15946_event.json", "lineups": folder / "15946_lineup.json"}
    )
    cues = [cue for cue in cues_of(recording) if cue.reason != "none"]
    # Build-up by the thousand says the same few things: every tenth is enough.
    chosen = [cue for i, cue in enumerate(cues) if cue.urgency > 0 or i % 10 == 0]
    assert refused_lines(chosen, "neutral") == []


def synthetic_events() -> list[dict[str, object]]:
    """Kinds of event the recorded matches lack: dismissals, own goals, corrections, missed penalties, no names, …"""
    shot = {"type": EventType.SHOT, "team": "h", "player": "h9", "goalkeeper": "a1"}
    shots = [
        {**shot, "outcome": outcome, "situation": situation, "body_part": body, "x": x, "y": 0.5}
        for outcome in ShotOutcome
        for situation in Situation
        for body, x in ((BodyPart.HEAD, 0.95), (BodyPart.LEFT_FOOT, 0.7), (None, None))
    ]
    return [
        {"type": EventType.PERIOD_START},
        *shots,
        {**shot, "outcome": None},
        {**shot, "player": None, "outcome": ShotOutcome.SAVED},
        {**shot, "outcome": ShotOutcome.OFF_TARGET, "note": "just wide"},
        {**shot, "outcome": ShotOutcome.OFF_TARGET, "note": "over the bar", "body_part": BodyPart.HEAD},
        {**shot, "outcome": ShotOutcome.BLOCKED, "opponent": "a4"},
        {"type": EventType.GOAL, "team": "h"},
        {"type": EventType.VAR_REVIEW},
        {"type": EventType.VAR_DECISION, "team": "h", "decision": VarDecision.GOAL_DISALLOWED},
        {"type": EventType.OWN_GOAL, "team": "a", "player": "a4"},
        {"type": EventType.OWN_GOAL, "team": "h"},
        {"type": EventType.GOAL, "team": "a", "player": "a9", "situation": Situation.FREE_KICK, "x": 0.7, "y": 0.5},
        {
            "type": EventType.GOAL,
            "team": "a",
            "player": "a9",
            "body_part": BodyPart.HEAD,
            "assist": "a7",
            "x": 0.95,
            "y": 0.5,
        },
        {"type": EventType.GOAL, "team": "a", "player": "a9", "situation": Situation.CORNER},
        {"type": EventType.GOAL, "team": "a", "player": "a9", "situation": Situation.COUNTER_ATTACK},
        {"type": EventType.GOAL, "team": "h", "player": "h9"},
        {"type": EventType.PENALTY_AWARDED, "team": "h", "player": "h9", "opponent": "a4"},
        {"type": EventType.VAR_DECISION, "team": "h", "decision": VarDecision.PENALTY_STANDS},
        {"type": EventType.VAR_DECISION, "team": "h", "decision": VarDecision.PENALTY_CANCELLED},
        {"type": EventType.VAR_DECISION, "decision": VarDecision.NO_CHANGE},
        {"type": EventType.FOUL, "team": "a", "player": "a4", "opponent": "h9", "x": 0.2, "y": 0.5},
        {"type": EventType.CARD, "team": "a", "player": "a4", "card": CardType.YELLOW},
        {"type": EventType.CARD, "team": "a", "player": "a4", "card": CardType.YELLOW},
        {"type": EventType.CARD, "team": "h", "player": "h4", "card": CardType.RED},
        {"type": EventType.CARD, "team": "h", "card": CardType.YELLOW},
        {"type": EventType.FOUL, "team": "h"},
        {"type": EventType.FREE_KICK, "team": "h", "player": "h6", "x": 0.75, "y": 0.4},
        {"type": EventType.OFFSIDE, "team": "h", "player": "h9"},
        {"type": EventType.CORNER, "team": "h", "player": "h7", "x": 1.0, "y": 0.0},
        {"type": EventType.CORNER, "team": "h", "player": "h7", "x": 1.0, "y": 1.0},
        {"type": EventType.THROW_IN, "team": "h", "player": "h2", "x": 0.5, "y": 1.0},
        {"type": EventType.GOAL_KICK, "team": "h", "player": "h1"},
        {"type": EventType.SAVE, "team": "h", "player": "h1"},
        {"type": EventType.TACKLE, "team": "h", "player": "h5", "opponent": "a9", "completed": True},
        {"type": EventType.INTERCEPTION, "team": "h", "player": "h5"},
        {"type": EventType.CLEARANCE, "team": "h", "player": "h5", "body_part": BodyPart.HEAD},
        {"type": EventType.DRIBBLE, "team": "h", "player": "h8", "opponent": "a6", "completed": True},
        {"type": EventType.DRIBBLE, "team": "h", "player": "h8", "completed": False},
        {"type": EventType.CARRY, "team": "h", "player": "h8", "x": 0.8, "y": 0.5},
        {"type": EventType.INJURY, "team": "h", "player": "h8"},
        {"type": EventType.INJURY},
        {"type": EventType.FORMATION, "team": "h", "formation": "3-5-2"},
        {"type": EventType.SUBSTITUTION, "team": "h", "player": "h9", "player_on": "h12"},
        {"type": EventType.SUBSTITUTION, "team": "h", "player": "h8", "player_on": "h13"},
        {"type": EventType.SUBSTITUTION, "team": "h", "player": "h7", "player_on": "h14"},
        {"type": EventType.STOPPAGE_TIME, "minutes_added": 1},
        {"type": EventType.STOPPAGE_TIME, "minutes_added": 4},
        {"type": EventType.PERIOD_END},
        {"type": EventType.MATCH_END},
    ]


def test_every_line_is_true_on_rare_events(small_match: MatchInfo) -> None:
    match = Match(small_match)
    cues = []
    for i, values in enumerate(synthetic_events()):
        event = MatchEvent(event_id=f"e{i}", period=1, elapsed_s=15.0 * i, **values)
        cues.append(cue_for(event, match.accept(event).state_after))
    for name in PERSONAS:
        assert refused_lines(cues, name) == []
    said = history()
    writer = template_writer(cues[0].state.info, said)
    for cue in cues:
        line = writer.write(cue)
        # When all forms are used up the plain statement stands in; it is data, not commentary.
        assert line == describe(cue.facts) or GATE.check(line, cue).ok, line
        said.add(line, match_seconds(cue.event))


def test_there_are_several_hundred_forms_and_enough_for_the_frequent_events() -> None:
    forms = {form.text for section in sections() for form in section.forms}
    assert len(forms) >= 400
    by_kind: dict[str, set[str]] = defaultdict(set)
    for section in sections():
        by_kind[section.name.split(".")[0]] |= {form.text for form in section.forms}
    for kind in ("saved", "off", "blocked", "corner", "foul", "sub", "yellow", "throwin", "pass", "goal"):
        assert len(by_kind[kind]) >= 12, kind


def test_no_line_comes_twice_within_fifteen_minutes() -> None:
    recording, memory = read_jsonl(builtin_match_path()), history()
    writer = template_writer(recording.info, memory, seed=3)
    said: list[tuple[float, str]] = []
    for cue in cues_of(recording, max_words=20):
        line = writer.write(cue)
        now_s = match_seconds(cue.event)
        assert line
        assert all(line != text or now_s - at_s >= 900 for at_s, text in said)
        memory.add(line, now_s)
        said.append((now_s, line))


def test_one_event_many_times_over_still_varies(final_cues: dict[str, Cue]) -> None:
    cue, said = final_cues["wcf-002"], history()
    writer = template_writer(cue.state.info, said)
    lines = Counter()
    for _ in range(15):
        line = writer.write(cue)
        said.add(line, match_seconds(cue.event))
        lines[line] += 1
    assert max(lines.values()) == 1


def test_words_fit_and_choice_is_seeded(final_cues: dict[str, Cue]) -> None:
    for cue in final_cues.values():
        short = replace(cue, max_words=10)
        lines = list(template_writer(cue.state.info, seed=1).lines(short))
        assert all(len(line.text.split()) <= 10 for line in lines)
        assert [line.text for line in lines] == [
            line.text for line in template_writer(cue.state.info, seed=1).lines(short)
        ]


def test_personas_differ(final_cues: dict[str, Cue]) -> None:
    def all_lines(name: str) -> str:
        return " ".join(template_writer(cue.state.info, persona=name).write(cue) for cue in final_cues.values())

    assert "!" not in all_lines("dry")
    assert all_lines("excited") != all_lines("neutral")


def test_after_an_opener_none_of_its_words_come_again() -> None:
    for cue in cues_of(read_jsonl(builtin_match_path()), max_words=20):
        first = next(template_writer(cue.state.info).lines(cue)).text.split(" ")
        opener = " ".join(first[:2]).rstrip(",.!") + "!"
        text = template_writer(cue.state.info).write(cue, opener)
        assert not repeats_opener(text, opener, ENGLISH_RULES), (opener, text)
        assert len(text.split()) + 2 <= 20
        assert text[:1] == text[:1].upper()
        assert not text or text[-1] in ".!"
        assert not text or GATE.check(text, cue, context=opener).ok


def test_an_opener_may_have_said_it_all(final_cues: dict[str, Cue]) -> None:
    cue = final_cues["wcf-002"]
    everything = " ".join(line.text for line in template_writer(cue.state.info).lines(cue))
    assert template_writer(cue.state.info).write(cue, everything) == ""

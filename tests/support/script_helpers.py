"""Cues for tests: what the director would order, with room for every line."""

from __future__ import annotations

from collections.abc import Iterator

from commentary_llm.cue.cue import Cue, Urgency
from commentary_llm.cue.excitement import excitement_of
from commentary_llm.cue.facts import facts_of
from commentary_llm.cue.rules import rule_for
from commentary_llm.match import MatchEvent, MatchState
from commentary_llm.match.feeds import Recording
from commentary_llm.match.match import Match


def cue_for(event: MatchEvent, state: MatchState, max_words: int = 30) -> Cue:
    facts = facts_of(event, state)
    rule = rule_for(facts)
    return Cue(
        facts=facts,
        urgency=rule.urgency if rule else Urgency.FILL,
        reason=rule.reason if rule else "none",
        deadline_s=10.0,
        max_words=max_words,
        interruptible=True,
        excitement=excitement_of(facts),
    )


def cues_of(recording: Recording, max_words: int = 30) -> Iterator[Cue]:
    match = Match(recording.info)
    for event in recording.events:
        yield cue_for(event, match.accept(event).state_after, max_words)

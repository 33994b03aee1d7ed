"""The fact gate on random matches: what is true mostly passes, one fact changed and it never does."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator

from english import AnyGate
from hypothesis import given, settings
from hypothesis import strategies as st
from script_helpers import cue_for
from true_clauses import TrueClause, random_match, true_clauses

from commentary_llm.cue.cue import Cue

GATE = AnyGate()


def clauses_of_a_match(seed: int, events: int = 30) -> Iterator[tuple[Cue, TrueClause]]:
    rng = random.Random(seed)
    for event, state in random_match(rng, events):
        cue = cue_for(event, state, max_words=60)
        for clause in true_clauses(event, state, rng):
            yield cue, clause


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_one_fact_changed_never_passes(seed: int) -> None:
    passed = [
        (kind, lie, clause.opener, cue.event)
        for cue, clause in clauses_of_a_match(seed)
        for kind, lie in clause.lies
        if GATE.check(lie, cue, context=clause.opener).ok
    ]
    assert passed == []


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_a_lie_never_passes_in_company_of_the_truth(seed: int) -> None:
    """Behind a true sentence, in one clause with it, as what follows it, or with colour around it."""
    rng = random.Random(seed)
    by_event: dict[str, list[TrueClause]] = defaultdict(list)
    cues = {}
    for cue, clause in clauses_of_a_match(seed):
        cues[cue.event.event_id] = cue
        by_event[cue.event.event_id].append(clause)
    passed = []
    for event_id, clauses in by_event.items():
        truths = [clause.text for clause in clauses if clause.text and not clause.opener] or ["Oh!"]
        for clause in clauses:
            for _, lie in clause.lies:
                if clause.opener:
                    continue
                truth = rng.choice(truths)
                for text, before in (
                    (f"{truth} {lie}", ""),
                    (f"{truth[:-1]}, and here it is: {lie}", ""),
                    (f"{lie[:-1]}, and what a moment!", ""),
                    (lie, truth),
                ):
                    if GATE.check(text, cues[event_id], context=before).ok:
                        passed.append((before, text, cues[event_id].event))
    assert passed == []


def test_true_clauses_of_random_matches_pass() -> None:
    """At least 99 in a hundred; none of the shapes may be refused throughout."""
    told, refused = Counter(), Counter()
    for seed in range(40):
        for cue, clause in clauses_of_a_match(seed):
            if not clause.text:
                continue
            kind = cue.event.type.value
            told[kind] += 1
            refused[kind] += not GATE.check(clause.text, cue, context=clause.opener).ok
    assert sum(told.values()) > 2000
    assert set(told) >= {"goal", "own_goal", "shot", "card", "substitution", "foul", "pass", "match_end", "period_end"}
    assert sum(refused.values()) <= 0.01 * sum(told.values()), refused


def test_every_kind_of_lie_is_tried() -> None:
    kinds = Counter(kind for seed in range(40) for _, clause in clauses_of_a_match(seed) for kind, _ in clause.lies)
    wanted = "outcome,team,doer and receiver,ordinal,body,situation,minute,half,score,score swapped,side,card,count"
    assert {*wanted.split(","), "pronoun", "player: sent off", "player: substituted", "player: bench"} <= set(kinds)

"""The blind corpus itself: whole, balanced, and speaking of events that exist."""

from __future__ import annotations

from collections import Counter

from blind_corpus import BUILTIN, LATER, blind_clauses, blind_recording

CLAUSES = [*blind_clauses(), *blind_clauses(LATER)]


def test_every_clause_belongs_to_an_event() -> None:
    known = {
        match: {event.event_id for event in blind_recording(match).events}
        for match in (BUILTIN, "blind_derby", "blind_cup")
    }
    assert [str(clause) for clause in CLAUSES if clause.event not in known[clause.match]] == []


def test_no_clause_stands_twice() -> None:
    counted = Counter((clause.event, clause.opener, clause.text) for clause in CLAUSES)
    assert [key for key, count in counted.items() if count > 1] == []


def test_half_of_it_is_false_and_says_how() -> None:
    false = [clause for clause in CLAUSES if not clause.true]
    assert len(CLAUSES) >= 550
    assert 0.45 <= len(false) / len(CLAUSES) <= 0.55
    assert all(bool(clause.lie) is not clause.true for clause in CLAUSES)

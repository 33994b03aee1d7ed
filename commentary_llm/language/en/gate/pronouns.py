"""Whom the pronouns of a clause may stand for, from the names of the line so far."""

from __future__ import annotations

from collections.abc import Sequence

from commentary_llm.cue.facts import Facts
from commentary_llm.cue.facts.keys import Key, team_key
from commentary_llm.language.en.gate.reading import STOPS, Item, Reading

_SUBJECTS = frozenset({"he", "she"})
_PLURAL = frozenset({"they", "them", "their", "themselves"})
_SIDES = frozenset({"side", "team", "teams"})


def resolve_pronouns(reading: Reading) -> None:
    """Sets the antecedents of every pronoun.

    "he": players of the nearest sentence that names any, before the pronoun; "him", "his": any player of the line so
    far. "they", "their": sides named or represented in the nearest sentence with names, and its players (two may
    combine). Where several fit the words decide: one of them has to fill the part. "they" after no name at all is the
    side the event is about.
    """
    facts = reading.facts
    sentences = [
        [key for keys in sentence if (key := _meant(keys, reading)) is not None] for sentence in reading.earlier
    ]
    sentences.append([])
    for at, item in enumerate(reading.items):
        if item.kind == "mark" and item.text in STOPS:
            sentences.append([])
        elif item.kind == "name" and item.key is not None and item.key[0] in "pkt":
            sentences[-1].append(item.key)
        elif item.kind == "pronoun":
            following = reading.items[at + 1].text if at + 1 < len(reading.items) else ""
            item.antecedents = _antecedents(item, sentences, facts, of_side=following in _SIDES)


def _antecedents(item: Item, sentences: Sequence[Sequence[Key]], facts: Facts, of_side: bool) -> frozenset[Key]:
    if item.text in _PLURAL:
        named = _nearest(sentences, "pkt")
        if not named:
            sides = facts.roles.get("credited") or facts.roles.get("side", frozenset())
            return frozenset(key for key in sides if key.startswith("t:"))
        return named | _sides_of(named, facts)
    players = (
        _nearest(sentences, "pk")
        if item.text in _SUBJECTS
        else frozenset(key for sentence in sentences for key in sentence if key[0] in "pk")
    )
    return _sides_of(players, facts) if of_side else players


def _nearest(sentences: Sequence[Sequence[Key]], kinds: str) -> frozenset[Key]:
    for sentence in reversed(sentences):
        found = frozenset(key for key in sentence if key[0] in kinds)
        if found:
            return found
    return frozenset()


def _sides_of(keys: frozenset[Key], facts: Facts) -> frozenset[Key]:
    state = facts.state
    sides = {team_key(state.team_of(key[2:]).id) for key in keys if key.startswith("p:")}
    if "k" in keys:
        sides |= {key for key in facts.keys("keeper") if key.startswith("t:")}
    return frozenset(sides)


def _meant(keys: frozenset[Key], reading: Reading) -> Key | None:
    meant = keys if len(keys) == 1 else keys & reading.participants
    key = next(iter(meant)) if len(meant) == 1 else None
    return key if key is not None and key[0] in "pkt" else None

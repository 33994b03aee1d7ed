"""Clauses that go on from words already spoken: pronouns, subjects, changes and standings are judged with them."""

from __future__ import annotations

import pytest
from english import AnyGate

from commentary_llm.cue.cue import Cue

GATE = AnyGate()


@pytest.mark.parametrize(
    ("event", "opener", "text", "ok"),
    [
        ("wcf-008", "Goal! Messi!", "He leaves the keeper no chance.", True),
        ("wcf-008", "Goal! Messi!", "He scores from the spot!", True),
        ("wcf-008", "Goal! Messi!", "He heads it in!", False),
        ("wcf-008", "Goal! Messi!", "They lead one-nil!", True),
        ("wcf-008", "Goal! Messi!", "They trail one-nil!", False),
        ("wcf-008", "Lloris!", "He scores!", False),
        ("wcf-008", "Goal! Messi!", "His first goal of the match!", True),
        ("wcf-008", "Lloris!", "His first goal of the match!", False),
        ("wcf-030", "Saved! Martínez!", "He denies Rabiot.", True),
        ("wcf-030", "Rabiot!", "He saves!", False),
        ("wcf-030", "Rabiot!", "Martínez denies him!", True),
        ("wcf-030", "Martínez!", "Rabiot denies him!", False),
        ("wcf-027", "Goal! Mbappé!", "And it's two-two!", True),
        ("wcf-027", "Goal! Mbappé!", "They are level!", True),
        ("wcf-027", "Goal! Mbappé!", "They still trail!", False),
        ("wcf-027", "Argentina!", "They are level!", False),  # France drew level
        ("wcf-055", "Goal! Mbappé!", "He has his hat-trick!", True),
        ("wcf-013", "Fernández!", "He is booked.", True),
        ("wcf-013", "Fernández!", "He is sent off.", False),
        ("wcf-010", "Change for France.", "They bring on Kolo Muani.", True),
        ("wcf-010", "Dembélé!", "He comes on.", False),
        ("wcf-010", "Dembélé!", "He makes way for Kolo Muani.", True),
        ("wcf-011", "Thuram is on.", "Dembélé makes way.", False),  # two changes at once: Thuram for Giroud
        ("wcf-011", "Thuram is on.", "Giroud makes way.", True),
        ("wcf-073", "Argentina!", "They have won it!", True),
        ("wcf-073", "France!", "They have won it!", False),
    ],
)
def test_a_continuation_is_judged_with_its_opener(
    event: str, opener: str, text: str, ok: bool, final_cues: dict[str, Cue]
) -> None:
    verdict = GATE.check(text, final_cues[event], context=opener)
    assert verdict.ok is ok, verdict


@pytest.mark.parametrize(
    ("event", "text", "ok"),
    [
        ("wcf-008", "Argentina still lead.", False),  # they have just taken it
        ("wcf-008", "Argentina were ahead.", False),
        ("wcf-009", "Argentina still lead.", True),
        ("wcf-018", "Argentina remain in front.", True),
        ("wcf-027", "Still level!", False),
        ("wcf-030", "Still level!", True),
        ("wcf-026", "Argentina still lead.", True),
        ("wcf-009", "Di María scores again!", False),
        ("wcf-009", "Argentina score again!", True),
        ("wcf-027", "Mbappé scores again!", True),
    ],
)
def test_what_lasts_and_what_is_new(event: str, text: str, ok: bool, final_cues: dict[str, Cue]) -> None:
    verdict = GATE.check(text, final_cues[event])
    assert verdict.ok is ok, verdict


@pytest.mark.parametrize(
    ("event", "text", "ok"),
    [
        ("wcf-008", "Messi, into the bottom corner!", False),  # nobody has told where it went
        ("wcf-008", "Messi curls it in!", False),
        ("wcf-008", "Messi, with the left foot!", True),
        ("wcf-008", "Messi with a header!", False),
        ("wcf-027", "Mbappé with the volley!", True),  # the tracker's note says so
        ("wcf-026", "Mbappé with the volley!", False),
        ("wcf-051", "Handball by Montiel!", True),
        ("wcf-024", "Handball by Otamendi!", False),
        ("wcf-008", "What a finish! Superb!", True),
    ],
)
def test_manner_needs_to_be_held(event: str, text: str, ok: bool, final_cues: dict[str, Cue]) -> None:
    verdict = GATE.check(text, final_cues[event])
    assert verdict.ok is ok, verdict

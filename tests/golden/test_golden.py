"""The beginning of the built-in match, by call and over TCP, comes out as it is on record."""

from __future__ import annotations

import json

import pytest
from golden_run import RECORDED, differences, record_all

pytestmark = pytest.mark.models


def test_decisions_texts_and_sound_are_those_on_record() -> None:
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    assert differences(recorded, record_all(short=True)) == []


def test_a_difference_is_named() -> None:
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    changed = json.loads(json.dumps(recorded))
    changed["tcp"]["lines"][2] = "something else"
    changed["builtin"]["decisions"].pop()
    found = differences(recorded, changed)
    assert len(found) == 2
    assert any("tcp.lines: [2]" in text and "something else" in text for text in found)
    elsewhere = changed | {"processor": "another"}
    elsewhere["builtin"]["sound"] = "other samples"
    assert len(differences(recorded, elsewhere)) == 2

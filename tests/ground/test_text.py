"""Folding: the one way in which names and words are made comparable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commentary_llm.ground.text import fold, strip_marks


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Mbappé", "mbappe"),
        ("Højbjerg", "hojbjerg"),
        ("ŁUKASZ Đorđević", "lukasz dordevic"),
        ("Þór Guðjohnsen", "thor gudjohnsen"),
        ("Großkreutz", "grosskreutz"),
        ("İlkay Gündoğan", "ilkay gundogan"),
        ("Cœur de Mbappé’s", "coeur de mbappe's"),
        ("ǿre", "ore"),
        ("™", "tm"),
        ("", ""),
    ],
)
def test_marks_and_case_fall_away(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_case_stays_where_it_is_wanted() -> None:
    assert strip_marks("Ødegaard, Ćorluka, Æsir") == "Odegaard, Corluka, Aesir"


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)

"""The lists: one phrase a line, and what is not one is named with its line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from commentary_llm.ground.errors import ConfigError
from commentary_llm.language.contract import Cause
from commentary_llm.language.en import names
from commentary_llm.language.en.gate import lexicon
from commentary_llm.language.en.gate.lexicon import read_lexicon
from commentary_llm.language.en.lists import SECTION, lines_of
from commentary_llm.language.en.names import read_known_teams
from commentary_llm.language.en.templates.grammar import STYLES, read_sections
from commentary_llm.language.en.training import grammar
from commentary_llm.language.en.training.grammar import read_grammar

GATE = Path(lexicon.__file__).parent
TRAINING = Path(grammar.__file__).parent


@pytest.mark.parametrize("name", ["claims.txt", "relations.txt", "neutral.txt", "refused.txt"])
def test_a_line_holds_one_phrase(name: str) -> None:
    phrases = [line for _, line in lines_of(GATE / name) if not line.startswith((SECTION, "["))]
    assert phrases
    assert [line for line in phrases if any(mark in line for mark in ",/|")] == []


def test_a_phrase_carries_the_head_and_the_section_above_it(tmp_path: Path) -> None:
    (tmp_path / "claims.txt").write_text(
        "## score\n[has_leader !level | <?leader | >!trailer | for:leader | noun]\nsit pretty\n[]\nsit pretty\n"
        "## how\n[header]\nwith the head\n",
        encoding="utf-8",
    )
    (tmp_path / "relations.txt").write_text("[goal | <scorer]\npast\n", encoding="utf-8")
    (tmp_path / "neutral.txt").write_text("# comment\nas well\n\nthe\n", encoding="utf-8")
    (tmp_path / "refused.txt").write_text("## uncertain\nmaybe\n## meta\nas an ai\n", encoding="utf-8")
    read = read_lexicon(tmp_path)
    first, second = read.claims["sit", "pretty"]
    assert (first.condition.text, first.before, first.after) == ("has_leader !level", "leader", "trailer")
    assert (first.prepositions, first.cause) == ({"for": "leader"}, Cause.SCORE)
    assert (first.loose, first.needs_object, first.needs_subject, first.noun, first.adverbial) == (
        *(True, True, False, True),
        False,
    )
    assert (second.condition.text, second.binds, second.noun) == ("", False, False)
    assert read.claims["with", "the", "head"][0].adverbial
    assert read.neutral == {("as", "well"), ("the",)}
    assert read.refused == {("maybe",): Cause.UNCERTAIN, ("as", "an", "ai"): Cause.META}
    assert read.longest == 3


def read_teams(folder: Path) -> object:
    return read_known_teams(folder / "team_names.txt")


def read_goals(folder: Path) -> object:
    return read_sections(folder / "goals.txt", STYLES)


@pytest.mark.parametrize(
    ("source", "name", "text", "read", "message"),
    [
        (GATE, "claims.txt", "[goal]\nin it goes, over the line\n", read_lexicon, r":2: expected one phrase"),
        (GATE, "claims.txt", "[goal]\nscore/scores\n", read_lexicon, r":2: expected one phrase"),
        (GATE, "claims.txt", "## goals\nscores\n", read_lexicon, r":2: 'scores' stands below no head"),
        (GATE, "neutral.txt", "the\n...\n", read_lexicon, r":2: expected one phrase, found '...'"),
        (GATE, "refused.txt", "maybe\n", read_lexicon, r":1: 'maybe' stands before the first section"),
        (GATE, "refused.txt", "## doubt\nmaybe\n", read_lexicon, r":1: 'doubt' is no cause; expected one of form"),
        (GATE, "team_names.txt", "[ajax]\nAjacieden\n", read_teams, r":2: found 'Ajacieden'; expected \[team\]"),
        (GATE, "goals.txt", "{p} scores!\n", read_goals, r":1: '\{p\} scores!' stands before the first section"),
        (GATE, "goals.txt", "[goal] 2 | goal @shouty\n{p}!\n", read_goals, r":1: style @shouty is not one of"),
        (TRAINING, "grammar.txt", "[goal] 2 | goal\n<wow>!\n", read_grammar, r":2: <wow> has no alternatives"),
        (TRAINING, "grammar.txt", "= a goal\n", read_grammar, r":1: '= a goal' stands below no name"),
        (TRAINING, "grammar.txt", "{p} scores!\n", read_grammar, r":1: '\{p\} scores!' stands before the first"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(
    source: Path, name: str, text: str, read: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    for file in source.glob("*.txt"):
        shutil.copyfile(file, tmp_path / file.name)
    (tmp_path / name).write_text(text, encoding="utf-8")
    if source == TRAINING:
        (tmp_path / "continuations.txt").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match=name + message):
        read(tmp_path)


def test_teams_of_two_names_share_what_they_are_called(tmp_path: Path) -> None:
    file = tmp_path / "team_names.txt"
    file.write_text(
        "[roma]\n[as roma]\nnickname: Giallorossi\n\n[italy]\npeople: Italians\nnickname: Azzurri\n", encoding="utf-8"
    )
    known = read_known_teams(file)
    assert known["roma",] == known["as", "roma"]
    assert known["roma",].forms == (("giallorossi",),)
    assert not known["roma",].nation
    assert known["italy",].forms == (("italians",), ("azzurri",))
    assert known["italy",].nation
    assert len(names.known_teams()) > 100

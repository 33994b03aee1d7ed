"""Names in the fact gate: forms, particles, shared surnames, names that are English words, teams' other names."""

from __future__ import annotations

import pytest
from english import AnyGate
from script_helpers import cue_for
from true_clauses import INFO

from commentary_llm.cue.cue import Cue
from commentary_llm.language.contract import Cause
from commentary_llm.language.en.names import name_book
from commentary_llm.language.en.tokens import words_of
from commentary_llm.match import MatchEvent, MatchInfo, Player, Team
from commentary_llm.match.match import Match

GATE = AnyGate()


def shot(player: str, **fields: object) -> Cue:
    team = "brackwell" if player.startswith("h") else "sao-luis"
    event = MatchEvent(
        event_id="s", type="shot", period=1, elapsed_s=600, team=team, player=player, outcome="off_target", **fields
    )
    return cue_for(event, Match(INFO).accept(event).state_after)


@pytest.mark.parametrize(
    ("player", "forms"),
    [
        ("h3", ["van Dalen", "Van Dalen", "Virgil van Dalen", "Dalen", "VAN DALEN"]),
        ("a3", ["Mac Allan", "Alexis Mac Allan", "A. Mac Allan"]),
        ("a6", ["Al-Owairan", "Saleh Al-Owairan", "Owairan"]),
        ("h7", ["De Paula", "Rodrigo De Paula", "Rodri De Paula"]),
        ("h6", ["Mensah-Bright", "Kofi Mensah-Bright"]),
        ("h10", ["O'Shea", "O’Shea", "Ciaran O'Shea"]),
        ("a11", ["N'Dour", "Yannick N'Dour"]),
        ("a2", ["Tonhão", "Tonhao"]),
        ("h8", ["Zieliński", "Zielinski", "ZIELINSKI"]),
        ("a5", ["Vestergård", "Vestergard", "Søren Vestergård", "Soren Vestergard"]),
        ("h9", ["Pelé", "Pele", "Pelé Júnior"]),
    ],
)
def test_every_true_form_of_a_name_passes(player: str, forms: list[str]) -> None:
    for form in forms:
        for text in (f"{form} is off target.", f"{form}'s shot is off target."):
            assert GATE.check(text, shot(player)).ok, (text, GATE.check(text, shot(player)))
            assert not GATE.check(text, shot("h11")).ok, text


@pytest.mark.parametrize(("player", "name"), [("h2", "Rice"), ("a9", "Cross"), ("a15", "Ball"), ("h13", "Young")])
def test_a_name_that_is_a_word_is_a_name_where_it_is_written_as_one(player: str, name: str) -> None:
    assert GATE.check(f"{name} is off target.", shot(player)).ok
    assert GATE.check(f"And {name} is off target.", shot(player)).ok
    assert not GATE.check(f"{name} is off target.", shot("h11")).ok
    assert not GATE.check(f"And {name} is off target.", shot("h11")).ok
    # In small letters it is the word: the ball does not turn into a player.
    assert GATE.check("Okafor strikes the ball, but it's off target.", shot("h11")).ok


def test_a_surname_of_two_is_his_who_has_a_part_in_the_event() -> None:
    """Three men called Costa: a bare surname passes only if one of them alone is in the event."""
    assert GATE.check("Costa is off target.", shot("h4")).ok
    assert GATE.check("Diego Costa is off target.", shot("h4")).ok
    assert not GATE.check("Bruno Costa is off target.", shot("h4")).ok
    assert GATE.check("Costa is off target.", shot("h11")).cause is Cause.PLAYER
    event = MatchEvent(
        event_id="f", type="foul", period=1, elapsed_s=600, team="brackwell", player="h4", opponent="a10"
    )
    foul = cue_for(event, Match(INFO).accept(event).state_after)
    assert GATE.check("Costa is penalised.", foul).cause is Cause.AMBIGUOUS_NAME
    assert GATE.check("Diego Costa fouls Felipe Costa.", foul).ok
    assert not GATE.check("Felipe Costa fouls Diego Costa.", foul).ok


@pytest.mark.parametrize("name", ["Ronaldo", "Lionel Messi", "Real Madrid", "Okafora", "Jürgen"])
def test_unknown_names_fail(name: str) -> None:
    assert not GATE.check(f"And {name} is off target.", shot("h11")).ok
    assert not GATE.check(f"{name} is off target.", shot("h11")).ok


def _match(home: str, away: str, **fields: object) -> MatchInfo:
    def team(side: str, name: str) -> Team:
        players = tuple(Player(id=f"{side}{i}", name=f"{side.upper()}man Player{i}") for i in range(11))
        return Team(id=side, name=name, players=players)

    return MatchInfo(id="m", home=team("h", home), away=team("a", away), **fields)


@pytest.mark.parametrize(
    ("home", "away", "form", "side"),
    [
        ("Argentina", "France", "Albiceleste", "t:h"),
        ("Argentina", "France", "French", "t:a"),
        ("Argentina", "France", "Les Bleus", "t:a"),
        ("Argentina", "France", "Argentinians", "t:h"),
        ("FC Barcelona", "Deportivo Alavés", "Barça", "t:h"),
        ("FC Barcelona", "Deportivo Alavés", "Alavés", "t:a"),
        ("FC Barcelona", "Deportivo Alavés", "visitors", "t:a"),
        ("England Women", "Netherlands Women", "Lionesses", "t:h"),
        ("England Women", "Netherlands Women", "Dutch", "t:a"),
        ("Argentina", "France", "visitors", None),  # two nations: nobody is at home
        ("Brazil", "Portugal", "Seleção", None),  # both are called so
        ("Manchester United", "Chelsea", "Gunners", None),
    ],
)
def test_other_names_of_teams(home: str, away: str, form: str, side: str | None) -> None:
    keys = name_book(_match(home, away)).aliases.get(words_of(form))
    assert keys == (frozenset({side}) if side else None)


def test_competition_and_venue_have_short_names_that_claim_nothing() -> None:
    cup = "FIFA World Cup 2022"
    book = name_book(_match("Argentina", "France", competition=cup, stage="final", venue="Lusail Stadium"))
    assert ("lusail",) in book.aliases
    assert ("world", "cup", "final") in book.aliases
    semi = name_book(_match("Argentina", "France", competition=cup, stage="semi-final"))
    assert ("world", "cup", "final") not in semi.aliases

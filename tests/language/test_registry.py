"""Languages are found by their folders, and each match of one has everything to itself."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from script_helpers import cue_for

from commentary_llm.ground.errors import ConfigError
from commentary_llm.language.contract import MatchLanguage
from commentary_llm.language.registry import language, languages
from commentary_llm.match import EventType, MatchEvent, MatchInfo, Player, Team
from commentary_llm.match.match import Match

REPO = Path(__file__).resolve().parents[2]


def test_every_folder_is_a_language() -> None:
    assert "en" in languages()
    for code in languages():
        found = language(code)
        assert found.code == code
        assert found.name
        assert found.personas


def test_the_shell_reads_the_same() -> None:
    command = [sys.executable, "-m", "commentary_llm.language"]
    lines = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "en\tEnglish\tneutral,excited,dry,blind_listener" in lines


def test_an_unknown_language_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'xx' is not known; choose one of .*en"):
        language("xx")


def match_of(number: int) -> MatchInfo:
    """Two sides whose names are those of no other number, and ids that all of them share."""

    def team(side: str, word: str) -> Team:
        players = tuple(Player(id=f"{side}{i}", name=f"{word}{'abcdefghijk'[i - 1]} {word}o") for i in range(1, 12))
        return Team(id=side, name=f"{word}ville", players=players)

    letters = f"{chr(97 + number // 26)}{chr(97 + number % 26)}"
    return MatchInfo(id=str(number), home=team("h", f"Bo{letters}"), away=team("a", f"Du{letters}"))


def opened(info: MatchInfo) -> MatchLanguage:
    return language("en").open(
        info,
        persona="neutral",
        seed=0,
        chat=lambda system, turns: "\n".join([system, *(text for _, text in turns)]),
        count_tokens=lambda text: len(text.split()),
        examples=False,
    )


def test_more_matches_than_any_cache_holds_know_nothing_of_each_other() -> None:
    infos = [match_of(number) for number in range(40)]
    spoken = [opened(info) for info in infos]

    def told(number: int) -> None:
        info, other = infos[number], infos[(number + 17) % len(infos)]
        event = MatchEvent(event_id="g", type=EventType.GOAL, period=1, elapsed_s=600, team="h", player="h3")
        cue = cue_for(event, Match(info).accept(event).state_after)
        at_work = spoken[number]
        lines = [at_work.openers.choose(cue), at_work.templates.write(cue), at_work.prompts.text(cue)]
        for own in (info.home.name, info.home.players[2].name):
            assert at_work.gate.check(f"Goal for {own}!", cue).ok
        for strange in (other.home.name, other.home.players[2].name, other.away.players[0].name):
            assert not at_work.gate.check(f"Goal for {strange}!", cue).ok
            assert not any(strange.split()[0] in line for line in lines)

    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(told, [*range(len(infos))] * 3):
            pass


def test_what_was_said_in_one_match_may_be_said_in_another() -> None:
    first, second = opened(match_of(0)), opened(match_of(1))
    first.history.add("It is a corner to them.", 10.0)
    assert first.history.said("It is a corner to them.", 20.0)
    assert not second.history.said("It is a corner to them.", 20.0)

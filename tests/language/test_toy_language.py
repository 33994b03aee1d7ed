"""A made-up tongue in a folder of its own, which no other file knows: found, opened, and a match told in it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from session_fakes import ScriptedGenerator, ScriptedSynthesizer

import commentary_llm.language as package
from commentary_llm.engine import CommentaryEngine
from commentary_llm.ground.clock import StreamClock
from commentary_llm.ground.errors import ConfigError
from commentary_llm.language.registry import language, languages
from commentary_llm.match import CardType, EventType, MatchEvent, MatchInfo
from commentary_llm.session.events import CueEnded, SessionEvent
from commentary_llm.session.record import CueRecord
from commentary_llm.settings import EngineConfig
from commentary_llm.speech import speech_text_of
from commentary_llm.station import Station

REPO = Path(__file__).resolve().parents[2]
FOLDER = REPO / "tests" / "support" / "languages"
WORDS = {"va", "e", "bolu", "karta", "sefi", "rosa", "ima", "uta", "ano"}


@pytest.fixture
def zumu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(package, "__path__", list(package.__path__))
    monkeypatch.setenv("COMMENTARY_LANGUAGES", str(FOLDER))
    yield
    for name in [name for name in sys.modules if name.startswith(f"{package.__name__}.qaa")]:
        del sys.modules[name]


class Records:
    def __init__(self) -> None:
        self.by_event: dict[str, CueRecord] = {}

    def put(self, event: SessionEvent) -> None:
        if isinstance(event, CueEnded):
            self.by_event[event.record.event_id] = event.record


def happened(event_id: str, kind: EventType, minute: int, team: str, player: str, **fields: object) -> MatchEvent:
    about = {"event_id": event_id, "type": kind, "period": 1, "elapsed_s": 60.0 * minute, "team": team}
    return MatchEvent.model_validate({**about, "player": player, **fields})


def test_it_is_found_by_its_folder_alone(zumu: None) -> None:
    assert languages() == tuple(sorted({*languages(), "en", "qaa"}))
    assert language("qaa").name == "Zumu"
    assert speech_text_of("qaa").normalize("Bolu! Mbappé 2!", frozenset()) == "Bolu! Mbappe !"


def test_without_its_folder_nobody_knows_it() -> None:
    assert "qaa" not in languages()
    with pytest.raises(ConfigError, match="'qaa' is not known"):
        language("qaa")


def test_the_shell_finds_it_too() -> None:
    environment = {**os.environ, "COMMENTARY_LANGUAGES": str(FOLDER)}
    command = [sys.executable, "-m", "commentary_llm.language"]
    run = subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, check=True)
    assert "qaa\tZumu\tmoto,lelo" in run.stdout.splitlines()


def test_its_personas_are_its_own(zumu: None, small_match: MatchInfo) -> None:
    assert EngineConfig(match=small_match, language="qaa", persona="lelo").groups.match.persona == "lelo"
    with pytest.raises(ConfigError, match="moto, lelo"):
        EngineConfig(match=small_match, language="qaa", persona="excited")


def test_a_folder_that_calls_itself_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "qab").mkdir()
    (tmp_path / "qab" / "__init__.py").write_text("LANGUAGE = None\n", encoding="utf-8")
    monkeypatch.setattr(package, "__path__", list(package.__path__))
    monkeypatch.setenv("COMMENTARY_LANGUAGES", str(tmp_path))
    with pytest.raises(ConfigError, match=r"qab.*expected LANGUAGE with the code 'qab'"):
        language("qab")


def test_a_match_is_told_in_it(zumu: None, small_match: MatchInfo) -> None:
    config = EngineConfig(match=small_match, language="qaa", persona="moto", candidates=2)
    generator, records = ScriptedGenerator(), Records()
    now = [0.0]
    engine = CommentaryEngine(
        config,
        Station(config.station, generator, ScriptedSynthesizer()),
        clock=StreamClock(0.0, lambda: now[0]),
        subscribers=[records],
    )
    generator.scripts = [
        ["Goal for Northport!", "Va ano Northport e!"],  # one of them is in Zumu, and true
        ["Rosa va Eastvale.", "Sefi va Northport."],  # neither is true
        ["Uta Petrov va e.", "Uta Ferrow va e."],  # the second would take off another man
    ]
    try:
        for event in (
            happened("goal", EventType.GOAL, 10, "h", "h4"),
            happened("card", EventType.CARD, 20, "a", "a5", card=CardType.YELLOW),
            happened("change", EventType.SUBSTITUTION, 30, "a", "a9", player_on="a13"),
        ):
            now[0] = event.elapsed_s
            assert engine.submit(event).result(timeout_s=20) is not None
    finally:
        engine.close()
    told = records.by_event
    assert {event_id: (record.text, record.source) for event_id, record in told.items()} == {
        "goal": ("Bolu! Hart! Va ano Northport e!", "model"),
        "card": ("Karta! Varga! Sefi va Eastvale.", "template"),
        "change": ("Ima Karr! Uta Petrov va e.", "model"),
    }
    assert {refusal.cause for refusal in told["goal"].refusals} == {"unknown_word"}
    assert {refusal.cause for refusal in told["card"].refusals} == {"what_happened", "team"}
    assert {refusal.cause for refusal in told["change"].refusals} == {"player"}
    names = {"hart", "northport", "varga", "eastvale", "karr", "petrov"}
    for record in told.values():
        assert set(language("qaa").rules.words(record.text)) <= WORDS | names
    asked = [request for request in generator.requests if request.text]
    assert all(request.prefix.startswith("Zumu moto") for request in asked[-3:])

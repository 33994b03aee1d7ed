"""Fixtures shared by all rooms: where the weights are, and a small match."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import onnx
import pytest

from commentary_llm.ground.home import ASR_MODEL, LLM_MODEL, TTS_MODEL, models_dir, shards_dir
from commentary_llm.match import MatchInfo, Player, Team

REPO = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    """A job in the background of a script ignores SIGINT, and its children would: tests of Ctrl-C need it to arrive."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need the weights skip, with the command that brings them, where set-up has not run."""
    wanted = [models_dir() / name / "manifest.json" for name in (LLM_MODEL, ASR_MODEL, TTS_MODEL)]
    wanted += [shards_dir(LLM_MODEL, ranks) / "manifest.json" for ranks in (1, 2, 3, 4)]
    missing = [str(path.parent) for path in wanted if not path.is_file()]
    if not missing:
        return
    skip = pytest.mark.skip(
        reason=f"no weights in {', '.join(missing)}: run `python -m checkpoints setup --ranks 1 2 3 4`"
    )
    for item in items:
        if item.get_closest_marker("models"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Providers' sample files, which are not part of the repository; skips where they are absent."""
    shared = Path(os.environ.get("COMMENTARY_SHARED") or REPO.parent / "shared") / "data"
    if not shared.is_dir():
        pytest.skip(f"no provider samples in {shared} (set COMMENTARY_SHARED)")
    return shared


def _team(team_id: str, name: str, surnames: list[str], nickname: str) -> Team:
    players = tuple(
        Player(id=f"{team_id}{i}", name=f"{first} {last}", shirt=i, starter=i <= 11)
        for i, (first, last) in enumerate((entry.split(" ", 1) for entry in surnames), start=1)
    )
    return Team(id=team_id, name=name, nicknames=(nickname,), players=players, formation="4-3-3")


@pytest.fixture(scope="session")
def small_match() -> MatchInfo:
    """Two made-up sides of eleven and three substitutes each, ids h1…h14 and a1…a14."""
    home = "Ivo Radek,Tomas Brel,Nuno Vasek,Emil Hart,Jan Okoro,Luka Moreau,Rafa Silk,Owen Dray,Piet Lund,Ari Castell"
    away = "Max Ferrow,Theo Quill,Ben Aldo,Sami Rusk,Leo Varga,Kit Mahler,Dino Pash,Joel Arden,Yan Petrov,Cem Oral"
    return MatchInfo(
        id="small",
        home=_team(
            "h", "Northport", [*home.split(","), "Hugo Stride", "Gus Ney", "Tim Rowe", "Al Beck"], "the Harbour"
        ),
        away=_team("a", "Eastvale", [*away.split(","), "Ray Tonder", "Sven Iles", "Bo Karr", "Udo Fenn"], "the Vale"),
        competition="Test Cup",
    )


@pytest.fixture(scope="session")
def fixed_networks() -> dict[str, onnx.ModelProto]:
    """The speech networks in float32 with fixed shapes, as engines are built from; for tests marked `models`."""
    from checkpoints.engines import convert

    return convert.fixed_networks(convert.Conversion(models_dir() / ASR_MODEL, models_dir() / TTS_MODEL))


@pytest.fixture(scope="session")
def fixed_speech(fixed_networks: dict[str, onnx.ModelProto], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with them: `asr` and `tts` open as recogniser and voice; for tests marked `models`."""
    folder = tmp_path_factory.mktemp("fixed")
    for model, name, files in (
        ("asr", ASR_MODEL, ("config.json", "tokenizer.json")),
        ("tts", TTS_MODEL, ("voice.json",)),
    ):
        (folder / model).mkdir()
        for file in files:
            shutil.copyfile(models_dir() / name / file, folder / model / file)
    for name, network in fixed_networks.items():
        onnx.save(network, folder / f"{name}.onnx")
    return folder

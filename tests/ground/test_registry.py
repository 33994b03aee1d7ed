"""A registry finds what registers itself, by file or by folder, and names what it has."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commentary_llm.ground.errors import ConfigError
from commentary_llm.ground.registry import Registry
from commentary_llm.ground.spelling import likeness, nearest

ENTRY = "from {room}.registry import THINGS\nTHINGS.register({name!r}, {name!r}.upper())\n"


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with an entry in a file, another in a folder, and a module that is none."""
    name = f"room_{tmp_path.name}".replace("-", "_")
    package = tmp_path / name
    (package / "second").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "second" / "__init__.py").write_text("")
    (package / "registry.py").write_text(
        f"from commentary_llm.ground.registry import Registry\nTHINGS = Registry('thing', {name!r})\n"
    )
    (package / "first_entry.py").write_text(ENTRY.format(room=name, name="first"))
    (package / "second" / "entry.py").write_text(ENTRY.format(room=name, name="second"))
    (package / "other.py").write_text("raise AssertionError('no entry module')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def things(room: str) -> Registry[str]:
    __import__(f"{room}.registry")
    found: Registry[str] = sys.modules[f"{room}.registry"].THINGS
    return found


def test_files_and_folders_register_themselves(room: str) -> None:
    registry = things(room)
    assert f"{room}.first_entry" not in sys.modules  # not before it is asked
    assert registry.names() == ("first", "second")
    assert registry.get("second") == "SECOND"


def test_one_more_can_be_registered_from_anywhere(room: str) -> None:
    registry = things(room)
    registry.register("toy", "TOY")
    assert registry.names() == ("first", "second", "toy")
    with pytest.raises(ValueError, match="two entries want to be the thing 'toy'"):
        registry.register("toy", "ANOTHER")


def test_what_is_not_there_is_named_with_the_choices(room: str) -> None:
    with pytest.raises(
        ConfigError, match="thing 'frist' is not known; expected one of first, second; did you mean 'first'"
    ):
        things(room).get("frist")


@given(st.text(max_size=12), st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=8))
def test_nothing_is_nearer_than_the_nearest(word: str, known: list[str]) -> None:
    found = nearest(word, known)
    assert found in known
    assert likeness(word, found) == max(likeness(word, name) for name in known)
    assert nearest(known[0], known) is not None
    assert likeness(known[0], nearest(known[0], known) or "") == 1.0

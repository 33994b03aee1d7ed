"""English for synthesisers: `SpeechText` over the modules of this folder."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path

from commentary_llm.ground.errors import ConfigError
from commentary_llm.language.en.speech.letters import strip_accents
from commentary_llm.language.en.speech.normalize import normalize

_RECIPE = 1  # raise it when a text comes out otherwise than before
_NAMES_FOR = "en-us"  # the voice of espeak-ng whose symbols the list of names is written in


class EnglishSpeech:
    """Implements `SpeechText`."""

    trial_lines = ("Goal!", "And that is a corner to Argentina.")

    def __init__(self) -> None:
        """Raises ConfigError naming a line of the list that has another form."""
        self._names = read_pronunciations(Path(__file__).with_name("names.txt"))
        listed = hashlib.sha256(repr(sorted(self._names.items())).encode()).hexdigest()
        self.version = f"en-{_RECIPE}-{listed[:16]}"
        self.endings: Mapping[str, Callable[[str], str]] = {"'s": possessive}

    def normalize(self, text: str, known_names: frozenset[str]) -> str:
        return normalize(text, known_names)

    def plain(self, name: str) -> str:
        return strip_accents(name)

    def names(self, espeak_voice: str) -> Mapping[str, str]:
        return self._names if espeak_voice == _NAMES_FOR else {}


def read_pronunciations(path: Path) -> dict[str, str]:
    """Names that English spelling rules get wrong: lower-case ASCII words -> IPA as espeak's en-us writes it.

    A file of lines "name<TAB>ipa"; `#` starts a comment. Raises ConfigError naming the line that has another form.
    """
    pronunciations = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        entry = line.split("#", 1)[0].strip()
        if not entry:
            continue
        name, tab, ipa = entry.partition("\t")
        if not (tab and name.strip() and ipa.strip()):
            raise ConfigError(f"{path}:{number}: found {line!r}, expected a name, a tab and its IPA")
        pronunciations[name.strip().lower()] = unicodedata.normalize("NFD", ipa.strip())
    return pronunciations


def possessive(ipa: str) -> str:
    """'s after the sound that `ipa` ends with."""
    if ipa.endswith(("s", "z", "ʃ", "ʒ")):
        return "ᵻz"
    return "s" if ipa.endswith(("p", "t", "k", "f", "θ")) else "z"


ENGLISH_SPEECH = EnglishSpeech()

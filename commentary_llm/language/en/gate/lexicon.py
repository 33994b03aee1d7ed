"""The gate's vocabulary, from the data files beside it: claims, harmless words, refused words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from commentary_llm.cue.facts import Condition
from commentary_llm.ground.errors import ConfigError
from commentary_llm.language.contract import Cause
from commentary_llm.language.en.lists import SECTION, lines_of
from commentary_llm.language.en.tokens import Token, words_of

Phrase = tuple[str, ...]
_ONE_PHRASE = re.compile(r"[^,/|\[\]]+")
_ADVERBIAL_SECTIONS = ("how", "manner", "as")
_SECTION_CAUSES = {"score": Cause.SCORE, "time": Cause.MINUTE}


@dataclass(frozen=True)
class Claim:
    """One phrase of `claims.txt` below one head; see the beginning of that file."""

    phrase: str
    condition: Condition
    before: str | None
    after: str | None
    prepositions: dict[str, str]
    cause: Cause
    loose: bool = False  # "<?": a name before that does not fit is left to other claims
    needs_subject: bool = False  # "<!": only with a name or pronoun before
    needs_object: bool = False  # ">!": only with a name or pronoun straight after
    adverbial: bool = False  # where or how: goes with a verb before it
    noun: bool = False  # an explicit agent after it ("a save from Lloris") frees the name before it

    @property
    def binds(self) -> bool:
        """Whether the claim is about somebody; else names around it belong to other words."""
        return self.before is not None or self.after is not None or bool(self.prepositions)


@dataclass(frozen=True)
class Lexicon:
    """Phrases by their folded words. A phrase may carry several claims: one of them has to be true."""

    claims: dict[Phrase, tuple[Claim, ...]]
    relations: dict[Phrase, tuple[Claim, ...]]  # count only straight between two names
    neutral: frozenset[Phrase]
    refused: dict[Phrase, Cause]
    longest: int

    def longest_claim(self, tokens: list[Token], start: int) -> tuple[Phrase, int] | None:
        return self._longest(self.claims, tokens, start)

    def longest_relation(self, tokens: list[Token], start: int) -> tuple[Phrase, int] | None:
        return self._longest(self.relations, tokens, start)

    def longest_neutral(self, tokens: list[Token], start: int) -> tuple[Phrase, int] | None:
        return self._longest(self.neutral, tokens, start)

    def longest_refused(self, tokens: list[Token], start: int) -> tuple[Phrase, int] | None:
        return self._longest(self.refused, tokens, start)

    def _longest(
        self,
        table: dict[Phrase, object] | dict[Phrase, tuple[Claim, ...]] | dict[Phrase, Cause] | frozenset[Phrase],
        tokens: list[Token],
        start: int,
    ) -> tuple[Phrase, int] | None:
        words: list[str] = []
        best = None
        i = start
        while i < len(tokens) and len(words) < self.longest:
            token = tokens[i]
            if token.kind == "mark":
                if token.text != "-" or not words:
                    break
                i += 1
                continue
            words.append(token.text)
            i += 1
            if tuple(words) in table:
                best = (tuple(words), i)
            if token.possessive:
                break
        return best


@lru_cache(maxsize=1)
def lexicon() -> Lexicon:
    """The bundled vocabulary, read once."""
    return read_lexicon(Path(__file__).parent)


def read_lexicon(folder: Path) -> Lexicon:
    """The vocabulary of a folder's four lists. Raises ConfigError, with the line, for what cannot be read."""
    claims = _read_claims(folder / "claims.txt")
    relations = _read_claims(folder / "relations.txt")
    neutral = frozenset(_phrase(line, where) for where, line in lines_of(folder / "neutral.txt"))
    refused: dict[Phrase, Cause] = {}
    cause: Cause | None = None
    for where, line in lines_of(folder / "refused.txt"):
        if line.startswith(SECTION):
            cause = _cause(line.removeprefix(SECTION).strip(), where)
        elif cause is None:
            raise ConfigError(f"{where}: {line!r} stands before the first section; expected ## and a cause")
        else:
            refused[_phrase(line, where)] = cause
    every = [*claims, *relations, *neutral, *refused]
    return Lexicon(claims, relations, neutral, refused, max(len(phrase) for phrase in every))


def _cause(name: str, where: str) -> Cause:
    try:
        return Cause(name)
    except ValueError:
        raise ConfigError(f"{where}: {name!r} is no cause; expected one of {', '.join(Cause)}") from None


def _phrase(line: str, where: str) -> Phrase:
    words = words_of(line)
    if not words or not _ONE_PHRASE.fullmatch(line):
        raise ConfigError(f"{where}: expected one phrase, found {line!r}")
    return words


@dataclass(frozen=True)
class _Head:
    """What the phrases below a head have in common: a claim without its phrase."""

    condition: Condition
    before: str | None
    after: str | None
    prepositions: dict[str, str]
    loose: bool
    needs_subject: bool
    needs_object: bool
    noun: bool

    @classmethod
    def parse(cls, text: str, where: str) -> _Head:
        terms, *bindings = [part.strip() for part in text.split("|")]
        before = after = None
        prepositions: dict[str, str] = {}
        noun = loose = needs_subject = needs_object = False
        for binding in filter(None, bindings):
            if binding == "noun":
                noun = True
            elif binding[0] == "<":
                loose = binding.startswith("<?")
                needs_subject = binding.startswith("<!")
                before = binding.lstrip("<?!").strip()
            elif binding[0] == ">":
                needs_object = binding.startswith(">!")
                after = binding.lstrip(">!").strip()
            else:
                preposition, _, roles = binding.partition(":")
                prepositions[preposition.strip()] = roles.strip()
        condition = Condition.parse(terms, where)
        return cls(condition, before, after, prepositions, loose, needs_subject, needs_object, noun)


def _read_claims(file: Path) -> dict[Phrase, tuple[Claim, ...]]:
    table: dict[Phrase, list[Claim]] = {}
    cause, adverbial = Cause.WHAT_HAPPENED, False
    head: _Head | None = None
    for where, line in lines_of(file):
        if line.startswith(SECTION):
            section = line.removeprefix(SECTION).split()[0]
            cause = _SECTION_CAUSES.get(section, Cause.WHAT_HAPPENED)
            adverbial = section in _ADVERBIAL_SECTIONS
            head = None
        elif line.startswith("[") and line.endswith("]"):
            head = _Head.parse(line[1:-1], where)
        elif head is None:
            raise ConfigError(f"{where}: {line!r} stands below no head; expected [condition | bindings] first")
        else:
            phrase = _phrase(line, where)
            claim = Claim(phrase=" ".join(phrase), cause=cause, adverbial=adverbial, **vars(head))
            table.setdefault(phrase, []).append(claim)
    return {phrase: tuple(found) for phrase, found in table.items()}

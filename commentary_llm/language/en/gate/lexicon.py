"""The gate's vocabulary, from the data files beside it: claims, harmless words, refused words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

from commentary_llm.cue.facts import Condition
from commentary_llm.language.contract import Cause
from commentary_llm.language.en.tokens import Token, words_of

Phrase = tuple[str, ...]
_ADVERBIAL_SECTIONS = ("how", "manner", "as")
_SECTION_CAUSES = {"score": Cause.SCORE, "time": Cause.MINUTE}


@dataclass(frozen=True)
class Claim:
    """One line of `claims.txt`; see the head of that file."""

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
    """The vocabulary of a folder's four lists. Raises ConfigError, with the line, for a flag that is not declared."""
    claims = _read_claims(folder / "claims.txt")
    relations = _read_claims(folder / "relations.txt")
    neutral = frozenset(phrase for _, line in _lines(folder / "neutral.txt") for phrase in _phrases_of(line))
    refused: dict[Phrase, Cause] = {}
    cause = Cause.FORM
    for _, line in _lines(folder / "refused.txt"):
        if line.startswith("## "):
            cause = Cause(line[3:].strip())
            continue
        for phrase in _phrases_of(line):
            refused[phrase] = cause
    every = [*claims, *relations, *neutral, *refused]
    return Lexicon(claims, relations, neutral, refused, max(len(phrase) for phrase in every))


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, without blank ones and comments; "## " begins a section."""
    for number, line in enumerate(map(str.strip, file.read_text(encoding="utf-8").splitlines()), start=1):
        if line and (not line.startswith("#") or line.startswith("## ")):
            yield number, line


def _phrases_of(field: str) -> list[Phrase]:
    """Comma-separated phrases with every choice of their a/b words."""
    phrases: list[Phrase] = []
    for phrase in field.split(","):
        choices = [word.split("/") for word in phrase.split()]
        phrases.extend(tuple(words_of(" ".join(words))) for words in product(*choices) if words)
    return phrases


def _read_claims(file: Path) -> dict[Phrase, tuple[Claim, ...]]:
    table: dict[Phrase, list[Claim]] = {}
    cause, adverbial = Cause.WHAT_HAPPENED, False
    for number, line in _lines(file):
        if line.startswith("## "):
            cause = _SECTION_CAUSES.get(line[3:].split()[0], Cause.WHAT_HAPPENED)
            adverbial = line[3:].split()[0] in _ADVERBIAL_SECTIONS
            continue
        phrases, _, rest = line.partition("|")
        terms, *bindings = [part.strip() for part in rest.split("|")]
        condition = Condition.parse(terms, f"{file.name}:{number}")
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
        for phrase in _phrases_of(phrases):
            claim = Claim(
                phrase=" ".join(phrase),
                condition=condition,
                before=before,
                after=after,
                prepositions=prepositions,
                cause=cause,
                loose=loose,
                needs_subject=needs_subject,
                needs_object=needs_object,
                adverbial=adverbial,
                noun=noun,
            )
            table.setdefault(phrase, []).append(claim)
    return {phrase: tuple(found) for phrase, found in table.items()}

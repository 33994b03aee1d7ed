"""Speakable text -> phonemes -> ids, as Piper voices were trained on them.

The phonemes come from espeak-ng through `piper-tts` (GPL-3.0, like its espeak-ng data). This is the only module that
imports it, and it does so when the first text is phonemised.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_BEGIN, _END, _PAD = "^", "$", "_"
_PAUSES = ".,!?;:"
_ENDS = ".!?"
_BREAK = ""  # between two sentences in a stream of phonemes

# espeak-ng keeps its state in globals of one C library: one phonemisation at a time in a process.
_espeak_lock = threading.Lock()
_espeak: Any = None


@dataclass(frozen=True)
class Sentence:
    """What is voiced in one piece: `lead` ids of its beginning, words with blanks and marks between, one id of its end.

    For each spoken word: the index of its first entry in `ids`, the index after its last one, and the index after the
    punctuation that follows it (that of the word where only a blank does).
    """

    ids: tuple[int, ...]
    word_ends: tuple[int, ...]
    terminator: str  # one of . ! ? or '' where the text just ended; , after the first part of one that was split
    word_starts: tuple[int, ...] = ()
    mark_ends: tuple[int, ...] = ()
    lead: int = 2


class Phonemizer:
    """Turns normalised text into sentences of phoneme ids for one voice. Safe to call from several threads."""

    def __init__(
        self,
        espeak_voice: str,
        phoneme_ids: Mapping[str, Sequence[int]],
        pronunciations: Mapping[str, str] | None = None,
        endings: Mapping[str, Callable[[str], str]] | None = None,
    ) -> None:
        """`phoneme_ids`: the voice's table, phoneme -> ids. `pronunciations`: names as the text writes them -> IPA;
        they are matched where they have a capital, so that ordinary words keep their sound. A name of several words is
        found as a whole. `endings`: what may be written on to a name -> its sound, by the name's IPA.
        """
        self._voice = espeak_voice
        self._phoneme_ids = {phoneme: tuple(ids) for phoneme, ids in phoneme_ids.items()}
        self._pronunciations = {
            name.lower(): unicodedata.normalize("NFD", ipa) for name, ipa in (pronunciations or {}).items()
        }
        self._endings = dict(endings or {})
        longest_first = sorted(self._pronunciations, key=len, reverse=True)
        alternatives = "|".join(re.escape(name).replace(r"\ ", r"\s") for name in longest_first)
        ending = "|".join(map(re.escape, self._endings)) or "(?!)"
        name = rf"\b(?=(?-i:[A-Z]))({alternatives})({ending})?(?![A-Za-z'])"
        self._names = re.compile(name, re.IGNORECASE) if alternatives else None
        self.known_names = frozenset(part for name in self._pronunciations for part in name.split())
        self._sentences = lru_cache(maxsize=256)(self._phonemize)

    def sentences(self, text: str) -> tuple[Sentence, ...]:
        """The sentences of `text` (from `SpeechText.normalize`), in order; empty when nothing in it is voiced."""
        return self._sentences(text)

    def _phonemize(self, text: str) -> tuple[Sentence, ...]:
        if not any(character.isalpha() for character in text):
            return ()  # espeak-ng would name the marks
        found = (self._to_ids(phonemes) for phonemes in self.phonemes(text))
        return tuple(sentence for sentence in found if sentence.word_ends)

    def phonemes(self, text: str) -> list[list[str]]:
        """Phonemes of each sentence, one code point each, blanks between words, punctuation kept."""
        if self._names is None or not self._names.search(text):
            return self._espeak_phonemes(text)
        stream: list[str] = []
        position = 0
        for match in self._names.finditer(text):
            self._extend(stream, self._between_names(text[position : match.start()]))
            ipa = self._pronunciations[re.sub(r"\s", " ", match[1]).lower()]
            self._extend(stream, list(ipa + (self._endings[match[2].lower()](ipa) if match[2] else "")))
            position = match.end()
        self._extend(stream, self._between_names(text[position:]))
        ends = [index for index, phoneme in enumerate(stream) if phoneme == _BREAK]
        starts = [0, *(index + 1 for index in ends)]
        return [stream[start:end] for start, end in zip(starts, [*ends, len(stream)], strict=True) if stream[start:end]]

    def _between_names(self, text: str) -> list[str]:
        """Phonemes of the words and marks between two names, `_BREAK` where a sentence ends."""
        words = text.lstrip(" " + _PAUSES)
        stream: list[str] = []
        for mark in text[: len(text) - len(words)].replace(" ", ""):
            stream += [mark, _BREAK] if mark in _ENDS else [mark, " "]
        for sentence in self._espeak_phonemes(words) if words else []:
            stream += [*sentence, _BREAK] if sentence[-1:] and sentence[-1] in _ENDS else sentence
        return stream

    @staticmethod
    def _extend(stream: list[str], more: list[str]) -> None:
        """Appends `more`, with a blank where two words meet."""
        if stream and more and stream[-1] not in (" ", _BREAK) and more[0] not in _PAUSES:
            stream.append(" ")
        stream.extend(more)

    def _espeak_phonemes(self, text: str) -> list[list[str]]:
        global _espeak
        with _espeak_lock:
            if _espeak is None:
                from piper.phonemize_espeak import EspeakPhonemizer

                _espeak = EspeakPhonemizer()
            return list(_espeak.phonemize(self._voice, text))

    def _to_ids(self, phonemes: Sequence[str]) -> Sentence:
        """Piper's order: begin, then a pad after every phoneme, end. Phonemes the voice does not know are left out."""
        pad = self._phoneme_ids[_PAD]
        ids = [*self._phoneme_ids[_BEGIN], *pad]
        lead = len(ids)
        word_starts: list[int] = []
        word_ends: list[int] = []
        mark_ends: list[int] = []
        in_word = False
        for phoneme in phonemes:
            known = self._phoneme_ids.get(phoneme)
            if known is None:
                continue
            between = phoneme == " " or phoneme in _PAUSES
            if between and in_word:
                word_ends.append(len(ids))
                mark_ends.append(len(ids))
            if not between and not in_word:
                word_starts.append(len(ids))
            in_word = not between
            ids += [*known, *pad]
            if phoneme in _PAUSES and mark_ends:
                mark_ends[-1] = len(ids)
        if in_word:
            word_ends.append(len(ids))
            mark_ends.append(len(ids))
        ids += self._phoneme_ids[_END]
        last = next((phoneme for phoneme in reversed(phonemes) if phoneme != " "), "")
        terminator = last if last in _ENDS else ""
        return Sentence(tuple(ids), tuple(word_ends), terminator, tuple(word_starts), tuple(mark_ends), lead)


def split_sentence(sentence: Sentence, most_ids: int) -> list[Sentence]:
    """Parts of at most `most_ids` ids each that say the same words; cut after punctuation where that lies well.

    A word that is longer on its own stays whole: its part is longer than asked for.
    """
    frame = sentence.lead + 1  # ids that every part has besides its words
    parts: list[Sentence] = []
    first, words = 0, len(sentence.word_ends)
    while first < words:
        start = sentence.word_starts[first]
        room = start + most_ids - frame
        if sentence.mark_ends[-1] <= room:
            parts.append(_part(sentence, first, words, sentence.terminator))
            break
        fitting = [word for word in range(first, words - 1) if sentence.mark_ends[word] <= room] or [first]
        # Parts of about equal length sound better than a full one and a stump.
        rest = sentence.mark_ends[-1] - start
        target = start + rest / -(-rest // (most_ids - frame))
        marked = [word for word in fitting if sentence.mark_ends[word] > sentence.word_ends[word]]
        well = [word for word in marked if sentence.mark_ends[word] - start >= (most_ids - frame) / 3]
        cut = min(well or fitting, key=lambda word: abs(sentence.mark_ends[word] - target))
        parts.append(_part(sentence, first, cut + 1, "," if cut in marked else ""))
        first = cut + 1
    return parts


def _part(sentence: Sentence, first: int, after: int, terminator: str) -> Sentence:
    """Words `first` to `after` - 1 as a sentence of their own."""
    start, stop = sentence.word_starts[first], sentence.mark_ends[after - 1]
    shift = sentence.lead - start

    def moved(places: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(place + shift for place in places[first:after])

    ids = (*sentence.ids[: sentence.lead], *sentence.ids[start:stop], sentence.ids[-1])
    starts, ends, marks = (moved(p) for p in (sentence.word_starts, sentence.word_ends, sentence.mark_ends))
    return Sentence(ids, ends, terminator, starts, marks, sentence.lead)

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asr_tts.synthesizer.phonemes import Phonemizer, Sentence, split_sentence

PHONEMES = ["_", "^", "$", " ", *"!,.:;?", *"abcdefgh"]
IDS = {phoneme: [number] for number, phoneme in enumerate(PHONEMES)}
LEAD, TAIL = 2, 1

words = st.text("abcdefgh", min_size=1, max_size=9)
texts = st.lists(st.tuples(words, st.sampled_from(["", "", ",", ";"])), min_size=1, max_size=40)


def sentence_of(parts: list[tuple[str, str]]) -> Sentence:
    text = " ".join(word + mark for word, mark in parts) + "."
    return Phonemizer("en-us", IDS)._to_ids(list(text))


def spoken(sentence: Sentence) -> list[tuple[int, ...]]:
    return [sentence.ids[start:end] for start, end in zip(sentence.word_starts, sentence.word_ends, strict=True)]


@given(texts, st.integers(30, 140))
def test_parts_say_the_same_words(text: list[tuple[str, str]], most_ids: int) -> None:
    sentence = sentence_of(text)
    assert [len(word) // 2 for word in spoken(sentence)] == [len(word) for word, _ in text]
    parts = split_sentence(sentence, most_ids)
    assert [word for part in parts for word in spoken(part)] == spoken(sentence)
    for part in parts:
        assert len(part.ids) <= most_ids
        assert part.ids[:LEAD] == sentence.ids[:LEAD]
        assert part.ids[-TAIL:] == sentence.ids[-TAIL:]
        # No part begins or ends with a blank.
        assert IDS[" "][0] not in (part.ids[LEAD], part.ids[-TAIL - 2])
    assert parts[-1].terminator == "."
    assert all(part.terminator in ("", ",") for part in parts[:-1])
    if len(sentence.ids) <= most_ids:
        assert len(parts) == 1


def test_cuts_after_punctuation_where_it_lies_well() -> None:
    text = [("abcd", ""), ("abcd", ""), ("abcd", ","), ("abcd", ""), ("abcd", ""), ("abcd", "")]
    parts = split_sentence(sentence_of(text), 44)
    assert [len(part.word_ends) for part in parts] == [3, 3]
    assert [part.terminator for part in parts] == [",", "."]


def test_a_word_longer_than_the_limit_stays_whole() -> None:
    parts = split_sentence(sentence_of([("abcdefgh" * 3, ""), ("ab", "")]), 24)
    assert [len(part.word_ends) for part in parts] == [1, 1]
    assert len(parts[0].ids) > 24

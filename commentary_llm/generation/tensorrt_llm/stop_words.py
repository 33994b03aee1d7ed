"""Token sequences at which the executor ends a sequence by itself. The text decides; these only save steps."""

from __future__ import annotations

from commentary_llm.generation.tokenizer import Tokenizer

_BEFORE = "a"  # tokenizers encode a text's beginning differently from its middle, where stop strings stand


def end_and_stop_words(tokenizer: Tokenizer) -> tuple[int, list[list[int]]]:
    """The end-of-text token the executor takes (-1: there is none), and the others as stop words."""
    ids = sorted(tokenizer.eos_token_ids)
    return (ids[0], [[token] for token in ids[1:]]) if ids else (-1, [])


def stop_words_of(tokenizer: Tokenizer, stop: tuple[str, ...]) -> list[list[int]]:
    """Stop strings as tokens in the middle of a text; those that have no tokens of their own are left to the text."""
    before = tokenizer.encode(_BEFORE)
    words = []
    for text in stop:
        ids = tokenizer.encode(_BEFORE + text)
        own = ids[len(before) :]
        if own and ids[: len(before)] == before and tokenizer.decode(ids) == _BEFORE + text:
            words.append(own)
    return words

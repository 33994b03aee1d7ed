"""Greedy decoding of one Whisper window."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from asr_tts.interfaces import SpeechRuntime
from asr_tts.recognizer.model_config import WhisperConfig

# A phrase heard this often in a row is the decoder going in circles: it never stops by itself.
LOOP_REPEATS = 4
LOOP_TOKENS = 8  # what the repeats have to cover together, so that "no, no, no, no" stays
_LONGEST_PHRASE_TOKENS = 24


@dataclass(frozen=True)
class Decoded:
    """Token ids without special ones; natural logarithms."""

    ids: tuple[int, ...]
    no_speech_prob: float
    mean_logprob: float  # over the tokens and the end token, as Whisper counts
    looped: bool  # ended by the repetition guard; the repeats after the first are cut off


def repeated_tail(ids: list[int]) -> tuple[int, int] | None:
    """(phrase length, repeats) of the phrase that `ids` ends in over and over, or None.

    The shortest phrase of at most 24 tokens is found that comes LOOP_REPEATS times or more and covers LOOP_TOKENS.
    """
    for length in range(1, min(_LONGEST_PHRASE_TOKENS, len(ids) // LOOP_REPEATS) + 1):
        phrase = ids[-length:]
        repeats = 1
        while ids[len(ids) - (repeats + 1) * length : len(ids) - repeats * length] == phrase:
            repeats += 1
        if repeats >= LOOP_REPEATS and repeats * length >= LOOP_TOKENS:
            return length, repeats
    return None


class GreedyDecoder:
    """Most likely token after the other until the end token, `max_new_tokens` or a loop. Thread-safe."""

    def __init__(self, network: SpeechRuntime, config: WhisperConfig, max_new_tokens: int) -> None:
        self._network = network
        self._config = config
        self._max_new_tokens = min(max_new_tokens, config.max_tokens - len(config.prompt_ids))
        never = np.zeros(config.vocabulary, np.float32)
        never[list(config.suppress_ids)] = -np.inf
        never[config.end_id + 1 :] = -np.inf  # no language, task or timestamp tokens after the prompt
        self._never = never
        self._never_first = never.copy()
        self._never_first[list(config.suppress_begin_ids)] = -np.inf

    def decode(self, cross: Mapping[str, np.ndarray]) -> Decoded:
        """Decodes one window from the encoder's outputs (`cross_key_i`, `cross_value_i`, batch 1). Blocks.

        Raises EngineError when the network fails.
        """
        config = self._config
        empty = np.zeros((1, config.heads, 0, config.head_size), np.float32)
        cache = {f"past_{kind}_{layer}": empty for layer in range(config.decoder_layers) for kind in ("key", "value")}
        tokens = np.array([config.prompt_ids], np.int64)
        start = config.prompt_ids.index(config.start_id)
        ids: list[int] = []
        logprob = 0.0
        no_speech_prob = 0.0
        counted = 0
        for step in range(self._max_new_tokens):
            out = self._network.run({"tokens": tokens, **cache, **cross})
            logits = out.pop("logits")[0]
            if step == 0:
                # What follows the start token says whether anybody speaks; see OpenAI's `decoding.py`.
                no_speech_prob = math.exp(_log_softmax_at(logits[start], config.no_speech_id))
            allowed = logits[-1] + (self._never if step else self._never_first)
            token = int(allowed.argmax())
            logprob += _log_softmax_at(allowed, token)
            counted += 1
            if token == config.end_id:
                break
            ids.append(token)
            loop = repeated_tail(ids)
            if loop is not None:
                length, repeats = loop
                kept = tuple(ids[: len(ids) - length * (repeats - 1)])
                return Decoded(kept, no_speech_prob, logprob / counted, looped=True)
            tokens = np.array([[token]], np.int64)
            cache = {"past_" + name.removeprefix("present_"): value for name, value in out.items()}
        return Decoded(tuple(ids), no_speech_prob, logprob / max(counted, 1), looped=False)


def _log_softmax_at(logits: np.ndarray, index: int) -> float:
    highest = logits.max()
    return float(logits[index] - highest - np.log(np.exp(logits - highest).sum(dtype=np.float64)))

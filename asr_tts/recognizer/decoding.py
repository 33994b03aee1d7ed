"""Greedy decoding of one Whisper window."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from asr_tts.interfaces import SpeechRuntime, Tensor
from asr_tts.recognizer.cache import open_cache
from asr_tts.recognizer.model_config import WhisperConfig
from commentary_llm.ground.errors import ArtifactError

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
        if network.profiles:
            places = network.profiles[0]["past_cache"][2]
            if places < len(config.prompt_ids) + self._max_new_tokens - 1:
                raise ArtifactError(
                    f"whisper decoder: its cache has {places} places; {len(config.prompt_ids)} prompt tokens and "
                    f"{self._max_new_tokens} more need more. Rebuild with `python -m checkpoints engines build`"
                )
        never = np.zeros(config.vocabulary, np.float32)
        never[list(config.suppress_ids)] = -np.inf
        never[config.end_id + 1 :] = -np.inf  # no language, task or timestamp tokens after the prompt
        self._never = never
        self._never_first = never.copy()
        self._never_first[list(config.suppress_begin_ids)] = -np.inf

    def decode(self, cross: Mapping[str, Tensor]) -> Decoded:
        """Decodes one window from the encoder's outputs (`cross_key_i`, `cross_value_i`, batch 1). Blocks.

        Raises EngineError when the network fails.
        """
        config = self._config
        cache = open_cache(self._network, cross)
        tokens = list(config.prompt_ids)
        start = config.prompt_ids.index(config.start_id)
        ids: list[int] = []
        logprob = 0.0
        no_speech_prob = 0.0
        counted = 0
        for step in range(self._max_new_tokens):
            logits = cache.advance(tokens)
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
            tokens = [token]
        return Decoded(tuple(ids), no_speech_prob, logprob / max(counted, 1), looped=False)


def _log_softmax_at(logits: np.ndarray, index: int) -> float:
    highest = logits.max()
    return float(logits[index] - highest - np.log(np.exp(logits - highest).sum(dtype=np.float64)))

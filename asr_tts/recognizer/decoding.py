"""Greedy decoding of Whisper windows, one or several in a batch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from asr_tts.interfaces import SpeechRuntime, Tensor
from asr_tts.recognizer.cache import open_cache
from asr_tts.recognizer.model_config import WhisperConfig
from commentary_llm.ground.errors import ArtifactError

# A phrase heard this often in a row is the decoder going in circles: it never stops by itself.
LOOP_REPEATS = 4
LOOP_TOKENS = 8  # what the repeats have to cover together, so that "no, no, no, no" stays
_LONGEST_PHRASE_TOKENS = 24
_CPU_BATCH = 4


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

    @property
    def best_batch(self) -> int:
        """How many windows to decode together for the least time a window.

        A network of fixed shapes takes one. On a CPU a step reads all weights whatever the batch: a window with a
        sentence took 402 ms of one core alone, 306 ms in a batch of two, 240 of four and 213 of eight, encoder included
        (Whisper tiny). Eight gain too little for what the first of them waits longer.
        """
        return 1 if self._network.profiles else _CPU_BATCH

    def decode(self, cross: Mapping[str, Tensor]) -> Decoded:
        """Decodes one window from the encoder's outputs (`cross_key_i`, `cross_value_i`, batch 1). Blocks.

        Raises EngineError when the network fails.
        """
        return self.decode_many([cross])[0]

    def decode_many(self, windows: Sequence[Mapping[str, Tensor]]) -> list[Decoded]:
        """Decodes windows of the same length together, each to its own end; as `decode` would one by one."""
        if not windows or (self._network.profiles and len(windows) > 1):
            return [self.decode(window) for window in windows]
        config = self._config
        start = config.prompt_ids.index(config.start_id)
        rows = [_Row(list(config.prompt_ids)) for _ in windows]
        running = rows
        cache = open_cache(self._network, windows)
        for step in range(self._max_new_tokens):
            logits = cache.advance([row.next for row in running])
            for row, scores in zip(running, logits, strict=True):
                if step == 0:
                    # What follows the start token says whether anybody speaks; see OpenAI's `decoding.py`.
                    row.no_speech_prob = math.exp(_log_softmax_at(scores[start], config.no_speech_id))
                allowed = scores[-1] + (self._never if step else self._never_first)
                token = int(allowed.argmax())
                row.take(token, _log_softmax_at(allowed, token), end=token == config.end_id)
            going_on = [number for number, row in enumerate(running) if not row.ended]
            if not going_on:
                break
            if len(going_on) < len(running):
                running = [running[number] for number in going_on]
                cache.keep(going_on)
        return [row.decoded() for row in rows]


@dataclass
class _Row:
    """One window on its way."""

    next: list[int]  # tokens to feed
    ids: list[int] = field(default_factory=list)
    logprob: float = 0.0
    counted: int = 0
    no_speech_prob: float = 0.0
    ended: bool = False
    kept: int | None = None  # of the ids, when they ended in a loop

    def take(self, token: int, logprob: float, *, end: bool) -> None:
        self.logprob += logprob
        self.counted += 1
        if end:
            self.ended = True
            return
        self.ids.append(token)
        self.next = [token]
        loop = repeated_tail(self.ids)
        if loop is not None:
            length, repeats = loop
            self.kept = len(self.ids) - length * (repeats - 1)
            self.ended = True

    def decoded(self) -> Decoded:
        mean_logprob = self.logprob / max(self.counted, 1)
        return Decoded(tuple(self.ids[: self.kept]), self.no_speech_prob, mean_logprob, looped=self.kept is not None)


def _log_softmax_at(logits: np.ndarray, index: int) -> float:
    highest = logits.max()
    return float(logits[index] - highest - np.log(np.exp(logits - highest).sum(dtype=np.float64)))

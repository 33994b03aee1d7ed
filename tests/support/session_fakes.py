"""Scripted engines for pipeline tests: they say what they are told to, at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from asr_tts.interfaces import AudioChunk, SpeechStyle
from commentary_llm.generation import Completion, FinishReason, GenerationRequest, TokenChunk

RATE = 8000
WORD_S = 0.25


@dataclass
class ScriptedHandle:
    chunks: list[TokenChunk]
    prompt_tokens: int = 10
    cached_tokens: int = 8

    def __iter__(self) -> Iterator[TokenChunk]:
        return iter(self.chunks)

    def result(self, timeout_s: float | None = None) -> list[Completion]:
        return []


class ScriptedGenerator:
    """Answers each request with the next script: one text a candidate, fed out word by word in turn."""

    description = "scripted"

    def __init__(self, scripts: list[list[str]] | None = None) -> None:
        self.scripts = scripts or []
        self.requests: list[GenerationRequest] = []
        self.closed = False

    def chat(self, system: str, turns: list[tuple[str, str]]) -> str:
        return "\n".join([system, *(f"{role}: {text}" for role, text in turns)])

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def submit(self, request: GenerationRequest) -> ScriptedHandle:
        self.requests.append(request)
        texts = self.scripts.pop(0) if self.scripts else [""] * request.sampling.candidates
        chunks = []
        words = [text.split(" ") for text in texts]
        for turn in range(max(map(len, words))):
            for candidate, pieces in enumerate(words):
                if turn < len(pieces):
                    last = turn == len(pieces) - 1
                    text = pieces[turn] if last else pieces[turn] + " "
                    chunks.append(TokenChunk(candidate, text, -0.1, 1, FinishReason.STOP if last else None))
        return ScriptedHandle(chunks)

    def cancel(self, handle: object) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class ScriptedSpeech:
    def __init__(self, text: str) -> None:
        self.words = text.split()

    @property
    def word_edges_s(self) -> tuple[float, ...]:
        return tuple(WORD_S * (i + 1) for i in range(len(self.words)))

    def __iter__(self) -> Iterator[AudioChunk]:
        for _ in self.words:
            yield AudioChunk(np.full(round(WORD_S * RATE), 0.1, np.float32), RATE)


_NEUTRAL = SpeechStyle()


class ScriptedSynthesizer:
    """A quarter of a second a word."""

    sample_rate_hz = RATE
    description = "scripted"
    identity = "scripted"

    def warm_up(self) -> None:
        pass

    def speak(self, text: str, style: SpeechStyle = _NEUTRAL, *, at_leisure: bool = False) -> ScriptedSpeech:
        return ScriptedSpeech(text)

    def synthesize(self, text: str, style: SpeechStyle = _NEUTRAL) -> Iterator[AudioChunk]:
        return iter(self.speak(text, style))

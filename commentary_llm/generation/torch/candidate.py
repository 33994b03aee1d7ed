"""One candidate on its way from tokens to text."""

from __future__ import annotations

from commentary_llm.generation.interface import Completion, FinishReason, SamplingParams, TokenChunk
from commentary_llm.generation.text_stream import Decoder, Detokenizer, StopMatcher


class Candidate:
    """Detokenises and watches for the end of one completion."""

    def __init__(
        self, index: int, params: SamplingParams, prompt: tuple[int, ...], decoder: Decoder, eos: frozenset[int]
    ) -> None:
        self._index, self._params, self._eos = index, params, eos
        self._detokenizer = Detokenizer(decoder, prompt)
        self._stop = StopMatcher(params.stop)
        self._token_ids: list[int] = []
        self._text: list[str] = []
        self._logprob = 0.0

    def push(self, token: int, logprob: float) -> tuple[TokenChunk, Completion | None]:
        """What one token adds; a Completion with the last chunk."""
        self._logprob += logprob
        if token in self._eos:
            return self.end(FinishReason.STOP, logprob, tokens=1)
        self._token_ids.append(token)
        text, stopped = self._stop.push(self._detokenizer.push(token))
        if stopped:
            return self._end(text, FinishReason.STOP, logprob, 1)
        if len(self._token_ids) == self._params.max_new_tokens:
            return self.end(FinishReason.LENGTH, logprob, tokens=1, before=text)
        self._text.append(text)
        return TokenChunk(self._index, text, logprob, 1), None

    def end(
        self, reason: FinishReason, logprob: float = 0.0, tokens: int = 0, before: str = ""
    ) -> tuple[TokenChunk, Completion]:
        """Ends the candidate with what was held back (an incomplete character, a stop string's beginning)."""
        text, stopped = self._stop.push(self._detokenizer.flush())
        if not stopped:
            text += self._stop.flush()
        return self._end(before + text, FinishReason.STOP if stopped else reason, logprob, tokens)

    def _end(self, text: str, reason: FinishReason, logprob: float, tokens: int) -> tuple[TokenChunk, Completion]:
        self._text.append(text)
        completion = Completion(self._index, "".join(self._text), tuple(self._token_ids), self._logprob, reason)
        return TokenChunk(self._index, text, logprob, tokens, reason), completion

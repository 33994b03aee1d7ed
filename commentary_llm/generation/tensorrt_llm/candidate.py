"""One candidate's tokens, as responses bring them, into text."""

from __future__ import annotations

from collections.abc import Sequence

from commentary_llm.generation.interface import Completion, FinishReason, SamplingParams, TokenChunk
from commentary_llm.generation.text_stream import Decoder, Detokenizer, StopMatcher


class CandidateText:
    """Detokenises and watches for the end of one completion. Not thread-safe."""

    def __init__(
        self, index: int, params: SamplingParams, prompt: Sequence[int], decoder: Decoder, eos: frozenset[int]
    ) -> None:
        self._index, self._params, self._eos = index, params, eos
        self._detokenizer = Detokenizer(decoder, prompt)
        self._stop = StopMatcher(params.stop)
        self._token_ids: list[int] = []
        self._text: list[str] = []
        self._logprob = 0.0
        self.ended = False

    def push(
        self, tokens: Sequence[int], logprobs: Sequence[float], finish: FinishReason | None
    ) -> tuple[TokenChunk, Completion | None]:
        """What a response adds; a Completion with the last chunk. `finish`: the executor ended the sequence.

        The text may end earlier than the sequence, at a stop string: tokens after that do not count.
        """
        out, logprob, count = "", 0.0, 0
        for token, value in zip(tokens, logprobs, strict=True):
            logprob += value
            count += 1
            if token in self._eos:
                return self._end(out, FinishReason.STOP, logprob, count)
            self._token_ids.append(token)
            text, stopped = self._stop.push(self._detokenizer.push(token))
            out += text
            if stopped:
                return self._finish(out, FinishReason.STOP, logprob, count)
            if len(self._token_ids) == self._params.max_new_tokens:
                return self._end(out, FinishReason.LENGTH, logprob, count)
        if finish is not None:
            return self._end(out, finish, logprob, count)
        self._text.append(out)
        self._logprob += logprob
        return TokenChunk(self._index, out, logprob, count), None

    def end(self, reason: FinishReason) -> tuple[TokenChunk, Completion]:
        """Ends the candidate from outside: cancelled, or past its deadline."""
        return self._end("", reason, 0.0, 0)

    def _end(self, before: str, reason: FinishReason, logprob: float, count: int) -> tuple[TokenChunk, Completion]:
        """With what was held back: an incomplete character's bytes are dropped, a stop string's beginning goes out."""
        text, stopped = self._stop.push(self._detokenizer.flush())
        if not stopped:
            text += self._stop.flush()
        return self._finish(before + text, FinishReason.STOP if stopped else reason, logprob, count)

    def _finish(self, text: str, reason: FinishReason, logprob: float, count: int) -> tuple[TokenChunk, Completion]:
        self.ended = True
        self._text.append(text)
        self._logprob += logprob
        completion = Completion(self._index, "".join(self._text), tuple(self._token_ids), self._logprob, reason)
        return TokenChunk(self._index, text, logprob, count, reason), completion

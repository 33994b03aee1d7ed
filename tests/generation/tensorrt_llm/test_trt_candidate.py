"""Tokens in pieces of any size into text: the same as in one piece, whole characters, nothing of a stop string."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from commentary_llm.generation import FinishReason, SamplingParams
from commentary_llm.generation.tensorrt_llm.candidate import CandidateText

END = 256
TEXT = st.text(alphabet="ab–é⚽日 \n", max_size=30)


class Utf8Bytes:
    """A tokenizer whose tokens are single bytes."""

    def decode(self, token_ids: Sequence[int]) -> str:
        return bytes(token for token in token_ids if token < END).decode("utf-8", errors="replace")


def candidate(**sampling: object) -> CandidateText:
    params = SamplingParams(**{"max_new_tokens": 500, **sampling})  # type: ignore[arg-type]
    return CandidateText(0, params, b"Goal ", Utf8Bytes(), frozenset({END}))


@settings(max_examples=200)
@given(TEXT, st.lists(st.integers(1, 5), max_size=40), st.sampled_from([(), ("\n",), ("b a", "é⚽")]), st.booleans())
def test_pieces_of_any_size(text: str, sizes: list[int], stop: tuple[str, ...], end_token: bool) -> None:
    tokens = [*text.encode(), *([END] if end_token else [])]
    found, out, completion = candidate(stop=stop), "", None
    while completion is None:
        size = sizes.pop() if sizes else 7
        piece, tokens = tokens[:size], tokens[size:]
        finish = None if tokens else FinishReason.STOP
        chunk, completion = found.push(piece, [-0.5] * len(piece), finish)
        assert "\ufffd" not in chunk.text
        out += chunk.text
    cuts = [at for each in stop if (at := text.find(each)) >= 0]
    assert out == completion.text == text[: min(cuts, default=len(text))]
    assert found.ended
    assert completion.logprob <= -0.5 * len(completion.token_ids)


def test_an_end_from_outside_gives_out_what_was_held_back() -> None:
    found = candidate(stop=("\n\n",))
    chunk, completion = found.push([*b"so far \n"], [0.0] * 8, None)
    assert (chunk.text, completion) == ("so far ", None)
    chunk, completion = found.end(FinishReason.CANCELLED)
    assert chunk.text == "\n"
    assert completion.text == "so far \n"
    assert completion.finish_reason is chunk.finish_reason is FinishReason.CANCELLED


def test_length_counts_tokens() -> None:
    chunk, completion = candidate(max_new_tokens=3).push([*b"abcdef"], [0.0] * 6, None)
    assert completion is not None
    assert completion.text == chunk.text == "abc"
    assert completion.finish_reason is FinishReason.LENGTH

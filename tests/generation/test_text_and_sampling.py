from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from commentary_llm.generation.interface import SamplingParams
from commentary_llm.generation.sampling import Sampler, check_params, token_logprobs, uniform
from commentary_llm.generation.text_stream import Detokenizer, StopMatcher
from commentary_llm.ground.errors import InputError

TEXT = st.text(alphabet="ab–é⚽日 \n", max_size=40)


# (seed, candidate, index) -> 2**24 times the number, from a C program with uint64_t
HARD = {
    (0, 0, 0): 13408518,
    (0, 0, 1): 4800633,
    (0, 1, 0): 339969,
    (7, 3, 41): 11957700,
    (-1, 0, 0): 2744516,
    ((1 << 63) - 1, 7, 1023): 793585,
    (-(1 << 63), 1, 5): 12413165,
}


class Utf8Bytes:
    """A tokenizer whose tokens are single bytes: every character over 127 is spread over several."""

    def decode(self, token_ids: Sequence[int]) -> str:
        return bytes(token_ids).decode("utf-8", errors="replace")


@given(TEXT, TEXT)
def test_stream_equals_text(prompt: str, text: str) -> None:
    stream = Detokenizer(Utf8Bytes(), list(prompt.encode()))
    pieces = [stream.push(byte) for byte in text.encode()]
    assert "\ufffd" not in "".join(pieces)
    assert "".join(pieces) + stream.flush() == text


def test_incomplete_character_at_the_end_is_dropped() -> None:
    stream = Detokenizer(Utf8Bytes(), [])
    pieces = [stream.push(byte) for byte in "a⚽".encode()[:-1]]
    assert pieces == ["a", "", ""]
    assert stream.flush() == ""


@settings(max_examples=300)
@given(st.lists(st.text(alphabet="abc", max_size=4), max_size=12), st.lists(st.text("abc", min_size=1, max_size=4)))
def test_stop_strings_never_leak(pieces: list[str], stops: list[str]) -> None:
    matcher, out, stopped = StopMatcher(stops), "", False
    for piece in pieces:
        text, stopped = matcher.push(piece)
        out += text
        assert not any(stop in out for stop in stops)
        if stopped:
            break
    whole = "".join(pieces)
    if stopped:
        assert whole.startswith(out)
        assert any(whole[len(out) :].startswith(stop) for stop in stops)
    else:
        assert out + matcher.flush() == whole
        assert not any(stop in whole for stop in stops)


def test_uniform_against_hard_numbers() -> None:
    found = [uniform(*counters) * 2**24 for counters in HARD]
    assert found == list(HARD.values())


def test_uniform_is_uniform_and_its_counters_are_independent() -> None:
    grids = [
        [uniform(seed, candidate, index) for index in range(2000)] for seed in (-1, 0, 7) for candidate in range(4)
    ]
    for grid in grids:
        values = torch.tensor(grid)
        assert float(values.min()) >= 0
        assert float(values.max()) < 1
        counts = torch.histc(values, 20, 0, 1)
        assert float(((counts - 100) ** 2 / 100).sum()) < 44  # chi-square, 19 degrees of freedom: 0.1 %
    correlations = torch.corrcoef(torch.tensor([*grids, [*grids[0][1:], 0.5]]))
    assert float((correlations - torch.eye(len(correlations))).abs().max()) < 0.09  # 4 / sqrt(2000)


def draws(params: SamplingParams, logits: torch.Tensor, count: int, candidate: int = 0) -> torch.Tensor:
    sampler = Sampler(params, candidate, ())
    return torch.bincount(torch.tensor([sampler.draw(logits) for _ in range(count)]), minlength=len(logits))


def test_sampled_frequencies_follow_the_distribution() -> None:
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0])
    expected = torch.softmax(logits / 0.7, 0)
    for seed, candidate in ((3, 0), (3, 1), (-12, 0), (1 << 70, 2)):
        found = draws(SamplingParams(temperature=0.7, seed=seed), logits, 8000, candidate) / 8000
        assert (found - expected).abs().max() < 0.02


def test_tokens_are_drawn_in_the_order_of_their_ids() -> None:
    probabilities = torch.tensor([0.2, 0.3, 0.05, 0.45])
    for top_p, inside in ((1.0, [0, 1, 2, 3]), (0.9, [0, 1, 3])):
        sampler = Sampler(SamplingParams(temperature=1, top_p=top_p, seed=9), 2, ())
        mass = probabilities[inside].cumsum(0)
        for index in range(200):
            target = uniform(9, 2, index) * float(mass[-1])
            expected = inside[next(place for place, upto in enumerate(mass) if float(upto) > target)]
            assert sampler.draw(probabilities.log()) == expected


def test_top_p_keeps_the_smallest_sufficient_set_and_ties_of_its_last() -> None:
    logits = torch.log(torch.tensor([0.1, 0.5, 0.3, 0.1]))
    found = draws(SamplingParams(temperature=1, top_p=0.75), logits, 4000)
    assert found[[0, 3]].sum() == 0
    assert abs(float(found[1]) / 4000 - 0.625) < 0.03
    tied = draws(SamplingParams(temperature=1, top_p=0.85), logits, 4000)
    assert bool((tied > 300).all())
    only = draws(SamplingParams(temperature=1, top_p=0.01), logits, 50)
    assert only[1] == 50


def test_wide_nucleus_is_not_cut_at_the_short_list() -> None:
    found = draws(SamplingParams(temperature=1, top_p=0.99), torch.zeros(2000), 4000)
    assert int((found > 0).sum()) > 1500


def test_greedy_penalty_seed_and_candidates() -> None:
    logits = torch.tensor([1.0, 1.2, -1.0, 0.9])
    assert Sampler(SamplingParams(), 0, ()).draw(logits) == 1
    assert Sampler(SamplingParams(), 0, ()).draw(torch.tensor([0.0, 3.0, 3.0])) == 1
    penalized = Sampler(SamplingParams(repetition_penalty=1.3), 0, (1,))
    assert [penalized.draw(logits) for _ in range(3)] == [0, 1, 1]  # 1.0/1.3 < 0.9 stays behind 1.2/1.3
    wide = torch.zeros(1000)
    params = SamplingParams(temperature=1, seed=1)
    first, again, other = Sampler(params, 0, ()), Sampler(params, 0, ()), Sampler(params, 1, ())
    sequence = [first.draw(wide) for _ in range(5)]
    assert sequence == [again.draw(wide) for _ in range(5)]
    assert sequence != [other.draw(wide) for _ in range(5)]


def test_logprobs_are_of_the_plain_distribution() -> None:
    logits = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    expected = torch.log_softmax(logits, 1)
    assert token_logprobs(logits, [1, 0]) == pytest.approx([float(expected[0, 1]), float(expected[1, 0])])


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(max_new_tokens=0),
        SamplingParams(temperature=-1),
        SamplingParams(temperature=float("nan")),
        SamplingParams(top_p=0),
        SamplingParams(repetition_penalty=0),
        SamplingParams(candidates=0),
        SamplingParams(stop=("",)),
    ],
)
def test_parameters_out_of_range_are_named(params: SamplingParams) -> None:
    with pytest.raises(InputError, match="sampling"):
        check_params(params)

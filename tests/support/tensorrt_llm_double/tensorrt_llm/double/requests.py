"""Requests with the real keywords, of which two alone are positional."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from .configs import expect
from .rules import note


class SamplingConfig:
    def __init__(
        self,
        beam_width: int = 1,
        *,
        top_k: int | None = None,
        top_p: float | None = None,
        top_p_min: float | None = None,
        top_p_reset_ids: int | None = None,
        top_p_decay: float | None = None,
        seed: int | None = None,
        temperature: float | None = None,
        min_tokens: int | None = None,
        beam_search_diversity_rate: float | None = None,
        repetition_penalty: float | None = None,
        presence_penalty: float | None = None,
        frequency_penalty: float | None = None,
        length_penalty: float | None = None,
        early_stopping: int | None = None,
        no_repeat_ngram_size: int | None = None,
        num_return_sequences: int | None = None,
        min_p: float | None = None,
        beam_width_array: Any = None,
    ) -> None:
        if num_return_sequences not in (None, 1):
            note("num_return_sequences: the double has no child requests, see LeaderSession for why none are used")
        if expect("top_p", top_p, float) is not None and not 0 < top_p <= 1:
            raise RuntimeError(f"topP is {top_p}, expected 0 < topP <= 1")
        if expect("temperature", temperature, float) is not None and temperature <= 0:
            raise RuntimeError(f"temperature is {temperature}, expected > 0")
        if expect("seed", seed, int) is not None and not 0 <= seed < 2**64:
            raise TypeError(f"seed: incompatible function arguments, got {seed}")
        expect("repetition_penalty", repetition_penalty, float)
        self.seed, self.greedy = seed or 0, expect("top_k", top_k, int) == 1
        if temperature is not None and not self.greedy and top_p is None:
            note("neither top_k nor top_p was given: the library would draw greedily")


class OutputConfig:
    def __init__(
        self,
        return_log_probs: bool = False,
        return_context_logits: bool = False,
        return_generation_logits: bool = False,
        exclude_input_from_output: bool = False,
        return_encoder_output: bool = False,
        return_perf_metrics: bool = False,
        additional_model_outputs: Any = None,
    ) -> None:
        self.return_log_probs, self.return_perf_metrics = return_log_probs, return_perf_metrics
        self.exclude_input_from_output = exclude_input_from_output


class Request:
    def __init__(
        self,
        input_token_ids: list[int],
        max_tokens: int,
        *,
        streaming: bool = False,
        sampling_config: SamplingConfig | None = None,
        output_config: OutputConfig | None = None,
        end_id: int | None = None,
        pad_id: int | None = None,
        bad_words: list[list[int]] | None = None,
        stop_words: list[list[int]] | None = None,
        embedding_bias: Any = None,
        client_id: int | None = None,
        return_all_generated_tokens: bool = False,
        priority: float = 0.5,
        allotted_time_ms: timedelta | None = None,
    ) -> None:
        if not input_token_ids or not all(type(token) is int for token in input_token_ids):
            raise TypeError(f"input_token_ids: incompatible function arguments, got {input_token_ids!r}")
        if expect("max_tokens", max_tokens, int, False) < 1:
            raise RuntimeError("maxNewTokens has to be positive")
        if end_id is None or pad_id is None:
            note("end_id or pad_id was not given: nothing would end the sequence but its length")
        if not 0 <= expect("priority", priority, float, False) <= 1:
            raise RuntimeError(f"Request priority must be in range [0, 1], got {priority}")
        if not all(isinstance(words, list) and words for words in stop_words or []):
            raise TypeError(f"stop_words: incompatible function arguments, got {stop_words!r}")
        self.input_token_ids, self.max_tokens = list(input_token_ids), max_tokens
        self.streaming = expect("streaming", streaming, bool, False)
        self.sampling_config = expect("sampling_config", sampling_config, SamplingConfig) or SamplingConfig()
        self.output_config = expect("output_config", output_config, OutputConfig) or OutputConfig()
        if not self.output_config.exclude_input_from_output:
            note("exclude_input_from_output was not set: whatever is not streamed would hold the prompt")
        self.end_id, self.stop_words = expect("end_id", end_id, int), stop_words or []
        self.allotted_time_ms = expect("allotted_time_ms", allotted_time_ms, timedelta)
        self._priority = priority  # cannot be read back from the real class

    def place(self) -> float:
        """For the double's queue."""
        return -self._priority

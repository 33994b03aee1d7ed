"""What the double's models say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

LINES = (
    "The noise is enormous now, and nobody is sitting down.",
    "Günther — Müller, Čapek et Õun: été, naïve façade! 日本 ⚽ 3–2.",
    "It goes on and on and on.\nAnd a second paragraph that nobody should hear.",
    "What a moment this is.",
    "",
)


def encode_script(tokenizer: Any, end_id: int) -> dict[str, Any]:
    """The script as token ids of the model's own tokenizer."""
    return {"lines": [tokenizer.encode(line, add_special_tokens=False).ids for line in LINES], "end_id": end_id}


def line_number(prompt: Sequence[int], seed: int) -> int:
    """Which line answers a prompt: fixed by its tokens and the seed."""
    return (sum(prompt) * 31 + seed) % len(LINES)


def next_token(script: dict[str, Any], prompt: Sequence[int], seed: int, position: int, endless: bool) -> int:
    """The token at `position` of the answer; the end token after its last one."""
    lines: list[list[int]] = script["lines"]
    line = lines[0] if endless else lines[line_number(prompt, seed)]
    if endless:
        return line[position % len(line)]
    return line[position] if position < len(line) else int(script["end_id"])


def logprob(token: int, position: int) -> float:
    """Some value that differs by token and place."""
    return -0.01 * (1 + token % 7) - 0.001 * (position % 5)

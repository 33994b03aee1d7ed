"""Rules that were broken, and what tests may set."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import NoReturn

broken: list[str] = []


def note(rule: str) -> None:
    """Remembers a broken rule; printed too, since a job's other rank has no other way to tell."""
    broken.append(rule)
    print(f"RULE BROKEN: {rule}", file=sys.stderr, flush=True)


def refuse(rule: str) -> NoReturn:
    """As the bindings do: a C++ exception becomes a RuntimeError."""
    note(rule)
    raise RuntimeError(f"[TensorRT-LLM][ERROR] {rule}")


@dataclass
class Control:
    """What a test wants of the double. In other processes set by variables named DOUBLE_…"""

    step_s: float = float(os.environ.get("DOUBLE_STEP_S", "0.001"))
    endless: bool = bool(os.environ.get("DOUBLE_ENDLESS"))  # sequences end by length alone
    end_token_in_output: bool = False
    logprobs_of_new_tokens_alone: bool = False
    timed_out_as_cancelled: bool = False
    fail_step: str = ""  # the next step fails with this message
    fail_load_rank: int = int(os.environ.get("DOUBLE_FAIL_LOAD_RANK", "-1"))
    hang_rank: int = int(os.environ.get("DOUBLE_HANG_RANK", "-1"))  # its execution loop stops for good in a step
    slow_shutdown_s: float = float(os.environ.get("DOUBLE_SLOW_SHUTDOWN_S", "0"))
    without: str = os.environ.get("DOUBLE_WITHOUT", "")  # a keyword of ExecutorConfig that this release lacks


control = Control()

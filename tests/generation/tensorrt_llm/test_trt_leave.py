"""How a program that loaded TensorRT-LLM ends: with its own exit code, whatever the library's destructors would do."""

from __future__ import annotations

import subprocess
import sys

import pytest
from trt_pretend import DOUBLE

_SCRIPT = """
import atexit, os, sys
sys.path.insert(0, {double!r})
from commentary_llm.ground.world import leave
if {load}:
    import tensorrt_llm
atexit.register(os._exit, 134)  # as a crash at the very end of the process would

def main():
    print("done")
    {end}

leave(main)
"""


def exit_of(end: str, load: bool = True) -> tuple[int, str]:
    script = _SCRIPT.format(double=str(DOUBLE), end=end, load=load)
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    return result.returncode, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("end", "code"), [("return 0", 0), ("return 3", 3), ("raise SystemExit(0)", 0), ("sys.exit()", 0)]
)
def test_the_programs_own_exit_code_counts(end: str, code: int) -> None:
    assert exit_of(end) == (code, "done\n")


def test_other_ends() -> None:
    assert exit_of("sys.exit('refused')") == (1, "done\nrefused\n")
    code, output = exit_of("1 / 0")
    assert code != 0
    assert "ZeroDivisionError" in output


def test_without_the_library_the_process_ends_as_ever() -> None:
    assert exit_of("return 0", load=False)[0] == 134

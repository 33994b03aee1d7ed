"""What every benchmark says of the machine, and how it shows its figures."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from rich.console import Console

from commentary_llm.ground.files import write_text_atomically


def machine() -> dict[str, Any]:
    cpu = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
    }


def publish(results: dict[str, Any], out: Path | None) -> None:
    """One line of JSON, the last one of the output, and into the file `out` too."""
    text = json.dumps(results)
    if out is not None:
        write_text_atomically(out, text + "\n")
    print(text, flush=True)


def print_rows(rows: Sequence[tuple[str, dict[str, float], str]], console: Console) -> None:
    console.print(f"{'':40}{'p50':>9}{'p90':>9}{'p99':>9}{'max':>9}  ms", soft_wrap=True)
    for name, f, note in rows:
        figures = "".join(f"{f[key]:9.2f}" for key in ("p50_ms", "p90_ms", "p99_ms", "max_ms"))
        console.print(f"{name:40}{figures}  {note}", highlight=False, soft_wrap=True)

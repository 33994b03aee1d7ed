"""Lines for speech engines: what announcers and commentators say, to calibrate on and to be judged by."""

from __future__ import annotations

from pathlib import Path


def speech_lines() -> tuple[list[str], list[str]]:
    """(lines that calibrate, lines that judge); none is in both."""
    text = Path(__file__).with_name("speech_lines.txt").read_text(encoding="utf-8")
    calibration, judged = text.split("\n\n")
    return [line for line in calibration.splitlines() if not line.startswith("#")], judged.splitlines()

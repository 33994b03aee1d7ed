"""Installing beside packages that must stay as they are: used by launch/container/Containerfile.

    python -m checkpoints.preflight.constraints merge IMAGE OURS    pins for pip: IMAGE's, and OURS for what it lacks
    python -m checkpoints.preflight.constraints same IMAGE NOW      fails if a package of IMAGE has another version NOW

IMAGE and NOW are `pip list --format=freeze`; OURS is launch/constraints.txt. Needs the standard library only: it
runs before anything is installed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path


def pins(text: str) -> dict[str, list[str]]:
    """Normalised package name -> its lines; several where markers choose between them."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        match = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*==", line)
        if match:
            found.setdefault(re.sub(r"[-_.]+", "-", match[1]).lower(), []).append(line.strip())
    return found


def merge(image: str, ours: str) -> str:
    """The image's pins, and ours for the packages that it does not have."""
    merged = {**pins(ours), **pins(image)}
    return "".join(f"{line}\n" for _, lines in sorted(merged.items()) for line in lines)


def changed(image: str, now: str) -> list[str]:
    """A sentence for each package of the image that is gone or of another version now."""
    after = pins(now)
    return [
        f"{lines[0]} has become {after.get(name, ['nothing'])[0]}"
        for name, lines in sorted(pins(image).items())
        if after.get(name) != lines
    ]


def main(arguments: Sequence[str]) -> int:
    what, first, second = arguments[0], *(Path(path).read_text(encoding="utf-8") for path in arguments[1:3])
    if what == "merge":
        sys.stdout.write(merge(first, second))
        return 0
    problems = changed(first, second)
    for problem in problems:
        print(f"error: {problem}; the image's packages have to stay as they are", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("merge", "same"):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))

"""How a check inside the gate says no."""

from __future__ import annotations

from commentary_llm.language.contract import Cause, Verdict


class Refused(Exception):
    """Raised by a check inside the gate; `FactGate.check` turns it into a `Verdict`."""

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(detail)
        self.verdict = Verdict(ok=False, cause=cause, detail=detail)

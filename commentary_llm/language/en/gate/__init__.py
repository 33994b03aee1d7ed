"""The fact gate: what may be said, clause by clause, before there is sound."""

from commentary_llm.language.en.gate.gate import FactGate

__all__ = ["FactGate"]

"""Which version of a recipe built an artifact.

Raise a version when the same input would no longer give the same artifact: set-up then builds anew what an older
version built. A comment, a rename or a move changes nothing that is built, and raises nothing.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """One step from weights to what a rank loads. `str` is what a manifest records."""

    name: str
    version: int
    # Manifests once recorded hashes of the building code; these are the ones that built what this version builds.
    same_as: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.name}-{self.version}"

    def made(self, recorded: str) -> bool:
        """Whether an artifact whose manifest records `recorded` is what this recipe would build."""
        return recorded == str(self) or recorded in self.same_as


IMPORT = Recipe("import", 1, frozenset({"939641cc1a28d085"}))
MERGE = Recipe("merge", 1, frozenset({"0209c843c2d6eeac"}))
QUANTIZE = Recipe("quantize", 1, frozenset({"d2be78b401467f5f"}))
SHARD = Recipe("shard", 1, frozenset({"f216562193a2bd01"}))
SPEECH_ENGINES = Recipe("speech-engines", 1, frozenset({"7c24ab19ac9c0a34"}))
TENSORRT_LLM_ENGINES = Recipe("tensorrt-llm-engines", 1, frozenset({"ec73768efa97bef0"}))
RECIPES = (IMPORT, MERGE, QUANTIZE, SHARD, SPEECH_ENGINES, TENSORRT_LLM_ENGINES)

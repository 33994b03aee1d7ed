"""Which KV slot holds which tokens, and which slot a new sequence should take."""

from __future__ import annotations

from collections.abc import Sequence as AbstractSequence
from dataclasses import dataclass, field


@dataclass
class Slot:
    """`tokens` are those whose keys and values are in the cache, of the running sequence or of the last one."""

    index: int
    tokens: list[int] = field(default_factory=list)
    busy: bool = False
    last_used: int = 0
    prefix: str = ""  # what its request said is worth keeping


def common_prefix(first: AbstractSequence[int], second: AbstractSequence[int]) -> int:
    """Length of the longest common prefix."""
    length = 0
    for mine, theirs in zip(first, second, strict=False):
        if mine != theirs:
            break
        length += 1
    return length


class SlotTable:
    """All slots. Free ones keep their tokens, so that a later prompt that starts alike need not compute them again."""

    def __init__(self, count: int) -> None:
        self.slots = [Slot(index) for index in range(count)]
        self._clock = 0

    @property
    def free(self) -> int:
        return sum(not slot.busy for slot in self.slots)

    def best_source(self, prompt: AbstractSequence[int]) -> tuple[Slot | None, int]:
        """The slot, busy or free, that holds the longest prefix of `prompt`, and how much; free ones win a tie."""
        best, best_length = None, 0
        for slot in self.slots:
            length = common_prefix(slot.tokens, prompt)
            if length > best_length or (length == best_length and length and best and best.busy and not slot.busy):
                best, best_length = slot, length
        return best, best_length

    def take(self, slot: Slot, kept: AbstractSequence[int], prefix: str) -> Slot:
        """Marks `slot` busy, holding `kept`."""
        assert not slot.busy
        slot.busy, slot.tokens, slot.prefix = True, list(kept), prefix
        self._touch(slot)
        return slot

    def victim(self, near: int | None = None) -> Slot:
        """The free slot whose content is least worth keeping: not the newest holder of a prefix, longest unused.

        Of equals the one right after slot `near` is taken, since neighbouring slots attend in one call.
        """
        newest: dict[str, int] = {}
        for slot in self.slots:
            if slot.prefix:
                newest[slot.prefix] = max(newest.get(slot.prefix, 0), slot.last_used)

        def worth(slot: Slot) -> tuple[bool, bool, int, int]:
            kept = bool(slot.prefix) and slot.last_used == newest[slot.prefix] and not slot.busy
            return kept, slot.index != (near + 1 if near is not None else -1), slot.last_used, slot.index

        return min((slot for slot in self.slots if not slot.busy), key=worth)

    def release(self, slot: Slot) -> None:
        """Frees a slot; its tokens stay until another sequence takes it."""
        assert slot.busy
        slot.busy = False
        self._touch(slot)

    def _touch(self, slot: Slot) -> None:
        self._clock += 1
        slot.last_used = self._clock

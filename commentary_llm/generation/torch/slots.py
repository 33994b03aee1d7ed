"""Which KV slot holds which tokens, and which slot a new sequence should take.

There are more slots than sequences decode at once: the rest keep prefixes of prompts, those of one match after
another's, so that a match that has not spoken for a while need not have its prefix computed again. The policy:

* of each prefix the newest holder is kept, once the whole prefix is in its cache; other free slots are given away
  first, longest unused first
* where every free slot is the kept holder of a prefix, the prefix that was used longest ago goes
* a new sequence takes the free slot over that holds most of its prompt, unless that one is kept for another prefix:
  then, and where that one is busy, it gets a copy

So no prefix is computed twice as long as the prefixes in use and the sequences that run at once together fit the slots.
"""

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
    prefix: str = ""  # worth keeping, and wholly among the tokens


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
    def busy(self) -> int:
        return sum(slot.busy for slot in self.slots)

    def best_source(self, prompt: AbstractSequence[int]) -> tuple[Slot | None, int]:
        """The slot, busy or free, that holds the longest prefix of `prompt`, and how much; free ones win a tie."""
        best, best_length = None, 0
        for slot in self.slots:
            length = common_prefix(slot.tokens, prompt)
            if length > best_length or (length == best_length and length and best and best.busy and not slot.busy):
                best, best_length = slot, length
        return best, best_length

    def kept_for_another(self, slot: Slot, prefix: str) -> bool:
        """Whether a free slot is kept, and not for `prefix`."""
        return slot.prefix != prefix and self._is_kept(slot, self._newest())

    def take(self, slot: Slot, kept: AbstractSequence[int], prefix: str) -> Slot:
        """Marks `slot` busy, holding `kept`. `prefix`: what is wholly among them and worth keeping, '' for nothing."""
        assert not slot.busy
        slot.busy, slot.tokens, slot.prefix = True, list(kept), prefix
        self._touch(slot)
        return slot

    def victim(self, near: int | None = None) -> Slot:
        """The free slot whose content is least worth keeping, see the policy above.

        Of those that are not kept the one right after slot `near` comes first: neighbouring slots attend in one call.
        """
        newest = self._newest()

        def worth(slot: Slot) -> tuple[bool, bool, int, int]:
            kept = self._is_kept(slot, newest)
            neighbour = near is not None and slot.index == near + 1
            return kept, not neighbour and not kept, slot.last_used, slot.index

        return min((slot for slot in self.slots if not slot.busy), key=worth)

    def release(self, slot: Slot) -> None:
        """Frees a slot; its tokens stay until another sequence takes it."""
        assert slot.busy
        slot.busy = False
        self._touch(slot)

    def _newest(self) -> dict[str, int]:
        """When each prefix was last used."""
        newest: dict[str, int] = {}
        for slot in self.slots:
            if slot.prefix:
                newest[slot.prefix] = max(newest.get(slot.prefix, 0), slot.last_used)
        return newest

    @staticmethod
    def _is_kept(slot: Slot, newest: dict[str, int]) -> bool:
        return bool(slot.prefix) and not slot.busy and slot.last_used == newest[slot.prefix]

    def _touch(self, slot: Slot) -> None:
        self._clock += 1
        slot.last_used = self._clock

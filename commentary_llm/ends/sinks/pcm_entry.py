"""Speech as an unbroken stream in real time: raw s16le mono at the voice's rate, with silence between the lines."""

from __future__ import annotations

from commentary_llm.ends.contract import AirBlock, Closing, EndsEvent, Opening
from commentary_llm.ends.loop import BLOCK_S
from commentary_llm.ends.outlet import Outlet
from commentary_llm.ends.registry import SINKS
from commentary_llm.session.events import WhenFull

_BLOCKS = round(1.0 / BLOCK_S)  # a listener further behind than a second goes on with what is heard now
_PIPE_BYTES = 16_384  # 0.37 s: what a slow listener finds in the pipe is that old
_LAST_WORDS_S = 2.0  # for a reader to take what is left


class PcmStream:
    """A `Sink` that a slow reader cannot hold up. Which match it is stands in the captions' first line."""

    name = "speech"
    kinds = (AirBlock,)
    capacity = _BLOCKS
    when_full = WhenFull.DROP_ALL

    def __init__(self, target: str) -> None:
        """`target`: a file or FIFO, or "-" for standard output. Raises OutputError."""
        self._outlet = Outlet(target, what=self.name, capacity=_BLOCKS, when_full="drop all", pipe_bytes=_PIPE_BYTES)

    def start(self, opening: Opening) -> None:
        pass

    def take(self, event: EndsEvent) -> None:
        if isinstance(event, AirBlock):
            self._outlet.put(event.pcm)

    async def stop(self, closing: Closing) -> None:
        await self._outlet.close(_LAST_WORDS_S)
        dropped_s = self._outlet.dropped_blocks * BLOCK_S
        before_s = closing.figures.get("pcm_dropped_s", 0.0)
        assert isinstance(before_s, float)
        closing.figures["pcm_dropped_s"] = round(before_s + dropped_s, 2)
        if dropped_s:
            closing.warnings.append(f"{self.name}: {dropped_s:.1f} s were not taken by a reader")


SINKS.register("pcm", lambda target, setting: PcmStream(target))

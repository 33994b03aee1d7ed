"""What goes out of one match: its sinks, each with a queue of its own, and the live player."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from commentary_llm.ends.contract import (
    AIR_EVENTS,
    AirEvent,
    Closing,
    Ending,
    EndsEvent,
    FileSink,
    Opening,
    Sink,
)
from commentary_llm.ends.loop import EndsLoop
from commentary_llm.ends.on_air import OnAir
from commentary_llm.ground.clock import StreamClock
from commentary_llm.ground.errors import CommentaryError, OutputError
from commentary_llm.session.events import EventStream, SegmentPlaced, Subscription, WhenFull

log = logging.getLogger(__name__)

_CLAUSES_WAITING = 1000
_EVENTS_A_TURN = 16  # then other matches have theirs: a clause takes a sound file some milliseconds
_CLOSE_S = 30.0


class MatchEnds:
    """Made once the session is open; `start`, then `close` when it is closed, then `finish`.

    A sink that fails gets nothing more, is complained about at once, and harms neither the match nor other sinks. All
    methods are called from other threads than the loop's.
    """

    def __init__(self, loop: EndsLoop, sinks: Sequence[Sink], complain: Callable[[str], None]) -> None:
        """`complain`: for the operator; called on the loop."""
        self._loop = loop
        self._outs = [_Out(sink, complain) for sink in sinks]
        self._queues: list[_Queue] = []
        self._player: OnAir | None = None
        self._placed: _Queue | None = None

    @property
    def error(self) -> CommentaryError | None:
        """Why a sink failed, the first that did."""
        return next((out.error for out in self._outs if out.error is not None), None)

    def start(self, events: EventStream, opening: Opening, clock: StreamClock, *, live: bool) -> None:
        """Everything that the session publishes from now on goes to the sinks.

        `live`: plays the speech in real time, from now on by `clock`.
        """
        self._loop.call(self._start, events, opening, clock, live)

    def play_out(self, timeout_s: float) -> bool:
        """Waits until everything placed so far has been heard; False when it has not been within `timeout_s`."""
        return self._loop.run(self._play_out(timeout_s))

    def stop_player(self) -> None:
        """Ends the live stream at once. Idempotent."""
        self._loop.call(self._stop_player)

    def close(self, closing: Closing) -> None:
        """Gives the sinks what still waits for them and stops them, within some seconds."""
        self._loop.run(self._close(closing), _CLOSE_S)

    def finish(self, ending: Ending) -> None:
        """Completes the files, in the order of the sinks; takes a while.

        Raises OutputError of the first file that is not whole, once the others are written.
        """
        error: CommentaryError | None = None
        for out in self._outs:
            if not isinstance(out.sink, FileSink):
                continue
            if out.error is None:
                try:
                    out.sink.finish(ending)
                except CommentaryError as failure:
                    out.error = failure
            error = error or out.error
        if error is not None:
            raise error

    # All below: on the loop.

    def _start(self, events: EventStream, opening: Opening, clock: StreamClock, live: bool) -> None:
        for out in self._outs:
            kinds = tuple(kind for kind in out.sink.kinds if kind not in AIR_EVENTS)
            if kinds:
                queue = _Queue(self._loop, out.take, out.overrun)
                queue.subscribe(events, out.sink.name, out.sink.capacity, out.sink.when_full, kinds)
                out.leave = queue.leave
                self._queues.append(queue)
        if live:
            self._player = player = OnAir(opening.match_id, clock, opening.sample_rate_hz, self._publish)
            self._placed = _Queue(self._loop, lambda event: _place(player, event), lambda: None)
            self._placed.subscribe(events, "player", _CLAUSES_WAITING, WhenFull.DROP_OLDEST, (SegmentPlaced,))
            self._queues.append(self._placed)
            self._loop.add_player(player.tick)
        for out in self._outs:
            out.attempt(lambda out=out: out.sink.start(opening))  # type: ignore[misc]

    def _publish(self, event: AirEvent) -> None:
        for out in self._outs:
            if isinstance(event, out.sink.kinds):
                out.take(event)

    async def _play_out(self, timeout_s: float) -> bool:
        if self._player is None or self._placed is None:
            return True
        self._placed.empty()
        return await self._player.play_out(timeout_s)

    def _stop_player(self) -> None:
        if self._player is not None:
            self._loop.remove_player(self._player.tick)

    async def _close(self, closing: Closing) -> None:
        self._stop_player()
        for queue in self._queues:
            queue.empty()
            queue.leave()
        for out in self._outs:
            try:
                await out.sink.stop(closing)
            except CommentaryError as error:
                out.fail(error)
            except Exception as error:
                out.fail(_defect(out.sink, error))


class _Out:
    """A sink, and whether it still takes events."""

    def __init__(self, sink: Sink, complain: Callable[[str], None]) -> None:
        self.sink = sink
        self.error: CommentaryError | None = None
        self.leave: Callable[[], None] = lambda: None
        self._complain = complain

    def take(self, event: EndsEvent) -> None:
        self.attempt(lambda: self.sink.take(event))

    def attempt(self, step: Callable[[], None]) -> None:
        if self.error is not None:
            return
        try:
            step()
        except CommentaryError as error:
            self.fail(error)
        except Exception as error:  # a defect of one sink must not silence the others
            self.fail(_defect(self.sink, error))

    def overrun(self) -> None:
        self.fail(
            OutputError(f"{self.sink.name}: {self.sink.capacity} events were waiting for it; it is not whole any more")
        )

    def fail(self, error: CommentaryError) -> None:
        if self.error is None:
            self.error = error
            self.leave()
            self._complain(f"{error}; the match goes on without it")


class _Queue:
    """A subscription that is emptied on the loop."""

    def __init__(self, loop: EndsLoop, take: Callable[[EndsEvent], None], overrun: Callable[[], None]) -> None:
        """`overrun` is called when it fell too far behind for its policy."""
        self._loop, self._take, self._overrun = loop, take, overrun
        self._events: EventStream | None = None
        self._subscription: Subscription | None = None
        self._posted = False

    def subscribe(
        self, events: EventStream, name: str, capacity: int, when_full: WhenFull, kinds: tuple[type, ...]
    ) -> None:
        self._events = events
        self._subscription = events.subscribe(
            name, capacity=capacity, when_full=when_full, kinds=kinds, notify=self._notify
        )

    def leave(self) -> None:
        if self._events is not None and self._subscription is not None:
            self._events.detach(self._subscription)
            self._subscription = None

    def empty(self) -> None:
        """Takes all that waits."""
        while self._turn():
            pass

    def _notify(self) -> None:
        """An event was queued. From whichever thread published it."""
        if not self._posted:
            self._posted = True
            self._loop.post(self._posted_turn)

    def _posted_turn(self) -> None:
        self._posted = False  # before anything is taken: what is queued from here on is posted again
        if self._turn():
            self._notify()

    def _turn(self) -> bool:
        """Takes some of what waits; whether there may be more."""
        for _ in range(_EVENTS_A_TURN):
            if self._subscription is None:  # its sink has failed
                return False
            event = self._subscription.take(timeout_s=0.0)
            if event is None:
                if self._subscription.overrun:
                    self._overrun()
                return False
            self._take(event)
        return True


def _place(player: OnAir, event: EndsEvent) -> None:
    if isinstance(event, SegmentPlaced):
        player.place(event.segment)


def _defect(sink: Sink, error: Exception) -> OutputError:
    log.error("sink %s failed", sink.name, exc_info=error)
    failure = OutputError(f"{sink.name} failed: {error!r}")
    failure.__cause__ = error
    return failure

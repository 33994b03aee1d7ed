"""`CommentaryEngine`: one match on a station of its own, as a match-state tracker uses it.

    from commentary_llm import CommentaryEngine, EngineConfig, MatchEvent

    with CommentaryEngine.start(EngineConfig(match=info)) as engine:   # on every rank
        handle = engine.submit(MatchEvent(...))                        # returns at once
        for clause in handle:                                          # text, then its PCM, as they come
            ...
        record = handle.result()                                       # the whole record, with timings

Run it under `mpirun -n N`: the same program on every rank. `start` returns on rank 0 only; on the other ranks it serves
the language model until rank 0 is done, and then leaves by SystemExit. For more than one match at once see `Station`.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

from commentary_llm.session.session import Session
from commentary_llm.settings import EngineConfig
from commentary_llm.station.station import ReportStep, Station

if TYPE_CHECKING:
    from mpi4py import MPI

_DRAIN_S = 30.0


class CommentaryEngine:
    """A running engine on rank 0. Make one with `start`; use it as a context manager, or call `close`."""

    def __init__(self, config: EngineConfig, station: Station, **open_options: Any) -> None:
        """Opens the match on a ready station, which `close` closes too; `open_options` are those of `Station.open`.

        Raises ConfigError without a match.
        """
        self.config, self.station = config, station
        try:
            self.session: Session = station.open(config.match_config, wait_for_openers=True, **open_options)
        except BaseException:
            station.close(drain_s=0.0)
            raise
        self.submit, self.hear = self.session.submit, self.session.hear
        self.idle, self.wait_idle, self.wait = self.session.idle, self.session.wait_idle, self.session.wait
        self.match, self.events, self.metrics = self.session.match, self.session.events, self.session.metrics
        self.clock = self.session.clock
        self.generator, self.synthesizer, self.recognizer = station.generator, station.synthesizer, station.recognizer

    @classmethod
    def start(
        cls,
        config: EngineConfig,
        *,
        comm: MPI.Comm | None = None,
        progress: ReportStep | None = None,
        **open_options: Any,
    ) -> CommentaryEngine:
        """Loads the models, warms them up, makes the openers' sound and returns the engine, on rank 0.

        Every rank of `comm` (by default MPI's world under mpirun, else a single rank) calls this with the same
        configuration; `open_options` (`clock`, `subscribers`, `hearing`: see `Station.open`) matter on rank 0 alone.
        Ranks above 0 serve the language model here and raise SystemExit(0) when rank 0 closes the engine. Raises
        ConfigError, ArtifactError (with the command that rebuilds what is missing), RankLostError.
        """
        reported = {} if progress is None else {"progress": progress}
        return cls(config, Station.start(config.station, comm=comm, **reported), **open_options)

    def drain(self, timeout_s: float = _DRAIN_S) -> None:
        """Takes no more events, finishes what is being said (for `timeout_s` at most) and makes it final.

        Idempotent. The models stay loaded until `close`.
        """
        self.session.close(drain_s=timeout_s)

    def close(self, *, drain_s: float = _DRAIN_S) -> None:
        """Drains, then stops all ranks. Idempotent."""
        self.station.close(drain_s=drain_s)

    def __enter__(self) -> CommentaryEngine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close(drain_s=_DRAIN_S if kind is None else 0.0)

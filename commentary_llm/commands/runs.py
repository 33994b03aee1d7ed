"""What a replay and a live run have in common: how ranks start, how they are stopped, and what they add up to."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from types import FrameType
from typing import TYPE_CHECKING, TypeVar

from asr_tts.audio.mixer import MixReport
from asr_tts.recognizer.word_error import word_errors
from commentary_llm.engine import CommentaryEngine
from commentary_llm.ground.errors import CommentaryError
from commentary_llm.ground.world import go_ahead
from commentary_llm.match import MatchInfo, MatchState
from commentary_llm.session.figures import branch_figures, summarise
from commentary_llm.session.record import CueRecord, ReplaySummary
from commentary_llm.settings import Settings

if TYPE_CHECKING:
    from mpi4py import MPI

T = TypeVar("T")

BED_RATE_HZ = 22_050  # of the crowd under the speech


def prepared_on_rank_0(settings: Settings, comm: MPI.Comm | None, prepare: Callable[[], T]) -> T | None:
    """What `prepare` made of the input on rank 0, before any rank has loaded a model; called on every rank.

    Raises CommentaryError on rank 0 when `prepare` does. A rank above 0 serves the engine from here and leaves by
    SystemExit when rank 0 closes it; it gets None when rank 0 has refused the input and says so.
    """
    if comm is not None and comm.Get_rank() > 0:
        if go_ahead(comm):
            return None
        CommentaryEngine.start(settings.engine_config(), comm=comm)
    try:
        prepared = prepare()
    except CommentaryError:
        go_ahead(comm, 1)
        raise
    go_ahead(comm)
    return prepared


def title_of(state: MatchState) -> str:
    """ "Argentina 3-3 France (4-2 on penalties)"."""
    title = f"{state.info.home.name} {state.score.home}-{state.score.away} {state.info.away.name}"
    if state.shootout is not None:
        title += f" ({state.shootout.home}-{state.shootout.away} on penalties)"
    return title


def summary_of(
    engine: CommentaryEngine,
    info: MatchInfo,
    records: list[CueRecord],
    mix: MixReport,
    *,
    ranks: int,
    speed: str,
    wall_s: float,
    started_at: str,
    skipped: int,
) -> ReplaySummary:
    """The figures of a finished run. `skipped`: what its source held that was no usable event."""
    return ReplaySummary(
        match_id=info.id,
        title=title_of(engine.match.state),
        home=info.home.name,
        away=info.away.name,
        source=info.source,
        backend=engine.generator.description,
        recognizer=engine.recognizer.description if engine.recognizer else None,
        synthesizer=engine.synthesizer.description,
        ranks=ranks,
        speed=speed,
        wall_s=wall_s,
        audio_s=mix.duration_s,
        loudness_lufs=mix.integrated_lufs,
        true_peak_dbtp=mix.true_peak_dbtp,
        events=engine.match.accepted,
        duplicates=engine.match.duplicates,
        late=engine.match.late,
        skipped_unknown=skipped,
        started_at=started_at,
        versions={name: version(name) for name in ("commentary-llm", "torch", "onnxruntime", "mpi4py", "numpy")},
        branches=branch_figures(engine.metrics, records),
        **summarise(records, word_errors),
    )


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does: mpirun turns the one into the other."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def uninterruptible() -> Iterator[None]:
    """Further Ctrl-C while the files are being finished would leave them half-written."""
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)

"""The figures of a replay in short form, for the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from commentary_llm.session.figures import branches_line, clock, decimal, milliseconds, percent
from commentary_llm.session.record import ReplaySummary


def print_summary(summary: ReplaySummary, console: Console) -> None:
    """Prints a replay's figures in 10 to 15 lines."""
    console.print(f"[bold]{escape(summary.title)}[/bold]")
    if summary.source:
        console.print(f"[dim]data: {escape(summary.source)}[/dim]")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    extra = [
        f"{count} {what}"
        for count, what in (
            (summary.duplicates, "duplicate"),
            (summary.late, "late"),
            (summary.skipped_unknown, "unknown skipped"),
        )
        if count
    ]
    grid.add_row("events", str(summary.events) + (f" ({', '.join(extra)})" if extra else ""))
    grid.add_row("cues", f"{summary.spoken} of {summary.cues} spoken, {percent(summary.model_share)} by the model")
    if summary.dropped:
        grid.add_row("dropped", escape(_listed(summary.dropped)))
    if summary.refusals:
        grid.add_row("refused", escape(_listed(summary.refusals)))
    if summary.branches is not None and summary.branches.build_ups:
        grid.add_row("branches", branches_line(summary.branches))
    for name, label in (
        ("first_audible", "first sound"),
        ("on_air", "heard after"),
        ("text_done", "text done"),
        ("last_sample", "last sample"),
    ):
        figures = summary.percentiles_ms.get(name, {})
        if figures.get("count"):
            grid.add_row(
                label, " · ".join(f"{key} {milliseconds(figures.get(key))}" for key in ("p50", "p90", "p99", "max"))
            )
    if summary.word_error is not None:
        grid.add_row("word error", f"{percent(summary.word_error)} heard against announced")
    grid.add_row(
        "sound",
        f"{clock(summary.audio_s)}, {decimal(summary.loudness_lufs)} LUFS, {decimal(summary.true_peak_dbtp)} dBTP",
    )
    ranks = "1 rank" if summary.ranks == 1 else f"{summary.ranks} ranks"
    grid.add_row("ran", f"{clock(summary.wall_s)} on {ranks} at {escape(summary.speed)} speed")
    grid.add_row("models", escape(summary.backend))
    console.print(grid)


def _listed(counts: dict[str, int]) -> str:
    shown = list(counts.items())[:6]
    rest = sum(counts.values()) - sum(count for _, count in shown)
    return (
        f"{sum(counts.values())}: "
        + ", ".join(f"{cause} {count}" for cause, count in shown)
        + (f", others {rest}" if rest else "")
    )

"""The score of a match as a table for the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from commentary_llm.evaluation.figures import Evaluation, Wording
from commentary_llm.session.figures import branches_line, decimal, milliseconds, percent
from commentary_llm.session.record import ReplaySummary


def print_evaluation(evaluation: Evaluation, summary: ReplaySummary, console: Console) -> None:
    """Prints every figure, and each wrong fact with its line."""
    console.print(f"[bold]{escape(summary.title)}[/bold]")
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    for name, value in _rows(evaluation):
        grid.add_row(name, escape(value))
    if summary.branches is not None:
        grid.add_row("branches", branches_line(summary.branches))
    console.print(grid)
    for label, facts in (("[red]wrong[/]", evaluation.wrong), ("[yellow]doubtful[/]", evaluation.doubtful)):
        for fact in facts:
            console.print(f"{label} {escape(f'{fact.minute} {fact.event_id}: {fact.kind}, {fact.what}: {fact.text}')}")
    console.print(_latency(evaluation))


def _rows(evaluation: Evaluation) -> list[tuple[str, str]]:
    overlap = evaluation.overlap
    return [
        ("cues", f"{evaluation.spoken} of {evaluation.cues} spoken, {evaluation.cut_off} cut off"),
        ("spoken by the model", f"{percent(evaluation.model_share)} ({_counts(evaluation.sources)})"),
        ("wrong facts heard", f"{evaluation.wrong_facts}, and {len(evaluation.doubtful)} that cannot be checked"),
        ("clauses refused", _counts(evaluation.refusals)),
        ("distinct-2, repeats", _wording(evaluation.wording)),
        ("without openers", _wording(evaluation.wording_without_openers)),
        ("words a cue", decimal(evaluation.mean_words)),
        ("speech a cue", f"{decimal(evaluation.mean_speech_s, 2)} s"),
        ("over the next urgent", f"{overlap.lines} lines, {overlap.total_s:.1f} s, at most {overlap.max_s:.1f} s"),
        ("first heard in time", percent(evaluation.first_heard_in_time)),
        ("last sample in time", percent(evaluation.last_ready_in_time)),
        ("dropped", _counts(evaluation.dropped)),
    ]


def _latency(evaluation: Evaluation) -> Table:
    table = Table(box=None, padding=(0, 2), pad_edge=False)
    table.add_column("latency", style="dim", no_wrap=True)
    for name in ("p50", "p90", "p99", "max", "count"):
        table.add_column(name, justify="right", no_wrap=True)
    for stage, figures in evaluation.percentiles_ms.items():
        times = [milliseconds(figures.get(name)) for name in ("p50", "p90", "p99", "max")]
        table.add_row(stage.replace("_", " "), *times, f"{figures['count']:.0f}")
    return table


def _wording(wording: Wording) -> str:
    return f"{wording.distinct_2:.3f}, {wording.exact_repeats} of {wording.lines} lines"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{cause.replace('_', ' ')} {count}" for cause, count in counts.items()) or "none"

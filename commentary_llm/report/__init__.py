"""What a replay leaves behind to be read: the HTML report, captions, and the figures computed from the records."""

from commentary_llm.ends.vtt import write_vtt
from commentary_llm.report.page import render_report, write_report
from commentary_llm.report.summary import RecordFigures, percentiles, print_summary, summarise

__all__ = [
    "RecordFigures",
    "percentiles",
    "print_summary",
    "render_report",
    "summarise",
    "write_report",
    "write_vtt",
]

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import sample_records, sample_summary

from asr_tts.recognizer.word_error import normalise_words, word_errors
from commentary_llm.ground.errors import OutputError
from commentary_llm.report.page import render_report, write_report
from commentary_llm.report.timeline import build_timeline, elapsed_s
from commentary_llm.report.waterfall import build_cue_chart, nice_step
from commentary_llm.report.word_diff import word_diff
from commentary_llm.session.record import CueRecord, Refusal

_VOID = {"meta", "input", "br", "link", "img"}


class Page(HTMLParser):
    """Collects what the tests ask of a page and checks that every element is closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []
        assert len(self.ids) == len(set(self.ids))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)


def parse_strictly(html: str) -> None:
    html5lib = pytest.importorskip("html5lib")
    html5lib.HTMLParser(strict=True).parse(html)


def test_the_report_is_valid_and_loads_nothing() -> None:
    records = sample_records()
    html = render_report(records, sample_summary(records))
    parse_strictly(html)
    page = Page(html)
    outside = [link for link in page.links if not link.startswith("#")]
    assert {link.partition("#")[0] for link in outside} == {"commentary.wav"}
    assert "url(" not in html
    assert "@import" not in html
    assert "http" not in html.replace("http-equiv", "")
    assert not {"style", "onclick"} & page.attributes  # the page's own policy would block them
    targets = {link[1:] for link in page.links if link.startswith("#")}
    assert targets <= set(page.ids)


def test_every_line_and_figure_is_there() -> None:
    records = sample_records()
    summary = sample_summary(records)
    text = Page(render_report(records, summary)).text
    for record in records:
        assert (record.text if record.dropped is None else f"Not spoken: {record.dropped}") in text
        for refusal in record.refusals:
            assert refusal.text in text
            assert refusal.detail in text
    for expected in (
        "Argentina 3–3 France (4–2 on penalties)",
        "typed in from public facts",
        "125 ms",
        summary.backend,
    ):
        assert expected in text
    for figures in summary.percentiles_ms.values():
        assert f"{figures['count']:.0f}" in text


def test_html_in_names_and_texts_stays_text() -> None:
    evil = "\"><script>alert('x')</script>&amp; </style> N'Golo \x00\x1b"
    records = [
        record.model_copy(
            update=dict.fromkeys(
                ("text", "player", "team", "reason", "source_reason", "heard", "announced", "minute", "score"), evil
            )
            | {"refusals": (Refusal(text=evil, cause=evil, detail=evil),), "urgency": evil, "source": evil}
        )
        for record in sample_records(37)
    ]
    summary = sample_summary(records, title=evil, home=evil, source=evil, dropped={evil: 1}, versions={evil: evil})
    html = render_report(records, summary, audio_name='a "b" <c> #1.wav')
    parse_strictly(html)
    page = Page(html)
    assert page.tags.count("script") == 1
    assert page.tags.count("style") == 1
    assert evil.rstrip("\x00\x1b").rstrip() in page.text
    assert "\x00" not in html
    assert "a%20%22b%22%20%3Cc%3E%20%231.wav" in page.links


def test_without_records() -> None:
    html = render_report([], sample_summary([], percentiles_ms={}, word_error=None, recognizer=None))
    parse_strictly(html)
    text = Page(html).text
    for notice in ("No cues were recorded", "No lines were recorded", "No timings were recorded", "No cue was dropped"):
        assert notice in text


def test_without_sound() -> None:
    records = sample_records()
    page = Page(render_report(records, sample_summary(records), audio_name=None))
    assert "audio" not in page.tags
    assert all(link.startswith("#") for link in page.links)


numbers = st.floats(-1e9, 1e9) | st.sampled_from([0.0, math.nan, math.inf, -math.inf, 1e300])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_numbers_render(data: st.DataObject) -> None:
    base = sample_records(37)
    records = [
        record.model_copy(
            update={
                "stream_s": data.draw(numbers),
                "elapsed_s": data.draw(st.none() | numbers),
                "start_s": data.draw(st.none() | numbers),
                "end_s": data.draw(st.none() | numbers),
                "minute": data.draw(st.sampled_from(["", "45+2", "pens", "?"])),
                "score": data.draw(st.sampled_from(["", "1-0", "0–9", "12-0"])),
                "period": data.draw(st.integers(1, 5)),
                "timings_ms": data.draw(st.dictionaries(st.sampled_from(["queue", "rest", "first_audible"]), numbers)),
            }
        )
        for record in base[: data.draw(st.integers(0, 3))]
    ]
    figures = data.draw(
        st.dictionaries(
            st.sampled_from(["queue", "text", "first_audible", "last_sample", "other"]),
            st.dictionaries(st.sampled_from(["p50", "p90", "p99", "max", "count"]), numbers),
        )
    )
    summary = sample_summary(
        [],
        percentiles_ms=figures,
        word_error=data.draw(st.none() | numbers),
        loudness_lufs=data.draw(numbers),
        true_peak_dbtp=data.draw(numbers),
        wall_s=data.draw(numbers),
        audio_s=data.draw(numbers),
        model_share=data.draw(numbers),
        home=data.draw(st.sampled_from([None, "Argentina"])),
        away=None,
    )
    html = render_report(records, summary)
    Page(html)
    assert not re.search(r'="-?(nan|inf)', html)
    assert not re.search(r">[^<]*\b(nan|inf)\b[^<]*<", html.partition("<body>")[2].partition("<script>")[0])


def test_four_thousand_cues_stay_below_five_megabytes(tmp_path: Path) -> None:
    records = sample_records(4000)
    write_report(records, sample_summary(records), tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 5_000_000


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"nowhere.*--out"):
        write_report([], sample_summary([]), tmp_path / "nowhere" / "report.html")


def test_periods_are_to_scale_and_the_shoot_out_stands_apart() -> None:
    records = sample_records(37)
    timeline = build_timeline(records, "Argentina", "France", [record.event_id for record in records])
    first, second, third, _, shoot_out = timeline.periods
    assert first.width == pytest.approx(second.width)
    assert first.width / third.width == pytest.approx(3170 / 1010)
    assert shoot_out.x + shoot_out.width <= timeline.width
    goals = {icon.index: icon for icon in timeline.icons if icon.symbol == "i-goal"}
    for index, icon in goals.items():
        assert (icon.y > timeline.axis_y) == (records[index].team == "France")
    home, away = timeline.scores
    assert [step.label for step in home.steps] == ["1–0", "2–0", "3–2"]
    assert [step.label for step in away.steps] == ["2–1", "2–2", "3–3"]


def test_icons_of_one_lane_do_not_cover_each_other() -> None:
    records = sample_records(37)
    icons = build_timeline(records, "Argentina", "France", [""] * 37).icons
    places = sorted((icon.y, icon.x) for icon in icons)
    assert all(y != next_y or next_x - x >= 18 for (y, x), (next_y, next_x) in pairwise(places))


@pytest.mark.parametrize(
    ("period", "minute", "seconds"), [(1, "1", 0), (1, "45+2", 2760), (2, "46", 0), (4, "120+1", 900), (1, "?", 0)]
)
def test_time_from_the_minute_shown(period: int, minute: str, seconds: float) -> None:
    record = sample_records(37)[0].model_copy(update={"period": period, "minute": minute, "elapsed_s": None})
    assert elapsed_s(record) == seconds


def test_bars_add_up_and_do_not_leave_the_scale() -> None:
    records = sample_records()
    chart = build_cue_chart(records)
    assert chart is not None
    assert len(chart.bars) == sum(record.dropped is None for record in records)
    scale = (chart.marks[-1].x - chart.marks[0].x) / (len(chart.marks) - 1)
    for bar in chart.bars:
        ends = [segment.x + segment.width for segment in bar.segments]
        assert ends == sorted(ends)
        assert ends[-1] <= chart.marks[-1].x + 1e-6
        assert scale > 0


def test_a_line_shows_when_it_is_beyond_the_target() -> None:
    def one(first_ms: float) -> CueRecord:
        timings = {"queue": first_ms, "first_audible": first_ms}
        return sample_records(37)[0].model_copy(update={"timings_ms": timings, "dropped": None, "text": "Goal!"})

    for first_ms, late in ((124.0, False), (126.0, True)):
        html = render_report([one(first_ms)], sample_summary([one(first_ms)]))
        assert ('<div class="ms late">' in html) == late
        assert f"target 125 ms: {'missed' if late else 'met'}" in html


@given(st.floats(0.01, 1e7), st.integers(1, 12))
def test_nice_steps_cover_the_axis(top: float, most: int) -> None:
    step = nice_step(top, most)
    assert step * most >= top * (1 - 1e-6)
    assert step * most <= top * 2.6


def test_word_diff_marks_what_differs() -> None:
    diff = word_diff("gold for argentina the score Lionel Messi", "Goal for Argentina. The scorer, Lionel Messi.")
    assert [piece.text for piece in diff.heard if piece.wrong] == ["gold", "score"]
    assert [piece.text for piece in diff.announced if piece.wrong] == ["Goal", "scorer"]
    assert math.isclose(diff.error, 2 / 7)
    assert word_diff("", "Goal for France").error == 1
    assert word_diff("number twenty-three julian", "Number 23, Julián").error == 0


one_word_each = st.lists(st.sampled_from(["goal", "Goal,", "for", "Mbappé"]), max_size=8).map(" ".join)


@given(one_word_each, one_word_each)
def test_word_diff_leaves_equal_words_unmarked(heard: str, announced: str) -> None:
    diff = word_diff(heard, announced)
    right = [" ".join(piece.text for piece in side if not piece.wrong) for side in (diff.heard, diff.announced)]
    assert normalise_words(right[0]) == normalise_words(right[1])
    wrong = [" ".join(piece.text for piece in side if piece.wrong).split() for side in (diff.heard, diff.announced)]
    # Each edit marks one word of a side or one of both.
    assert max(map(len, wrong)) <= round(diff.error * max(1, len(announced.split()))) <= sum(map(len, wrong))


words = st.lists(st.sampled_from(["goal", "Goal,", "for", "Mbappé", "no. 10", "—"]), max_size=8).map(" ".join)


@given(words | st.text(max_size=40), words | st.text(max_size=40))
def test_word_diff_keeps_both_texts(heard: str, announced: str) -> None:
    diff = word_diff(heard, announced)
    assert "".join(piece.text for piece in diff.heard) == heard
    assert "".join(piece.text for piece in diff.announced) == announced
    errors, said = word_errors(announced, heard)
    assert diff.error == pytest.approx(errors / max(said, 1))
    assert (diff.error == 0) == (not any(piece.wrong for piece in (*diff.heard, *diff.announced)))

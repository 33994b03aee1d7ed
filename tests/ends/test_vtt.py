from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import sample_records

from commentary_llm.ends.vtt import CUE_ROWS, ROW_CHARACTERS, plain_text, write_vtt
from commentary_llm.ground.errors import OutputError
from commentary_llm.session.record import CueRecord

_TIMING = re.compile(r"(\d\d+):([0-5]\d):([0-5]\d)\.(\d{3}) --> (\d\d+):([0-5]\d):([0-5]\d)\.(\d{3})")
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}


def parse_vtt(text: str) -> tuple[list[str], list[tuple[int, int, list[str]]]]:
    """A strict reader of what W3C WebVTT allows an author to write: notes and (start ms, end ms, rows)."""
    assert "\r" not in text
    assert "\0" not in text
    header, *blocks = text.rstrip("\n").split("\n\n")
    assert header == "WEBVTT"
    notes: list[str] = []
    cues: list[tuple[int, int, list[str]]] = []
    for block in blocks:
        rows = block.split("\n")
        assert all(row.strip() for row in rows), "a blank line would end the block"
        if rows[0].startswith("NOTE "):
            assert "-->" not in block
            notes.append(_unescape(block[5:]))
            continue
        identifier, timing, *payload = rows
        assert "-->" not in identifier
        match = _TIMING.fullmatch(timing)
        assert match, timing
        numbers = [int(each) for each in match.groups()]
        start, end = (
            ((hours * 60 + minutes) * 60 + seconds) * 1000 + thousandths
            for hours, minutes, seconds, thousandths in (numbers[:4], numbers[4:])
        )
        assert payload
        assert "-->" not in "\n".join(payload)
        cues.append((start, end, [_unescape(row) for row in payload]))
    return notes, cues


def _unescape(row: str) -> str:
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", row), f"unescaped: {row}"
    return re.sub(r"&\w+;", lambda match: _ENTITIES[match.group()], row)


def record(text: str, start_s: float | None, end_s: float | None) -> CueRecord:
    return sample_records(37)[0].model_copy(update={"text": text, "start_s": start_s, "end_s": end_s})


def check_cues(cues: list[tuple[int, int, list[str]]]) -> None:
    free = 0
    for start, end, rows in cues:
        assert free <= start < end
        assert len(rows) <= CUE_ROWS
        assert all(0 < len(row) <= ROW_CHARACTERS for row in rows)
        free = end


times = st.floats(0, 20_000, allow_nan=False)
spoken = st.lists(
    st.tuples(st.text(max_size=300) | st.from_regex(r"([A-Z<&>][a-zé\-]{0,60}[ ,.!\n]){1,30}"), times, st.floats(0, 30))
)


@settings(max_examples=100, deadline=None)
@given(lines=spoken, title=st.none() | st.text(max_size=60))
def test_captions_are_strict_webvtt_and_keep_every_word(
    lines: list[tuple[str, float, float]], title: str | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    out = tmp_path_factory.mktemp("vtt") / "captions.vtt"
    write_vtt([record(text, start, start + length) for text, start, length in lines], out, title=title)
    notes, cues = parse_vtt(out.read_text(encoding="utf-8"))
    check_cues(cues)
    assert notes == ([plain_text(title)] if title and plain_text(title) else [])
    said = "".join("".join(rows) for _, _, rows in cues).replace(" ", "")
    in_order = sorted(lines, key=lambda line: (line[1], line[1] + line[2]))
    assert said == "".join(plain_text(text) for text, _, _ in in_order).replace(" ", "")


def test_a_long_line_is_split_in_proportion(tmp_path: Path) -> None:
    text = " ".join(["Messi"] * 50)  # 299 characters: four captions
    write_vtt([record(text, 10.0, 20.0)], tmp_path / "c.vtt")
    _, cues = parse_vtt((tmp_path / "c.vtt").read_text(encoding="utf-8"))
    check_cues(cues)
    assert (cues[0][0], cues[-1][1]) == (10_000, 20_000)
    assert len(cues) == 4
    total = sum(len(row) for _, _, rows in cues for row in rows)
    for start, end, rows in cues:
        assert end - start == pytest.approx(10_000 * sum(map(len, rows)) / total, abs=2)


def test_two_rows_are_about_equally_long(tmp_path: Path) -> None:
    write_vtt([record("Goal! Di María! What a move from back to front, two nil!", 0.0, 4.0)], tmp_path / "c.vtt")
    _, [(_, _, rows)] = parse_vtt((tmp_path / "c.vtt").read_text(encoding="utf-8"))
    assert rows == ["Goal! Di María! What a move", "from back to front, two nil!"]


def test_dropped_cues_and_unknown_times_have_no_caption(tmp_path: Path) -> None:
    write_vtt(
        [record("", None, None), record("Said?", None, 2.0), record("NaN", float("nan"), 2.0)], tmp_path / "c.vtt"
    )
    assert parse_vtt((tmp_path / "c.vtt").read_text(encoding="utf-8")) == ([], [])


def test_a_whole_match(tmp_path: Path) -> None:
    records = sample_records()
    write_vtt(records, tmp_path / "c.vtt", title="Argentina 3-3 France --> <live>")
    notes, cues = parse_vtt((tmp_path / "c.vtt").read_text(encoding="utf-8"))
    check_cues(cues)
    assert notes == ["Argentina 3-3 France --> <live>"]
    first = next(each for each in records if each.start_s is not None)
    assert first.start_s is not None
    assert cues[0][0] == round(first.start_s * 1000)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "captions.vtt"
    out.write_text("old", encoding="utf-8")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match=r"captions\.vtt: No space left on device"):
        write_vtt(sample_records(37), out)
    assert out.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [out]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nowhere"):
        write_vtt([], tmp_path / "nowhere" / "captions.vtt")

"""The definitions of figures: whose latency counts where, what counts against the model, what is above a bar."""

from __future__ import annotations

import pytest

from benchmarks.figures import CueSeen, beside, figures, latencies, model_share


def cue(number: int, accepted_s: float, **fields: object) -> CueSeen:
    """A cue of 2 s that was ready after 10 ms and handed over after 40, unless told otherwise."""
    given = {
        "match": 0,
        "asked": True,
        "ready_s": accepted_s + 0.010,
        "handed_s": accepted_s + 0.040,
        "ended_s": accepted_s + 2.0,
        "source": "model",
        "words": 9,
        "words_after_opener": 6,
        **fields,
    }
    return CueSeen(event_id=f"e{number}", accepted_s=accepted_s, **given)  # type: ignore[arg-type]


def test_whether_the_voice_was_free_is_told_from_what_came_before() -> None:
    found = latencies(
        [
            cue(1, 0.0),
            cue(2, 1.0, handed_s=2.2, ended_s=4.0),  # waits for the first
            cue(3, 3.0, urgent=True, handed_s=3.3, ended_s=6.0),  # cuts in
            cue(4, 6.5),
            cue(5, 7.0, match=1),  # another match's voice
        ]
    )
    assert found.ready == pytest.approx([0.010] * 5)
    assert found.free == pytest.approx([0.040, 0.040, 0.040])
    assert found.waiting == pytest.approx([1.2])
    assert found.urgent == pytest.approx([0.3])


def test_a_line_that_is_still_to_sound_keeps_the_voice_busy() -> None:
    # Accepted and not heard before the goal: the goal's voice is not free, though there was silence.
    late = cue(1, 0.0, ready_s=0.9, handed_s=0.95, ended_s=3.0)
    goal = cue(2, 0.5, urgent=True, handed_s=0.6)
    assert latencies([late, goal]).urgent == pytest.approx([0.1])


def test_dropped_cues_keep_the_voice_busy_until_they_are_given_up_and_have_no_latency() -> None:
    dropped = cue(1, 0.0, ready_s=None, handed_s=None, ended_s=0.2, source="none", dropped="stale")
    found = latencies([dropped, cue(2, 0.1), cue(3, 5.0)])
    assert len(found.ready) == 2
    assert (len(found.free), len(found.waiting)) == (1, 1)
    assert latencies([cue(1, 0.0, skipped="pacing"), cue(2, 0.1)]).free == pytest.approx([0.040])


def test_what_is_left_out_of_the_count_still_keeps_the_voice_busy() -> None:
    found = latencies([cue(1, 0.0), cue(2, 1.0)], lambda one: one.accepted_s >= 1.0)
    assert (len(found.ready), len(found.free), len(found.waiting)) == (1, 0, 1)


def test_dropped_and_silent_cues_count_against_the_model_where_a_call_was_asked_for() -> None:
    model, template = cue(1, 0.0), cue(2, 3.0, source="template")
    opener = cue(3, 6.0, source="opener")  # nobody went on
    dropped = cue(4, 9.0, handed_s=None, source="none", dropped="superseded")
    silent = cue(5, 12.0, handed_s=None)  # written, and nobody heard it
    talk = cue(6, 15.0, asked=False)
    dropped_talk = cue(7, 18.0, asked=False, handed_s=None, dropped="stale")
    skipped = cue(8, 21.0, skipped="another corner so soon")
    assert model_share([model, template]) == 0.5
    assert model_share([model, template, opener]) == 0.3333
    assert model_share([model, dropped]) == 0.5
    assert model_share([model, silent]) == 0.5
    assert model_share([model, talk, dropped_talk, skipped]) == 1.0
    assert model_share([]) is None


def test_all_figures_of_a_run() -> None:
    cues = [cue(n, n * 4.0, match=n % 2) for n in range(100)]
    cues += [
        cue(100, 400.0, source="template", words_after_opener=3, cut_off=True),
        cue(101, 404.0, match=1, ready_s=404.2, handed_s=404.3),
        cue(102, 408.0, ready_s=None, handed_s=None, ended_s=408.1, source="none", dropped="stale"),
        cue(103, 412.0, match=1, handed_s=None, source="none"),
        cue(104, 416.0, skipped="the goal still rings"),
        cue(105, 420.0, asked=False, skipped="pacing"),
    ]
    found = figures(cues, 500.0)
    assert (found["events"], found["cues"], found["spoken"], found["samples"]) == (106, 104, 102, 103)
    assert found["first_audible_p50_ms"] == pytest.approx(40, abs=0.01)
    assert found["urgent_p99_ms"] is None
    assert found["first_audible_urgent_voice_speaking"] == {"count": 0}
    assert found["model_share"] == round(101 / 104, 4)
    assert found["model_share_by_words"] == round(606 / 609, 4)
    assert found["told_share"] == round(102 / 105, 4)
    assert found["dropped"] == {"stale": 1, "never heard": 1}
    assert found["skipped"] == {"the goal still rings": 1}
    assert found["sources"] == {"model": 101, "template": 1}
    assert found["cut"] == 1
    assert found["cues_per_s"] == round(102 / 500, 3)
    # One late line in a hundred: its own match is above the bar, all together are not.
    assert found["worst_match"]["first_ready_p99_ms"] > found["first_ready_p99_ms"]
    assert found["worst_match"]["urgent_p99_ms"] is None
    assert found["model_share_by_match"]["least"] < found["model_share"] < found["model_share_by_match"]["most"]
    assert found["above_bars"] == []


def test_nothing_at_all_has_no_figures() -> None:
    found = figures([], 60.0)
    assert found["samples"] == 0
    assert found["first_ready_p99_ms"] is None
    assert found["model_share"] is None
    assert found["model_share_by_match"] is None
    assert found["worst_match"]["first_ready_p99_ms"] is None


def test_the_others_are_judged_in_the_time_it_took_and_match_by_match() -> None:
    cues = [cue(n, n * 4.0, match=n % 3) for n in range(90)]
    cues += [
        cue(90, 100.0, match=1, ready_s=100.5, handed_s=100.5),  # hit by it
        cue(91, 400.0, match=2, ready_s=401.0),  # afterwards
        cue(92, 101.0, match=3, ready_s=105.0),  # the one that opens
    ]
    found = beside(cues, 3, 50.0, 150.0)
    assert found["seconds"] == 100.0
    assert found["first_ready"]["max_ms"] == pytest.approx(500)
    assert found["matches_above_a_bar"] == [1]
    assert beside(cues, 3, 110.0, 150.0)["matches_above_a_bar"] == []

from __future__ import annotations

import threading

import prometheus_client
from prometheus_client.parser import text_string_to_metric_families

from commentary_llm.ground.metrics import KEPT_CLOSED, GroupMetrics, Metrics


def shown(group: GroupMetrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What a scrape would read: (name, labels) -> value."""
    text = prometheus_client.generate_latest(group.registry).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_each_match_counts_for_itself() -> None:
    group = GroupMetrics()
    first, second = group.open_match("a"), group.open_match("b")
    first.count("dropped", "stale")
    first.count("dropped", "stale", 2)
    second.count("dropped", "superseded")
    assert first.of("dropped") == {"stale": 3}
    assert second.of("dropped") == {"superseded": 1}
    assert first.of("events") == {}
    assert shown(group)["commentary_dropped_total", (("cause", "stale"), ("match", "a"))] == 3


def test_a_reopened_match_starts_at_zero() -> None:
    group = GroupMetrics()
    first, other = group.open_match("a"), group.open_match("b")
    for metrics in (first, other):
        metrics.count("cues", "model")
        metrics.observe_ms({"first_audible": 90.0})
    group.close_match("a")
    assert first.of("cues") == {"model": 1}  # for the report at its end
    assert group.open_match("a").of("cues") == {}
    assert {dict(labels).get("match") for _, labels in shown(group)} == {"b"}
    assert other.of("cues") == {"model": 1}


def test_series_of_closed_matches_do_not_pile_up() -> None:
    group = GroupMetrics()
    for number in range(3 * KEPT_CLOSED):
        group.open_match(str(number)).count("cues", "model")
        if number:
            group.close_match(str(number))
    matches = {int(dict(labels)["match"]) for _, labels in shown(group)}
    assert matches == {0, *range(2 * KEPT_CLOSED, 3 * KEPT_CLOSED)}


def test_latencies_have_edges_at_the_bars() -> None:
    group = GroupMetrics()
    metrics = group.open_match("a")
    metrics.observe_ms({"first_audible": 124.0, "text": 31.0})
    metrics.observe_ms({"first_audible": 149.0})
    edges = {
        float(dict(labels)["le"]): value
        for (name, labels), value in shown(group).items()
        if name == "commentary_latency_seconds_bucket" and dict(labels)["span"] == "first_audible"
    }
    assert {0.025, 0.05, 0.1, 0.125, 0.15, 0.2} <= set(edges)
    assert (edges[0.1], edges[0.125], edges[0.15]) == (0, 1, 2)


def test_a_choice_takes_the_place_of_the_one_before() -> None:
    group = GroupMetrics()
    group.choose("backend", "torch")
    group.choose("backend", "tensorrt_llm")
    chosen = [labels for name, labels in shown(group) if name == "commentary_choice_info"]
    assert chosen == [(("value", "tensorrt_llm"), ("what", "backend"))]


def test_nothing_goes_to_the_process_wide_registry() -> None:
    group = GroupMetrics()
    group.open_match("a").count("events", "accepted")
    assert b"commentary_" not in prometheus_client.generate_latest()
    assert GroupMetrics().open_match("a").of("events") == {}


def test_threads_lose_no_count() -> None:
    metrics = Metrics()

    def work() -> None:
        for _ in range(500):
            metrics.count("cues", "model")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert metrics.of("cues") == {"model": 4000}

"""Dense feeds: every event fits its match, they are as dense as promised, and no two matches share a name's word."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.feeds import MAX_MINUTES, TELLABLE, Feed, FeedMaker, make_feeds, name_words
from commentary_llm.cue.cue import Urgency
from commentary_llm.cue.facts import facts_of
from commentary_llm.cue.rules import rule_for
from commentary_llm.ground.errors import ConfigError
from commentary_llm.match import EventType, MatchState
from commentary_llm.match.match import Arrival, Match


def names_of(feed: Feed) -> list[str]:
    teams = (feed.info.home, feed.info.away)
    return [team.name for team in teams] + [player.name for team in teams for player in team.players]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), minutes=st.floats(0.5, 60))
def test_every_event_is_taken_in_its_order(seed: int, minutes: float) -> None:
    feed = FeedMaker(seed).feed(minutes)
    match = Match(feed.info)
    for timed in feed.events:
        accepted = match.accept(timed.event)  # raises what would be refused
        assert accepted.kind is Arrival.NEW
    times = [timed.at_s for timed in feed.events]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] < minutes * 60
    assert all(7 <= len(players) <= 11 for players in match.state.on_pitch.values())


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_eight_events_a_minute_are_tellable(seed: int) -> None:
    feed = FeedMaker(seed).feed(10)
    told = [timed.at_s for timed in feed.events if timed.event.type in TELLABLE]
    by_minute = Counter(int(at_s // 60) for at_s in told)
    assert set(by_minute) == set(range(10))
    assert set(by_minute.values()) <= {7, 8, 9}
    assert 80 <= len(told) <= 81
    gaps = [after - before for before, after in pairwise(told)]
    assert max(gaps) < 22.5
    assert len({round(gap, 1) for gap in gaps}) > 20  # no beat


def test_what_is_tellable_has_a_line_and_urgent_ones_come_often() -> None:
    urgencies: Counter[Urgency] = Counter()
    kinds: Counter[EventType] = Counter()
    for feed in make_feeds(8, 45):
        state = MatchState.initial(feed.info)
        for timed in feed.events:
            state = state.apply(timed.event)
            if timed.event.type in TELLABLE:
                rule = rule_for(facts_of(timed.event, state))
                assert rule is not None
                urgencies[rule.urgency] += 1
                kinds[timed.event.type] += 1
    assert set(kinds) == set(TELLABLE) - {EventType.PERIOD_END}
    assert 0.15 <= urgencies[Urgency.URGENT] / urgencies.total() <= 0.3
    assert kinds[EventType.SHOT] > kinds[EventType.FOUL] > kinds[EventType.OFFSIDE]


def test_many_urgent_events_come_while_a_line_is_likely_to_be_said() -> None:
    urgent, soon = 0, 0
    for feed in make_feeds(8, 45):
        state, told_s = MatchState.initial(feed.info), float("-inf")
        for timed in feed.events:
            state = state.apply(timed.event)
            if timed.event.type in TELLABLE:
                rule = rule_for(facts_of(timed.event, state))
                assert rule is not None
                if rule.urgency is Urgency.URGENT:
                    urgent += 1
                    soon += timed.at_s - told_s <= 2.5
                told_s = timed.at_s
    assert 0.3 <= soon / urgent <= 0.6


def test_the_second_half_starts_a_new_clock() -> None:
    feed = FeedMaker(3).feed(60)
    periods = [timed.event.period for timed in feed.events]
    assert periods == sorted(periods)
    assert set(periods) == {1, 2}
    assert sum(timed.event.type is EventType.PERIOD_END for timed in feed.events) == 1
    second = [timed for timed in feed.events if timed.event.period == 2]
    assert second[0].event.type is EventType.PERIOD_START
    assert second[0].event.elapsed_s < 15
    assert second[-1].event.elapsed_s > 60 * 13


def test_no_word_of_a_name_stands_in_two_matches() -> None:
    feeds = make_feeds(16, 1)
    words = [word for feed in feeds for name in names_of(feed) for word in name_words(name)]
    assert len(words) == len(set(words))  # not within a match either
    assert min(map(len, words)) >= 4
    for feed in feeds:
        assert all(len(name_words(name)) == len(name.split()) for name in names_of(feed))
        assert sum(player.position == "goalkeeper" for player in feed.info.home.players) == 2
    assert len({feed.info.id for feed in feeds}) == 16


def test_the_same_seed_makes_the_same_feeds_however_many() -> None:
    few, many = make_feeds(2, 5, seed=7), make_feeds(4, 5, seed=7)
    assert few == many[:2]
    assert make_feeds(1, 5, seed=8)[0] != few[0]
    assert len({feed.events for feed in many}) == 4


def test_a_salted_match_is_another_one_with_names_of_its_own() -> None:
    plain, salted = FeedMaker(1), FeedMaker(1)
    first = (plain.feed(1), salted.feed(1))
    assert first[0] == first[1]
    second = (plain.feed(1), salted.feed(1, salt="x"))
    assert second[0].info.id != second[1].info.id
    assert not set(names_of(second[0])) & set(names_of(second[1]))


@pytest.mark.parametrize("minutes", [0, -1, MAX_MINUTES + 1, float("nan")])
def test_impossible_lengths_are_refused(minutes: float) -> None:
    with pytest.raises(ConfigError, match="a feed of"):
        FeedMaker().feed(minutes)


def test_no_more_matches_than_there_are_names() -> None:
    with pytest.raises(ConfigError, match="no names are left"):
        make_feeds(500, 0.1)
    assert len(make_feeds(48, 0.1)) == 48

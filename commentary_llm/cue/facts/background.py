"""What the event builds on: the tracker's note, events just before it, kicks of the shoot-out, the competition."""

from __future__ import annotations

import re

from commentary_llm.cue.facts.draft import Draft
from commentary_llm.cue.facts.keys import player_key, team_key
from commentary_llm.cue.facts.match_time import match_seconds
from commentary_llm.match import EventType, MatchEvent, MatchInfo, ShotOutcome, VarDecision

_REVIEWED_S = 300.0  # a check speaks of a goal or penalty this long ago at most
_LED_TO_S = 30.0  # a foul this long before a penalty is the one it was given for
_KICKS_EACH = 5
# How it was done, where the tracker's note says so in plain words; a note that denies anything is left alone.
_NOTED = {
    "volley": r"\b(half-)?volley",
    "deflected": r"\bdeflect",
    "rebound": r"\brebound",
    "handball": r"\bhandball|\bhandled",
    "near_post": r"\bnear post",
    "far_post": r"\bfar post",
    "top_corner": r"\btop (left |right )?corner",
    "bottom_corner": r"\bbottom (left |right )?corner",
    "chipped": r"\bchip",
    "lobbed": r"\blob",
    "curled": r"\bcurl",
    "tipped_over": r"\btipped over|\btips it over",
    "one_on_one": r"\bone on one|\bthrough on goal",
    "hand_to_it": r"\b(a|one) hand to it|fingertips",
    "straight_at": r"\bstraight at",
    "diving_header": r"\bdiving head",
    "dissent": r"\bdissent|\barguing",
    "time_wasting": r"\btime.wasting",
}
# Only of a foul or a card: elsewhere a dive is a way to score or to save.
_PUNISHED = re.compile(r"\bdiving\b(?! (head|in\b|tackle|save))|\bfor a dive|\bsimulation", re.IGNORECASE)
_DENIAL = re.compile(r"\b(no|not|never|without|nearly|almost)\b", re.IGNORECASE)


def add_background(draft: Draft) -> None:
    """Flags and roles from outside the event itself."""
    _add_note(draft)
    _add_deeds(draft)
    _add_causes(draft)
    _add_shootout(draft)
    _add_competition(draft, draft.state.info)
    for goal in draft.state.goals:
        if goal.player is not None and not goal.own_goal:
            draft.roles["has_scored"].add(player_key(goal.player))
    if any(key.startswith("p:") for key in draft.roles.get("fouled", ())):
        draft.flags.add("has_fouled")


def _add_note(draft: Draft) -> None:
    note = draft.event.note or ""
    if not _DENIAL.search(note):
        draft.flags |= {flag for flag, pattern in _NOTED.items() if re.search(pattern, note, re.IGNORECASE)}
        if draft.event.type in (EventType.CARD, EventType.FOUL) and _PUNISHED.search(note):
            draft.flags.add("for_diving")


def _add_deeds(draft: Draft) -> None:
    """`again_shooter`, `again_keeper`: the same man had a shot or a save among the last events worth telling."""
    event = draft.event
    keeper = event.player if event.type is EventType.SAVE else event.goalkeeper
    for past in draft.state.recent:
        if past.event_id == event.event_id or match_seconds(past) > match_seconds(event):
            continue
        if event.player is not None and past.player == event.player and past.type in (EventType.SHOT, EventType.GOAL):
            draft.flags.add("again_shooter")
        saver = past.player if past.type is EventType.SAVE else past.goalkeeper
        saved = past.type is EventType.SAVE or past.outcome is ShotOutcome.SAVED
        if keeper is not None and saver == keeper and saved:
            draft.flags.add("again_keeper")
        if past.type is EventType.INJURY and event.player is not None and past.player == event.player:
            draft.flags.add("after_injury")


def _add_causes(draft: Draft) -> None:
    """The foul behind a penalty, the goal or penalty behind a review."""
    event, now_s = draft.event, match_seconds(draft.event)
    for past in reversed(draft.state.recent):
        ago_s = now_s - match_seconds(past)
        if past.event_id == event.event_id or ago_s < 0:
            continue
        if event.type is EventType.PENALTY_AWARDED and past.type is EventType.FOUL and ago_s <= _LED_TO_S:
            if past.team != draft.side:
                draft.role("fouler", past.player, past.team)
                draft.role("fouled", past.opponent)
            break
        if event.type not in (EventType.VAR_REVIEW, EventType.VAR_DECISION) or ago_s > _REVIEWED_S:
            continue
        if _is_reviewed(event, past):
            kind = {EventType.GOAL: "goal", EventType.PENALTY_AWARDED: "penalty"}.get(past.type, "card")
            draft.flags.add(f"{kind}_reviewed")
            draft.role("reviewed", past.player, past.team)
            break


def _is_reviewed(review: MatchEvent, past: MatchEvent) -> bool:
    if review.cancels is not None:
        return past.event_id == review.cancels
    if review.decision in (VarDecision.GOAL_STANDS, VarDecision.GOAL_DISALLOWED):
        return past.type is EventType.GOAL
    if review.decision in (VarDecision.PENALTY_STANDS, VarDecision.PENALTY_CANCELLED):
        return past.type is EventType.PENALTY_AWARDED
    if review.decision is VarDecision.CARD_RESCINDED:
        return past.type is EventType.CARD
    return past.type in (EventType.GOAL, EventType.PENALTY_AWARDED)


def _add_shootout(draft: Draft) -> None:
    """`shootout_won` and its `winner` once no kick can change it; `first_miss`; what comes after a level extra time."""
    event, state, flags = draft.event, draft.state, draft.flags
    if event.type is EventType.PERIOD_END and event.period == 4 and "level" in flags:
        flags.add("shootout_next")
    if event.period != 5 or not state.kicks or state.shootout is None:
        return
    home, away = state.info.home.id, state.info.away.id
    taken = {side: sum(kick.team == side for kick in state.kicks) for side in (home, away)}
    scored = {home: state.shootout.home, away: state.shootout.away}
    if event.type is EventType.GOAL and len(state.kicks) == 1:
        flags.add("first_kick")
    if event.type is EventType.SHOT and sum(not kick.scored for kick in state.kicks) == 1:
        flags.add("first_miss")
    for side, other in ((home, away), (away, home)):
        left = max(_KICKS_EACH - taken[other], taken[side] - taken[other], 0)
        if scored[side] > scored[other] + left:
            flags.add("shootout_won")
            draft.roles["winner"].add(team_key(side))
            draft.roles["loser"].add(team_key(other))
            if event.type is EventType.GOAL and draft.side == side:
                draft.role("decider", event.player, side)


def _add_competition(draft: Draft, info: MatchInfo) -> None:
    words = (info.stage or "").lower().replace("-", " ").split()
    if words[-1:] == ["final"] and not {"semi", "quarter"} & set(words):
        draft.flags.add("is_final")
    competition = (info.competition or "").lower()
    if "world cup" in competition and "club" not in competition:
        draft.flags.add("world_cup")

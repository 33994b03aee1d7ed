"""What happened and who had which part in it."""

from __future__ import annotations

import re

from commentary_llm.cue.facts.draft import Draft
from commentary_llm.cue.facts.keys import player_key
from commentary_llm.cue.facts.match_time import match_seconds
from commentary_llm.match import BodyPart, CardType, EventType, ShotOutcome, VarDecision

_BODY = {
    BodyPart.HEAD: "header",
    BodyPart.LEFT_FOOT: "left_foot",
    BodyPart.RIGHT_FOOT: "right_foot",
}
_TOGETHER_S = 30.0  # changes at one stoppage; the board is shown for each


def add_incident(draft: Draft) -> None:
    """Flags of the event itself and the roles of those in it."""
    event, flags = draft.event, draft.flags
    draft.role("actor", event.player, draft.side)
    draft.role("side", None, draft.side)
    draft.role("other", None, draft.other(draft.side))
    if event.situation is not None:
        flags.add(f"from_{event.situation.value}")
    if event.body_part in _BODY:
        flags.add(_BODY[event.body_part])
    kind = event.type
    if kind in (EventType.GOAL, EventType.SHOT):
        _add_attempt(draft)
    elif kind is EventType.OWN_GOAL:
        flags.add("scored")
        draft.role("unlucky", event.player, draft.side)
        draft.role("credited", None, draft.other(draft.side))
        draft.role("conceding", None, draft.side)
    elif kind is EventType.SAVE:
        draft.role("keeper", event.player, draft.side)
        draft.role("shooter", event.opponent)
        draft.roles["keeper"].add("k")
    elif kind is EventType.CARD:
        _add_card(draft)
    elif kind is EventType.SUBSTITUTION:
        _add_substitution(draft)
    elif kind in (EventType.FOUL, EventType.TACKLE, EventType.INTERCEPTION):
        draft.role("winner_of_ball" if kind is not EventType.FOUL else "fouler", event.player, draft.side)
        draft.role("loser_of_ball" if kind is not EventType.FOUL else "fouled", event.opponent, draft.other(draft.side))
    elif kind is EventType.PASS:
        draft.role("passer", event.player, draft.side)
        draft.role("receiver", event.receiver, draft.side)
        if event.completed is not False and event.receiver is not None:
            flags.add("completed")
            draft.role("receiver_done", event.receiver, draft.side)
    elif kind is EventType.DRIBBLE:
        draft.role("dribbler", event.player, draft.side)
        draft.role("beaten", event.opponent, draft.other(draft.side))
    elif kind in (EventType.VAR_REVIEW, EventType.VAR_DECISION) and event.decision is not None:
        flags.add(event.decision.value)
        if event.decision in (
            VarDecision.GOAL_DISALLOWED,
            VarDecision.PENALTY_CANCELLED,
            VarDecision.CARD_RESCINDED,
        ):
            flags.add("overturned")
    elif kind is EventType.STOPPAGE_TIME and event.minutes_added == 1:
        flags.add("one_minute_added")
    if event.completed is not None:
        flags.add("completed" if event.completed else "incomplete")
    for name in ("player", "assist", "goalkeeper", "opponent", "receiver", "player_on", "team", "formation"):
        if getattr(event, name) is not None:
            flags.add(f"has_{name}")
    if kind in (EventType.PASS, EventType.CARRY, EventType.DRIBBLE):
        draft.role("defending", None, draft.other(draft.side))
    if kind is EventType.FOUL:
        draft.role("side_fk", None, draft.other(draft.side))
    if kind is EventType.OFFSIDE:
        draft.role("side_fk", None, draft.other(draft.side))
    if kind in (EventType.FREE_KICK, EventType.SHOT, EventType.GOAL, EventType.PASS):
        draft.role("actor_fk", event.player, draft.side)
        draft.role("side_fk", None, draft.side)
    if kind is EventType.GOAL_KICK:
        draft.role("keeper_side", event.player, draft.side)
    if _is_keeper(draft, event.player):
        draft.roles["keeper_actor"].add("k")
    _add_focus(draft)


def _add_focus(draft: Draft) -> None:
    """Players that may be named without a claim: the event is about them."""
    event = draft.event
    focus = {event.player, event.player_on}
    if event.type is EventType.SAVE or event.outcome is ShotOutcome.SAVED:
        focus.add(event.goalkeeper)
        draft.roles["focus"].add("k")
    if event.type is EventType.PASS and "completed" in draft.flags:
        focus.add(event.receiver)
    draft.roles["focus"] |= {player_key(player) for player in focus if player is not None} | draft.roles["keeper_actor"]
    for player in {*draft.roles["on"], *draft.roles["off"]}:
        if player.startswith("p:"):
            draft.roles["focus"].add(player)
    draft.roles["anyone"] = set().union(*draft.roles.values())


def _is_keeper(draft: Draft, player_id: str | None) -> bool:
    if player_id is None:
        return False
    return "keeper" in (draft.state.player(player_id).position or "").lower()


def _add_attempt(draft: Draft) -> None:
    event, flags = draft.event, draft.flags
    flags.add("attempt")
    draft.role("shooter", event.player, draft.side)
    draft.role("keeper", event.goalkeeper, draft.other(draft.side))
    if event.player is not None:
        draft.roles["denied"].add(player_key(event.player))
    draft.roles["keeper"].add("k")
    draft.role("assister", event.assist)
    draft.role("blocker", event.opponent if event.outcome is ShotOutcome.BLOCKED else None, draft.other(draft.side))
    if event.period == 5:
        flags.add("kick")
    if event.type is EventType.GOAL:
        flags.add("scored")
        flags.add("kick_scored" if event.period == 5 else "open_goal")
        draft.role("scorer", event.player, draft.side)
        draft.role("credited", None, draft.side)
        draft.role("conceding", None, draft.other(draft.side))
    else:
        flags.add("no_goal")
        if event.outcome is not None:
            flags.add(event.outcome.value)
        # The outcome does not tell over from wide; a tracker's note may.
        note = (event.note or "").lower()
        if event.outcome is ShotOutcome.OFF_TARGET and re.search(r"\b(over|high)\b", note):
            flags.add("over")
        if event.outcome is ShotOutcome.OFF_TARGET and re.search(r"\bwide\b", note):
            flags.add("wide")
        if event.period == 5:
            flags.add("kick_missed")


def _add_card(draft: Draft) -> None:
    event = draft.event
    draft.role("booked", event.player, draft.side)
    # The state knows better than the tracker: a second yellow may come as a plain one.
    booking = next(
        (b for b in reversed(draft.state.cards) if event.event_id in (b.event_id, *b.merged)),
        None,
    )
    card = booking.card if booking is not None else event.card
    assert card is not None, "a card event has a card"
    draft.flags.add(card.value)
    if event.player is not None and draft.side is not None and card is CardType.YELLOW:
        pitch = draft.state.on_pitch.get(draft.side, frozenset())
        if event.player not in pitch:
            draft.flags.add("off_pitch")
    if card in (CardType.RED, CardType.SECOND_YELLOW):
        draft.flags.add("sent_off")
        draft.role("sent_off", event.player, draft.side)
    if len(draft.state.cards) == 1:
        draft.flags.add("first_card")
    draft.role("fouled", event.opponent)


def _add_substitution(draft: Draft) -> None:
    event = draft.event
    draft.role("off", event.player, draft.side)
    draft.role("on", event.player_on, draft.side)
    now_s = match_seconds(event)
    same = [
        sub
        for sub in draft.state.recent
        if sub.type is EventType.SUBSTITUTION
        and (sub.team or "") == (event.team or "")
        and abs(match_seconds(sub) - now_s) <= _TOGETHER_S
        and sub.event_id != event.event_id
    ]
    if same:
        draft.flags.add("double_substitution" if len(same) == 1 else "many_substitutions")
        if len(same) == 2:
            draft.flags.add("triple_substitution")
    for sub in same:
        draft.role("off", sub.player, sub.team)
        draft.role("on", sub.player_on, sub.team)
    draft.replaced = {
        player_key(sub.player_on): player_key(sub.player)
        for sub in (*same, event)
        if sub.player is not None and sub.player_on is not None
    }

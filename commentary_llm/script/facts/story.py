"""What the event means: score, goals so far, what led to it."""

from __future__ import annotations

from commentary_llm.match import EventType, ShotOutcome, Team
from commentary_llm.script.facts.draft import Draft
from commentary_llm.script.facts.match_time import match_seconds
from commentary_llm.script.names import team_key

_RELATED_S = 20.0  # an event this long ago may still be spoken of: the save before the corner
_MARGINS = {1: "margin_1", 2: "margin_2", 3: "margin_3"}


def add_score(draft: Draft) -> None:
    state, flags = draft.state, draft.flags
    event = draft.event
    kick = event.period == 5 and event.type in (EventType.GOAL, EventType.SHOT)
    # While kicks are taken "lead" and "level" mean the shoot-out.
    pair = state.shootout if kick and state.shootout is not None else state.score
    home, away = pair.home, pair.away
    flags.add("level" if home == away else "has_leader")
    if home == away == 0 and not kick:
        flags.add("goalless")
    if home != away:
        margin = abs(home - away)
        flags.add(_MARGINS.get(margin, "margin_more"))
        ahead, behind = (state.info.home, state.info.away) if home > away else (state.info.away, state.info.home)
        draft.roles["leader"].add(team_key(ahead.id))
        draft.roles["trailer"].add(team_key(behind.id))
        if draft.side is not None:
            flags.add("side_leads" if draft.side == ahead.id else "side_trails")
    else:
        draft.roles["level"] |= {team_key(state.info.home.id), team_key(state.info.away.id)}
    for team in (state.info.home, state.info.away):
        _add_men(draft, team)
    if state.shootout is not None:
        flags.add("has_shootout")
    if draft.event.type is EventType.MATCH_END:
        winner = state.winner()
        if winner is None:
            flags.add("drawn")
        else:
            flags.add("won")
            draft.roles["winner"].add(team_key(winner))
            draft.roles["loser"].add(team_key(state.opponent_of(winner).id))
            if home == away:
                flags.add("won_on_penalties")


def _add_men(draft: Draft, team: Team) -> None:
    gone = sum(1 for player in draft.state.sent_off if draft.state.team_of(player).id == team.id)
    if gone == 1:
        draft.flags.add("ten_men")
        draft.roles["ten_men"].add(team_key(team.id))
    if gone:
        draft.flags.add("short_handed")
        draft.roles["short_handed"].add(team_key(team.id))


def add_goal_story(draft: Draft) -> None:
    """What a goal meant: equaliser, opener, comeback, hat-trick, …"""
    event, state, flags = draft.event, draft.state, draft.flags
    if event.type not in (EventType.GOAL, EventType.OWN_GOAL) or event.period == 5 or not state.goals:
        return
    context = state.goal_context(event.event_id)
    if context is None:
        return
    flags.add("match_goal")
    credited = context.goal.team
    at_home = credited == state.info.home.id
    after = (context.after.home - context.after.away) * (1 if at_home else -1)
    earlier = state.goals[: state.goals.index(context.goal)]
    margins = [0]
    for goal in earlier:
        margins.append(margins[-1] + (1 if goal.team == credited else -1))
    if context.opener:
        flags.add("opener")
    if after == 0:
        flags.add("equaliser")
    if after == 1:
        flags.add("takes_lead")
        draft.role("takes_scorer", event.player if event.type is EventType.GOAL else None, credited)
        if max(margins) >= 1:
            flags.add("restores_lead")
    if after >= 2:
        flags.add("extends_lead")
        draft.role("takes_scorer", None, credited)
    if after < 0:
        flags.add("pulls_back")
        if after == -1:
            flags.add("halves_deficit")
    if context.deficit_overcome >= 2 and after == 0:
        flags.add("from_two_down")
    if context.deficit_overcome and after >= 1 and max(margins) <= 0:
        flags.add("turnaround")
    if context.deficit_overcome:
        flags.add("came_back")
    if context.player_goals:
        flags.add({1: "first_of_player", 2: "brace", 3: "hat_trick"}.get(context.player_goals, "many_of_player"))


def add_again(draft: Draft) -> None:
    """Flag `again_ok`: "again" and "another" are true here."""
    flags = draft.flags
    repeated = {"brace", "hat_trick", "many_of_player", "restores_lead", "extends_lead", "period_end", "restart"}
    if flags & (repeated | {"pass", "carry", "extra_start", "extra_restart"}):
        flags.add("again_ok")
    if "equaliser" in flags and len(draft.state.goals) > 2:
        flags.add("again_ok")
    side = draft.side
    penalties = sum(penalty.team == side for penalty in draft.state.penalties)
    changes = sum(change.team == side for change in draft.state.substitutions)
    if ("penalty_awarded" in flags and penalties > 1) or ("substitution" in flags and changes > 1):
        flags.add("again_ok")


def add_recent(draft: Draft) -> None:
    """Flags of what led to this event: `after_save`, `after_shot`, `after_foul`, `after_penalty_awarded`."""
    now_s = match_seconds(draft.event)
    for past in draft.state.recent:
        if past.event_id == draft.event.event_id or not 0 <= now_s - match_seconds(past) <= _RELATED_S:
            continue
        if past.type is EventType.SHOT and past.team == draft.side:
            draft.flags.add("after_shot")
            if past.outcome is ShotOutcome.SAVED:
                draft.flags.add("after_save")
        if past.type is EventType.FOUL and draft.event.type is EventType.CARD and past.player == draft.event.player:
            draft.flags.add("after_foul")
            draft.role("fouler", past.player, past.team)
            draft.role("fouled", past.opponent)

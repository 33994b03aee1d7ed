"""What the event means: score, goals so far, what led to it."""

from __future__ import annotations

from commentary_llm.cue.facts.draft import Draft
from commentary_llm.cue.facts.keys import team_key
from commentary_llm.cue.facts.match_time import match_seconds
from commentary_llm.match import EventType, ShotOutcome, Team

_RELATED_S = 20.0  # an event this long ago may still be spoken of: the save before the corner
_TOTALS = {3: "total_3", 5: "total_5"}  # "by the odd goal in five"
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
    if home + away in _TOTALS:
        flags.add(_TOTALS[home + away])
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
    if _standing_changed(draft):
        flags.add("standing_changed")
    for team in (state.info.home, state.info.away):
        _add_men(draft, team)
    if len(draft.roles["ten_men"]) == 2:
        flags.add("ten_each")
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


def _standing_changed(draft: Draft) -> bool:
    """Whether this very event made another side lead, or nobody: then nothing is "still" so."""
    event, state = draft.event, draft.state
    if event.type is EventType.VAR_DECISION:
        return "goal_disallowed" in draft.flags
    if event.type not in (EventType.GOAL, EventType.OWN_GOAL):
        return False
    if event.period == 5:
        kicks = [kick for kick in state.kicks if kick.scored and kick.event_id != event.event_id]
        after = state.shootout
        credited = [kick.team for kick in kicks]
    else:
        after = state.score
        credited = [goal.team for goal in state.goals if goal.event_id != event.event_id]
    home = credited.count(state.info.home.id)
    before = 2 * home - len(credited)
    return after is not None and _sign(before) != _sign(after.home - after.away)


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def _add_men(draft: Draft, team: Team) -> None:
    gone = sum(1 for player in draft.state.sent_off if draft.state.team_of(player).id == team.id)
    if gone in (1, 2):
        men = "ten_men" if gone == 1 else "nine_men"
        draft.flags.add(men)
        draft.roles[men].add(team_key(team.id))
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
        draft.roles["level"] = {team_key(credited)}  # the others were ahead: they have not come level
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
    if context.deficit_overcome >= 2 and after >= 1 and max(margins) <= 0:
        flags.add("overcame_two")
    if context.deficit_overcome:
        flags.add("came_back")
    credited_sides = [goal.team == credited for goal in earlier]
    if context.deficit_overcome and credited_sides[:2] == [False, False]:
        flags.add("from_two_nil")
    if context.player_goals:
        flags.add({1: "first_of_player", 2: "brace", 3: "hat_trick"}.get(context.player_goals, "many_of_player"))


def add_again(draft: Draft) -> None:
    """Whether "again" and "another" are true: of the scorer, of his side, or of what happens at all."""
    flags, state, event = draft.flags, draft.state, draft.event
    if flags & {"brace", "hat_trick", "many_of_player"}:
        flags.add("again_player")
    if flags & {"match_goal", "kick_scored"}:
        credited = {key[2:] for key in draft.roles["credited"] if key.startswith("t:")}
        scored = [kick.team for kick in state.kicks if kick.scored] if event.period == 5 else []
        scored = scored or [goal.team for goal in state.goals]
        if any(scored.count(team) > 1 for team in credited):
            flags.add("again_side")
    if "equaliser" in flags and len(state.goals) > 2:
        flags.add("level_again")
    if flags & {"pass", "carry", "period_end", "restart", "extra_start", "extra_restart"}:
        flags.add("again_any")
    side = draft.side
    penalties = sum(penalty.team == side for penalty in state.penalties)
    changes = sum(change.team == side for change in state.substitutions)
    if ("penalty_awarded" in flags and penalties > 1) or ("substitution" in flags and changes > 1):
        flags.add("again_any")
    if flags & {"again_player", "again_side", "level_again", "again_any", "restores_lead"}:
        flags.add("again_ok")


_GLAD = "credited,scorer,assister,winner"
_SAD = "conceding,unlucky,booked,loser"
# Where one side's joy is the other's grief.
_PRESSED = {
    EventType.CORNER,
    EventType.FREE_KICK,
    EventType.PENALTY_AWARDED,
    EventType.SHOT,
    EventType.PASS,
    EventType.CARRY,
    EventType.DRIBBLE,
}


def add_feelings(draft: Draft) -> None:
    """Roles `glad` and `sad`: who has reason to be; `pressed`: the side that has to defend."""
    roles, flags, kind = draft.roles, draft.flags, draft.event.type
    for name, parts in (("glad", _GLAD), ("sad", _SAD)):
        for part in parts.split(","):
            roles[name] |= roles.get(part, set())
    if "scored" in flags:
        roles["sad"] |= roles.get("keeper", set())
    if "no_goal" in flags or "save" in flags:
        roles["sad"] |= roles.get("shooter", set())
        roles["glad"] |= roles.get("keeper", set()) | roles.get("other", set())
    if flags & {"penalty_awarded", "goal_stands", "penalty_stands"}:
        roles["glad"] |= roles.get("side", set())
        roles["sad"] |= roles.get("other", set())
    if "overturned" in flags or kind is EventType.OFFSIDE:
        roles["sad"] |= roles.get("side", set()) | roles.get("actor", set())
        roles["glad"] |= roles.get("other", set())
    if kind is EventType.INJURY:
        roles["sad"] |= roles.get("actor", set())
    if kind in _PRESSED:
        roles["pressed"] |= roles.get("other", set())
    flags |= {f"has_{name}" for name in ("glad", "sad", "pressed") if roles.get(name)}


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

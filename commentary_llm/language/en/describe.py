"""The plain statement of an event: one factual line, at full length as the last resort, short for prompts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from commentary_llm.cue.facts import Facts
from commentary_llm.language.en.names import NameBook, called
from commentary_llm.match import EventType, MatchEvent, MatchState, ShotOutcome, Team, VarDecision
from commentary_llm.match.clock import MatchTime

_SITUATION = {
    "penalty": "penalty",
    "free_kick": "free kick",
    "corner": "from a corner",
    "counter_attack": "counter attack",
    "throw_in": "from a throw-in",
}
_BODY = {"header": "header", "left_foot": "left foot", "right_foot": "right foot"}
_OUTCOME = {
    ShotOutcome.SAVED: "saved",
    ShotOutcome.OFF_TARGET: "off target",
    ShotOutcome.BLOCKED: "blocked",
    ShotOutcome.POST: "hits the woodwork",
}
_VERDICT = {
    VarDecision.GOAL_DISALLOWED: "goal disallowed",
    VarDecision.GOAL_STANDS: "the goal stands",
    VarDecision.PENALTY_CANCELLED: "no penalty",
    VarDecision.PENALTY_STANDS: "the penalty stands",
    VarDecision.CARD_RESCINDED: "card rescinded",
    VarDecision.NO_CHANGE: "the decision stands",
}
_CARD = {"yellow": "Yellow card", "second_yellow": "Second yellow card, sent off", "red": "Red card"}
_ENDS = {
    1: "Half-time",
    2: "End of normal time",
    3: "Half-time in extra time",
    4: "End of extra time",
    5: "End of the shoot-out",
}
_STARTS = {
    1: "Kick-off",
    2: "The second half begins",
    3: "Extra time begins",
    4: "The second half of extra time begins",
    5: "The penalty shoot-out begins",
}
_PLAIN = {
    EventType.CORNER: "Corner for {t}",
    EventType.FREE_KICK: "Free kick for {t}",
    EventType.THROW_IN: "Throw-in for {t}",
    EventType.GOAL_KICK: "Goal kick for {t}",
    EventType.OFFSIDE: "Offside against {t}",
    EventType.SAVE: "Save by {p} of {t}",
    EventType.TACKLE: "Tackle by {p} of {t}",
    EventType.INTERCEPTION: "Interception by {p} of {t}",
    EventType.CLEARANCE: "Clearance by {p} of {t}",
    EventType.CARRY: "{p} on the ball for {t}",
    EventType.DRIBBLE: "Dribble by {p} of {t}",
    EventType.INJURY: "{p} of {t} is down",
}


def score_sentence(state: MatchState) -> str:
    """ "Argentina 3, France 3, shoot-out 4-2." """
    info, score = state.info, state.score
    line = f"{info.home.name} {score.home}, {info.away.name} {score.away}"
    if state.shootout is not None:
        line += f", shoot-out {state.shootout.home}-{state.shootout.away}"
    return line + "."


def describe(facts: Facts) -> str:
    """Event, minute and score in plain words.

    "Goal for Argentina: Lionel Messi, penalty, minute 23. Argentina 1, France 0."
    """
    event, state = facts.event, facts.state
    naming = _Naming(player=lambda key: state.player(key).name, team=lambda team: team.name)
    what = _what(facts, naming)
    if event.period < 5:
        what += f", minute {MatchTime(event.period, event.elapsed_s).label}"
    return f"{what}. {score_sentence(state)}"


def event_line(facts: Facts, names: NameBook) -> str:
    """The same for a prompt, in as few tokens as say it: minute first, names as commentators call them, who leads.

    "23' Goal for Argentina: Messi, penalty. Argentina lead 1-0." No minute in a shoot-out, whose score it gives.
    """
    event, state = facts.event, facts.state
    short = names.surnames
    what = _what(facts, _Naming(player=lambda key: short[key], team=called))
    minute = f"{MatchTime(event.period, event.elapsed_s).label}' " if event.period < 5 else ""
    return f"{minute}{what}. {_standing(event, state)}"


def _standing(event: MatchEvent, state: MatchState) -> str:
    """ "Argentina lead 2-1.", "Goalless.", "Level 1-1.", "France win 4-2 on penalties."."""
    pair, where = state.score, ""
    if state.shootout is not None:
        pair, where = state.shootout, " on penalties"
    high, low = max(pair.home, pair.away), min(pair.home, pair.away)
    over = event.type is EventType.MATCH_END
    if high == low:
        return "Goalless." if not (high or where or over) else f"{'Drawn' if over else 'Level'} {high}-{low}{where}."
    ahead = state.info.home if pair.home > pair.away else state.info.away
    return f"{called(ahead)} {'win' if over else 'lead'} {high}-{low}{where}."


@dataclass(frozen=True)
class _Naming:
    """How players (by id) and teams are written."""

    player: Callable[[str], str]
    team: Callable[[Team], str]


def _what(facts: Facts, naming: _Naming) -> str:
    event, state = facts.event, facts.state
    sides = [key[2:] for key in facts.roles.get("side", ())]
    team = naming.team(state.team(sides[0])) if sides else ""

    def name(player_id: str | None) -> str:
        return naming.player(player_id) if player_id is not None else ""

    player = name(event.player)
    kind = event.type
    how = [_BODY[flag] for flag in _BODY if flag in facts.flags]
    if event.situation is not None and event.situation.value in _SITUATION:
        how.insert(0, _SITUATION[event.situation.value])
    if event.period == 5 and kind in (EventType.GOAL, EventType.SHOT):
        result = (
            "scores"
            if kind is EventType.GOAL
            else _OUTCOME.get(event.outcome, "no goal")
            if event.outcome
            else "no goal"
        )
        return f"Shoot-out, {team}: {player or 'kick'}, {result}"
    if kind is EventType.GOAL:
        parts = [player, *how, f"assist {name(event.assist)}" if event.assist else ""]
        return f"Goal for {team}: " + ", ".join(filter(None, parts)) if any(parts) else f"Goal for {team}"
    if kind is EventType.OWN_GOAL:
        other = naming.team(state.opponent_of(sides[0]))
        return f"Own goal by {player or team}, goal for {other}"
    if kind is EventType.SHOT:
        result = _OUTCOME[event.outcome] if event.outcome else "no goal"
        if event.outcome is ShotOutcome.SAVED and event.goalkeeper:
            result += f" by {name(event.goalkeeper)}"
        return f"Shot for {team}: " + ", ".join(filter(None, [player, *how, result]))
    if kind is EventType.CARD:
        card = next((text for flag, text in _CARD.items() if flag in facts.flags), "Card")
        return f"{card}: {player} of {team}" if player else f"{card}: {team}"
    if kind is EventType.SUBSTITUTION:
        return f"Substitution, {team}: {name(event.player_on)} on for {player}"
    if kind is EventType.FOUL:
        fouled = f" on {name(event.opponent)}" if event.opponent else ""
        return f"Foul by {player or team}{fouled}"
    if kind is EventType.PENALTY_AWARDED:
        return f"Penalty for {team}"
    if kind is EventType.PASS:
        if event.receiver is not None and "completed" in facts.flags:
            return f"{team}: {player} to {name(event.receiver)}"
        return f"{team}: pass by {player}" if player else f"{team} in possession"
    if kind in (EventType.VAR_REVIEW, EventType.VAR_DECISION):
        return "VAR check" if event.decision is None else f"VAR: {_VERDICT[event.decision]}"
    if kind is EventType.STOPPAGE_TIME:
        return f"{event.minutes_added} minutes added" if event.minutes_added else "The board goes up"
    if kind is EventType.FORMATION:
        return f"{team}: formation {event.formation}" if event.formation else f"{team}: change of shape"
    if kind is EventType.PERIOD_START:
        return _STARTS[event.period]
    if kind is EventType.PERIOD_END:
        return _ENDS[event.period]
    if kind is EventType.MATCH_END:
        return "Full time"
    text = _PLAIN[kind]
    if not player and "{p}" in text:
        return f"{kind.value.replace('_', ' ').capitalize()}, {team}"
    return text.format(t=team, p=player)

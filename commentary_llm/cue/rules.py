"""Which events deserve a line, and with what urgency: the director's table, first match wins."""

from __future__ import annotations

from dataclasses import dataclass

from commentary_llm.cue.cue import Urgency
from commentary_llm.cue.facts import Condition, Facts


@dataclass(frozen=True)
class LineRule:
    """A rule: where `condition` holds the event may be spoken of.

    `deadline_s`: how long after the event its first sound is still worth hearing. `every_s`: least time between two
    lines by this rule, in stream seconds. `interesting`: a FILL that may come a little sooner than others.
    """

    reason: str
    condition: Condition
    urgency: Urgency
    deadline_s: float
    max_words: int
    interruptible: bool
    every_s: float
    interesting: bool


def _rule(
    reason: str,
    condition: str,
    urgency: Urgency,
    deadline_s: float,
    max_words: int,
    *,
    interruptible: bool = True,
    every_s: float = 0.0,
    interesting: bool = False,
) -> LineRule:
    where = f"the rule {reason!r} of {__name__}"
    checked = Condition.parse(condition, where)
    return LineRule(reason, checked, urgency, deadline_s, max_words, interruptible, every_s, interesting)


_F, _N, _K, _U = Urgency.FILL, Urgency.NOTE, Urgency.KEY, Urgency.URGENT

LINE_RULES: tuple[LineRule, ...] = (
    _rule("own goal", "own_goal", _U, 20, 22, interruptible=False),
    _rule("shoot-out goal", "kick_scored", _U, 15, 16, interruptible=False),
    _rule("shoot-out miss", "kick_missed", _U, 15, 16, interruptible=False),
    _rule("hat-trick", "goal hat_trick", _U, 20, 26, interruptible=False),
    _rule("equaliser", "goal equaliser", _U, 20, 24, interruptible=False),
    _rule("penalty goal", "goal from_penalty", _U, 20, 24, interruptible=False),
    _rule("goal", "goal", _U, 20, 24, interruptible=False),
    _rule("penalty missed", "shot from_penalty", _U, 15, 16, interruptible=False),
    _rule("penalty", "penalty_awarded", _U, 12, 16),
    _rule("red card", "card sent_off", _U, 20, 18),
    _rule("VAR verdict", "var_decision", _U, 20, 18, interruptible=False),
    _rule("full time", "match_over", _U, 30, 22, interruptible=False),
    _rule("VAR check", "var_review", _K, 15, 12),
    _rule("card", "card", _K, 25, 14),
    _rule("substitution", "substitution", _K, 45, 16),
    _rule("kick-off", "period_start", _K, 20, 18),
    _rule("end of period", "period_end", _K, 20, 18),
    _rule("stoppage time", "stoppage_board", _K, 20, 16),
    _rule("woodwork", "shot post", _K, 8, 14),
    _rule("save", "shot saved", _K, 8, 14),
    _rule("chance missed", "shot off_target", _N, 6, 13),
    _rule("shot blocked", "shot blocked", _N, 5, 12),
    _rule("shot", "shot", _N, 6, 12),
    _rule("save", "save", _N, 6, 12),
    _rule("injury", "injury", _N, 15, 12, every_s=60),
    _rule("offside", "offside", _N, 8, 10),
    _rule("corner", "corner", _N, 8, 12),
    _rule("dangerous foul", "foul own_half !midfield", _N, 8, 13, every_s=20),
    _rule("foul", "foul", _N, 6, 12, every_s=45),
    _rule("dangerous free kick", "free_kick final_third", _N, 8, 12, every_s=20),
    _rule("free kick", "free_kick", _F, 6, 10, every_s=60, interesting=True),
    _rule("tactical change", "formation", _N, 30, 12, every_s=30),
    _rule("dribble", "dribble completed", _F, 3, 10, every_s=60, interesting=True),
    _rule("attack", "pass completed final_third has_player has_receiver", _F, 3, 12, interesting=True),
    _rule("run", "carry final_third has_player", _F, 3, 10, every_s=60, interesting=True),
    _rule("ball won", "tackle/interception has_player !incomplete", _F, 3, 10, every_s=75, interesting=True),
    _rule("clearance", "clearance has_player", _F, 3, 10, every_s=90, interesting=True),
    _rule("throw-in", "throw_in", _F, 5, 10, every_s=150),
    _rule("goal kick", "goal_kick", _F, 5, 10, every_s=180),
    _rule("build-up", "pass completed has_player has_receiver", _F, 3, 12),
)


def rule_for(facts: Facts) -> LineRule | None:
    """The first rule that holds, None for events that get no words (failed passes, plain carries, …)."""
    return next((rule for rule in LINE_RULES if facts.holds(rule.condition)), None)

"""Flags and roles of one event, put together from what happened, where, when and what it meant."""

from __future__ import annotations

from dataclasses import dataclass, field

from commentary_llm.cue.facts.background import add_background
from commentary_llm.cue.facts.condition import Condition, check_declared
from commentary_llm.cue.facts.draft import Draft
from commentary_llm.cue.facts.incident import add_incident
from commentary_llm.cue.facts.moment import add_place, add_time
from commentary_llm.cue.facts.story import add_again, add_feelings, add_goal_story, add_recent, add_score
from commentary_llm.match import MatchEvent, MatchState

_STEPS = (
    *(add_incident, add_place, add_time, add_score, add_goal_story, add_recent, add_background),
    *(add_again, add_feelings),  # build on the flags and roles of the others
)


@dataclass(frozen=True)
class Facts:
    """`flags` are true statements by name; `roles` map a part to the keys (`p:id`, `t:id`) that fill it.

    `replaced`: on a substitution who comes on -> whom he replaces, also for changes made at the same time.
    Raises ConfigError for a flag that is not declared.
    """

    event: MatchEvent
    state: MatchState
    flags: frozenset[str]
    roles: dict[str, frozenset[str]]
    replaced: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_declared(self.flags, f"facts of event {self.event.event_id!r}")

    def holds(self, condition: Condition) -> bool:
        return condition.holds(self.flags)

    def keys(self, roles: str) -> frozenset[str]:
        """Keys of the comma-separated roles together."""
        return frozenset().union(*(self.roles.get(role, frozenset()) for role in roles.split(",")))


def facts_of(event: MatchEvent, state: MatchState) -> Facts:
    """Everything that templates and gate may build on at `event`; `state` is the match right after it."""
    draft = Draft(event, state)
    for add in _STEPS:
        add(draft)
    roles = {role: frozenset(keys) for role, keys in draft.roles.items() if keys}
    return Facts(event, state, frozenset(draft.flags), roles, draft.replaced)

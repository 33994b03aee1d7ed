"""Decides what deserves words: event by event, in stream seconds, knowing what is being said.

director = Director(DirectorConfig())
decision = director.decide(event, state, SpeechStatus(now_s=812.0, busy_until_s=809.5))
if decision.cue is not None: ...
"""

from __future__ import annotations

from dataclasses import dataclass, field

from commentary_llm.cue.cue import Cue, Urgency
from commentary_llm.cue.excitement import excitement_of
from commentary_llm.cue.facts import Facts, facts_of, match_seconds
from commentary_llm.cue.rules import LineRule, rule_for
from commentary_llm.match import EventType, MatchEvent, MatchState


@dataclass(frozen=True)
class DirectorConfig:
    """Pacing, in seconds of stream time."""

    fill_gap_s: float = 24.0  # quiet before a build-up line, from the end of the last line
    fill_interest_gap_s: float = 16.0  # the same where the play is interesting (final third, dribble)
    note_gap_s: float = 2.5  # breath before a NOTE
    note_patience_s: float = 1.5  # a NOTE waits for running speech no longer than this
    goal_hush_s: float = 8.0  # after a goal only KEY and above
    related_s: float = 12.0  # corner after the shot, free kick after the foul: one story
    substitution_window_s: float = 45.0  # changes of one side this close together are one
    words_factor: float = 1.0  # scales every cue's max_words


@dataclass(frozen=True)
class SpeechStatus:
    """What the listener hears and will hear, in stream seconds.

    `busy_until_s`: end of the speech that is scheduled; at or before `now_s` when there is silence. `urgency` and
    `interruptible` are those of the most urgent cue speaking or queued. `last_end_s`: when the last line ended.
    `queued`: event ids whose cues have not begun to sound; a decision may supersede them.
    """

    now_s: float
    busy_until_s: float = float("-inf")
    urgency: Urgency | None = None
    interruptible: bool = True
    last_end_s: float = float("-inf")
    queued: tuple[str, ...] = ()

    @property
    def busy_s(self) -> float:
        """Seconds until silence, 0 when it is silent."""
        return max(0.0, self.busy_until_s - self.now_s)


@dataclass(frozen=True)
class Decision:
    """A cue, or None; `reason` names the rule either way. `supersedes`: queued cues it replaces, by event id."""

    cue: Cue | None
    reason: str
    supersedes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.cue is not None


@dataclass
class _Memory:
    """What the director remembers of its own cues, in stream seconds."""

    goal_s: float = float("-inf")
    goals: list[str] = field(default_factory=list)  # event ids
    said_s: float = float("-inf")  # last cue of any kind
    shot: tuple[str, float] | None = None  # side and time of the last attempt spoken of
    foul: MatchEvent | None = None
    foul_s: float = float("-inf")
    change: MatchEvent | None = None
    change_s: float = float("-inf")
    whistle: str | None = None  # event id of the last end of a period
    by_rule: dict[str, float] = field(default_factory=dict)


class Director:
    """One per match; decisions depend only on the events, the speech reported and the config."""

    def __init__(self, config: DirectorConfig | None = None) -> None:
        self.config = config or DirectorConfig()
        self._memory = _Memory()

    def decide(self, event: MatchEvent, state: MatchState, speech: SpeechStatus) -> Decision:
        """What to do about `event`, accepted at `speech.now_s`; `state` is the match right after it. Never blocks."""
        facts = facts_of(event, state)
        rule = rule_for(facts)
        if rule is None:
            return Decision(None, f"no words for {event.type.value}")
        refusal = self._why_not(event, facts, rule, speech)
        if refusal is not None:
            self._observe(event, facts, speech, spoken=False)
            return Decision(None, refusal)
        reason, supersedes = self._merge(event, rule, speech)
        cue = Cue(
            facts=facts,
            urgency=rule.urgency,
            reason=reason,
            deadline_s=rule.deadline_s,
            max_words=max(4, round(rule.max_words * self.config.words_factor)),
            interruptible=rule.interruptible,
            excitement=excitement_of(facts),
        )
        self._observe(event, facts, speech, spoken=True)
        self._memory.said_s = speech.now_s
        self._memory.by_rule[rule.reason] = speech.now_s
        return Decision(cue, reason, supersedes)

    # Reasons against

    def _why_not(self, event: MatchEvent, facts: Facts, rule: LineRule, speech: SpeechStatus) -> str | None:
        told = self._told_already(event, facts, rule, speech)
        if told is not None:
            return told
        if rule.urgency >= Urgency.KEY:
            return None
        config, memory, now_s = self.config, self._memory, speech.now_s
        if speech.busy_s > 0 and not speech.interruptible:
            return "a call that may not be cut off is running"
        if now_s - memory.goal_s < config.goal_hush_s:
            return "the goal still rings"
        if rule.urgency is Urgency.NOTE:
            if speech.busy_s > config.note_patience_s:
                return "speech is running"
            if speech.busy_s == 0 and now_s - speech.last_end_s < config.note_gap_s:
                return "too soon after the last line"
        else:
            if speech.busy_s > 0:
                return "speech is running"
            gap_s = config.fill_interest_gap_s if rule.interesting else config.fill_gap_s
            if now_s - max(speech.last_end_s, speech.busy_until_s, memory.said_s) < gap_s:
                return "pacing"
        if now_s - memory.by_rule.get(rule.reason, float("-inf")) < rule.every_s:
            return f"another {rule.reason} so soon"
        return None

    def _told_already(self, event: MatchEvent, facts: Facts, rule: LineRule, speech: SpeechStatus) -> str | None:
        """Whether an event is the tail of a story that was told."""
        config, memory, now_s = self.config, self._memory, speech.now_s
        side = next(iter(facts.roles.get("side", ())), "")
        if event.type in (EventType.CORNER, EventType.SAVE) and memory.shot is not None:
            who, at_s = memory.shot
            if now_s - at_s <= config.related_s and (event.type is EventType.SAVE or who == side):
                return "follows the shot"
        if event.type is EventType.FREE_KICK and now_s - memory.foul_s <= 60 and memory.foul is not None:
            return "follows the foul"
        if event.type is EventType.FOUL and self._penalty_just_given(event, facts):
            return "follows the penalty"
        if event.type is EventType.PERIOD_END and event.period == 5:
            return "the end of the match says it"
        if event.type is EventType.CARD and any(event.event_id in booking.merged for booking in facts.state.cards):
            return "the same card"
        return None

    @staticmethod
    def _penalty_just_given(event: MatchEvent, facts: Facts) -> bool:
        now_s = match_seconds(event)
        return any(
            past.type is EventType.PENALTY_AWARDED and abs(match_seconds(past) - now_s) <= 15
            for past in facts.state.recent
        )

    # Stories

    def _merge(self, event: MatchEvent, rule: LineRule, speech: SpeechStatus) -> tuple[str, tuple[str, ...]]:
        """The cue's reason, and the queued cues of the same story that it stands for."""
        memory, now_s = self._memory, speech.now_s
        if event.type in (EventType.CARD, EventType.PENALTY_AWARDED, EventType.FREE_KICK):
            foul = memory.foul
            if foul is not None and now_s - memory.foul_s <= 60 and foul.event_id in speech.queued:
                return rule.reason, (foul.event_id,)
        if event.type is EventType.SUBSTITUTION:
            change = memory.change
            recent = now_s - memory.change_s <= self.config.substitution_window_s
            if change is not None and change.team == event.team and recent:
                replaced = (change.event_id,) if change.event_id in speech.queued else ()
                return ("double substitution" if replaced else "another substitution"), replaced
        if event.type is EventType.MATCH_END and memory.whistle is not None and memory.whistle in speech.queued:
            return rule.reason, (memory.whistle,)
        if event.type in (EventType.GOAL, EventType.OWN_GOAL):
            # Nothing that was waiting is worth hearing once there is a goal, save another goal.
            return rule.reason, tuple(queued for queued in speech.queued if queued not in memory.goals)
        return rule.reason, ()

    def _observe(self, event: MatchEvent, facts: Facts, speech: SpeechStatus, spoken: bool) -> None:
        memory, now_s = self._memory, speech.now_s
        if event.type in (EventType.GOAL, EventType.OWN_GOAL) and event.period < 5:
            memory.goal_s = now_s
            memory.goals.append(event.event_id)
        if event.type is EventType.SHOT and spoken:
            memory.shot = (next(iter(facts.roles.get("side", ())), ""), now_s)
        if event.type is EventType.FOUL and spoken:
            memory.foul, memory.foul_s = event, now_s
        if event.type is EventType.PERIOD_END:
            memory.whistle = event.event_id
        if event.type is EventType.SUBSTITUTION:
            memory.change, memory.change_s = event, now_s

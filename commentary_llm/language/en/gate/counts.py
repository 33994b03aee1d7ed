"""Judges the number phrases of a clause against the score, the clock and the tallies."""

from __future__ import annotations

from commentary_llm.cue.facts import minute_of
from commentary_llm.language.contract import Cause
from commentary_llm.language.en.gate.bindings import LASTING
from commentary_llm.language.en.gate.numbers import NumberClaim
from commentary_llm.language.en.gate.reading import Item, Reading
from commentary_llm.language.en.gate.refusal import Refused
from commentary_llm.match import EventType, Score

_TRAILING = frozenset({"trail", "trails", "trailing", "behind", "down", "are behind", "is behind", "losing"})
_AHEAD = frozenset(
    {"up", "ahead", "lead", "leads", "leading", "clear", "take", "takes", "have", "has", "in front", "are up", "is up"}
)
_WINNING = frozenset(
    ["win", "wins", "won", "victory", "beat", "beats", "winners", "victorious", "triumph", "prevail"]
) | {"win it", "wins it", "have won", "have won it", "a victory", "the winners", "the victory", "win the match"}
_BEATING = frozenset({"beat", "beats"})
_ON_PENALTIES = frozenset(
    ["on penalties", "shoot out", "the shoot out", "penalties", "win on penalties", "win it on penalties", "shootout"]
) | frozenset(["wins on penalties", "have won it on penalties", "won on penalties", "win the shoot out"])
_BEFORE_PENALTIES = frozenset({"after extra time", "in extra time"})
_MAKING = frozenset({"makes it", "make it", "that makes it", "makes that", "it is", "it is now", "that is"})
_AFTER_SINGLE = frozenset({"and", "now", "for", "from", "in", "as", "here"})
_PERIOD_END_MIN = {1: 45, 2: 90, 3: 105, 4: 120}


class NumberJudge:
    """Checks every number item of one reading; raises `Refused` at the first false one."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._event = reading.facts.event
        self._state = reading.facts.state

    def check(self) -> None:
        for index, item in enumerate(self._reading.items):
            if item.number is None:
                continue
            check = getattr(self, f"_check_{item.number.kind}")
            check(index, item, item.number)

    # Score

    def _pairs(self, words: set[str]) -> list[Score]:
        """The scores a pair may mean: the shoot-out's while kicks are taken or where it is named, else the match's."""
        state, event = self._state, self._event
        if state.shootout is None or words & _BEFORE_PENALTIES:
            return [state.score]
        kick = event.type in (EventType.GOAL, EventType.SHOT) and event.period == 5
        return [state.shootout] if kick or words & _ON_PENALTIES else [state.score]

    def _words(self) -> set[str]:
        return {item.text for item in self._reading.items}

    def _check_score(self, index: int, item: Item, number: NumberClaim) -> None:
        first, second = number.values
        items = self._reading.items
        if self._reading.words_before(index) & LASTING and "scored" in self._reading.facts.flags:
            raise Refused(Cause.SCORE, f"{item.text} is new")
        before = self._team_near(index, -1)
        after = self._team_near(index, +1)
        words = self._words()
        favoured = after is not None and items[index + 1].text in ("to", "for", "in")
        if favoured:
            before = None
        elif _BEATING & words:
            # "Argentina beat France 3-1": the number is the first side's.
            before = next((i for i in items[:index] if i.kind == "name" and (i.key or "").startswith("t:")), None)
        if first == second and (_WINNING & words or favoured):
            raise Refused(Cause.SCORE, f"{item.text} is won by nobody")
        if not any(self._pair_fits(pair, first, second, before, after, words) for pair in self._pairs(words)):
            raise Refused(Cause.SCORE, item.text)
        for name in filter(None, (before, after)):
            name.bound = True

    def _pair_fits(
        self, pair: Score, first: int, second: int, before: Item | None, after: Item | None, words: set[str]
    ) -> bool:
        if {first, second} != {pair.home, pair.away} or (first == second) != (pair.home == pair.away):
            return False
        home = f"t:{self._state.info.home.id}"
        if after is not None and before is not None and before.key != after.key:
            # "Argentina 2-1 France", but also "Argentina lead 2-1 against France".
            return first == (pair.home if before.key == home else pair.away)
        if after is not None:
            return first == (pair.home if after.key == home else pair.away)
        if before is not None:
            of_team = pair.home if before.key == home else pair.away
            if _TRAILING & words:
                return of_team == min(first, second)
            # "France pull one back, 2-1": the number is the leaders' unless the words put that side ahead.
            pulled = "pulls_back" in self._reading.facts.flags and not _AHEAD & words
            return first == of_team or pulled
        # Bare: as the board shows it, or the leader first.
        return (first, second) == (pair.home, pair.away) or first > second

    def _check_level_score(self, index: int, item: Item, number: NumberClaim) -> None:
        if not any(pair.home == pair.away == number.values[0] for pair in self._pairs(self._words())):
            raise Refused(Cause.SCORE, item.text)

    def _team_near(self, index: int, step: int) -> Item | None:
        """A side named before the number, or after it through "to", "for", "against" or nothing."""
        items = self._reading.items
        if step > 0 and [item.text for item in items[index + 1 : index + 2]] == [","]:
            # "4-2, Argentina." names whose score it is; "2-1, Argentina attack" does not.
            closing = items[index + 3 : index + 4]
            team = items[index + 2 : index + 3]
            ends = not closing or (closing[0].kind == "mark" and closing[0].text in ".!…;")
            return team[0] if ends and team and (team[0].key or "").startswith("t:") else None
        i = index + step
        while 0 <= i < len(items):
            item = items[i]
            sides = [key for key in item.antecedents if key.startswith("t:")]
            if step < 0 and item.text == "they" and len(sides) == 1:
                return Item("name", "they", key=sides[0], bound=True)
            if item.kind == "name":
                if item.key is not None and item.key.startswith("t:"):
                    return item
                if step > 0:
                    return None
            elif (
                step > 0 and item.text not in ("to", "for", "the", "in", "favour", "of", "against", "up", "ahead")
            ) or (step < 0 and item.kind == "mark" and item.text in ".!?;…"):
                return None
            i += step
        return None

    # Clock

    def _check_minute(self, index: int, item: Item, number: NumberClaim) -> None:
        base, added = number.values if len(number.values) == 2 else (number.values[0], 0)
        if self._event.period == 5 or (base, added) != minute_of(self._event):
            raise Refused(Cause.MINUTE, item.text)

    def _check_minutes(self, index: int, item: Item, number: NumberClaim) -> None:
        value = number.values[0]
        period = self._event.period
        minute, added = minute_of(self._event)
        board = self._state.stoppage_minutes.get(period)
        played = not added and period < 5 and value in (minute, minute - 1)
        if added and period < 5 and value == minute and number.tail in ("played", "plain"):
            played = number.tail == "plain" or "half_time" in self._reading.facts.flags
        regular = minute if not added else _PERIOD_END_MIN.get(period, 0)
        end = 90 if period <= 2 else 120
        remaining = period in (2, 4) and not added and abs((end - regular) - value) <= 1
        on_board = board is not None and value == board and "stoppage_board" in self._reading.facts.flags
        truth = {
            "played": played,
            "remaining": remaining,
            "half": period < 5 and int(self._event.elapsed_s // 60) in (value, value - 1),
            "board": on_board,
            "remaining_or_board": remaining or on_board,
            "plain": on_board if "stoppage_board" in self._reading.facts.flags else played,
        }
        if not truth[number.tail]:
            raise Refused(Cause.MINUTE, item.text)

    # Counts

    def _check_ordinal(self, index: int, item: Item, number: NumberClaim) -> None:
        if number.values[0] not in self._tallies(index, number):
            raise Refused(Cause.COUNT, item.text)

    def _tallies(self, index: int, number: NumberClaim) -> set[int]:
        """What the ordinal may be here, by the noun it counts and by whose it is said to be."""
        facts, state = self._reading.facts, self._state
        noun = number.tail.removesuffix(" of the match")
        if noun in ("", "goal"):
            return self._goal_tallies(index, number) if "match_goal" in facts.flags else set()
        counted, told = {
            "change": ([change.team for change in state.substitutions], "substitution"),
            "card": ([booking.team for booking in state.cards], "card"),
            "penalty": ([penalty.team for penalty in state.penalties], "penalty_awarded"),
        }.get(noun, ([], ""))
        if noun == "penalty" and "kick" in facts.flags:
            counted, told = [kick.team for kick in state.kicks], "kick"
        if told not in facts.flags:
            return set()
        side = next((key for key in facts.roles.get("side", ()) if key.startswith("t:")), None)
        owner = self._owner(index)
        if owner is None:
            if number.tail.endswith("match"):
                return {len(counted)}
            return {len(counted)} if noun == "card" or told == "kick" else {counted.count((side or "")[2:])}
        if owner.kind == "name":
            owner.bound = owner.key == side
        return {counted.count((side or "")[2:])} if side in self._stands_for(owner) else set()

    def _goal_tallies(self, index: int, number: NumberClaim) -> set[int]:
        facts, event = self._reading.facts, self._event
        credited = next(iter(facts.roles.get("credited", ())), None)
        team = {self._state.score_of(credited[2:])} if credited else set()
        owner = self._owner(index)
        if owner is not None and owner.kind == "name":
            owner.bound = True
            return self._tally_of(owner, credited)
        if owner is not None and owner.text == "their":
            return team if credited in self._stands_for(owner) else set()
        if owner is not None:
            mine = event.player and event.type is EventType.GOAL and f"p:{event.player}" in self._stands_for(owner)
            return {self._state.goals_by(event.player)} if mine and event.player else set()
        if number.tail.endswith("of the match"):
            return {len(self._state.goals)}
        # "a third", "the third goal": the credited side's, as commentators count.
        article = index > 0 and self._reading.items[index - 1].text in ("a", "the")
        return team if number.tail == "goal" or article else set()

    def _owner(self, index: int) -> Item | None:
        """Whose the counted thing is: "a second for Messi", "Argentina's second", "their second"."""
        name, preposition = next(iter(self._reading.names_after(index)), (None, None))
        if name is not None and name.kind == "name" and preposition in ("for", "from", "of", "by"):
            return name
        before = self._reading.items[index - 1] if index else None
        if before is not None and before.kind == "name" and before.possessive:
            return before
        return before if before is not None and before.text in ("his", "her", "their") else None

    def _stands_for(self, owner: Item) -> frozenset[str]:
        """Keys the owner may be; a pronoun with nobody named before it may be anybody in the event."""
        if owner.kind == "name":
            return frozenset({owner.key or ""})
        return owner.antecedents or self._reading.participants

    def _involved(self, item: Item) -> frozenset[str]:
        """The keys of a name, or those a pronoun may mean: who scored and the side it counts for."""
        if item.kind == "name":
            return frozenset({item.key or " "})
        roles = self._reading.facts.roles
        players = item.text in ("he", "she", "his", "her")
        parts = roles.get("scorer" if players else "credited", frozenset())
        return frozenset(key for key in parts & self._stands_for(item) if key.startswith("p:" if players else "t:"))

    def _tally_of(self, name: Item, credited: str | None) -> set[int]:
        key = name.key or ""
        if key.startswith("p:"):
            return {self._state.goals_by(key[2:])} if key in self._reading.facts.roles.get("scorer", ()) else set()
        return {self._state.score_of(key[2:])} if key == credited else set()

    def _check_goals(self, index: int, item: Item, number: NumberClaim) -> None:
        value = number.values[0]
        after, preposition = next(iter(self._reading.names_after(index)), (None, None))
        name = after if preposition in ("for", "from", "by") else self._reading.subject_before(index)
        if name is None:
            true = value == len(self._state.goals)
        else:
            true = value in {
                self._state.goals_by(key[2:]) if key.startswith("p:") else self._state.score_of(key[2:])
                for key in self._involved(name)
                if key[0] in "pt"
            }
        if not true:
            raise Refused(Cause.COUNT, item.text)
        if name is not None:
            name.bound = True

    def _check_burst(self, index: int, item: Item, number: NumberClaim) -> None:
        """ "Two in two minutes": the last goals of the scorer, or of the side, lie no further apart."""
        count, minutes = number.values
        name, preposition = next(iter(self._reading.names_after(index)), (None, None))
        whose = name if preposition in ("for", "from", "by") else self._reading.subject_before(index)
        roles = self._reading.facts.roles
        keys = self._involved(whose) if whose is not None else roles.get("credited", frozenset())
        keys = keys & (roles.get("scorer", frozenset()) | roles.get("credited", frozenset()))
        for key in keys if "match_goal" in self._reading.facts.flags else ():
            goals = [goal for goal in self._state.goals if f"t:{goal.team}" == key or f"p:{goal.player}" == key][
                -count:
            ]
            same = len(goals) == count > 1 and goals[0].time.period == goals[-1].time.period
            if same and (minutes - 2) * 60 < goals[-1].time.elapsed_s - goals[0].time.elapsed_s <= minutes * 60:
                if whose is not None:
                    whose.bound = True
                return
        raise Refused(Cause.COUNT, item.text)

    def _check_formation(self, index: int, item: Item, number: NumberClaim) -> None:
        shape = "-".join(str(value) for value in number.values)
        sides = self._reading.facts.roles.get("side", frozenset())
        if "formation" not in self._reading.facts.flags or shape not in {
            self._state.formations.get(key[2:]) for key in sides
        }:
            raise Refused(Cause.COUNT, item.text)

    def _check_shirt(self, index: int, item: Item, number: NumberClaim) -> None:
        player = self._event.player
        name = self._reading.subject_before(index)
        if name is not None and (name.key or "").startswith("p:"):
            player = (name.key or "")[2:]
        if player is None or self._state.player(player).shirt != number.values[0]:
            raise Refused(Cause.COUNT, item.text)

    def _check_single(self, index: int, item: Item, number: NumberClaim) -> None:
        """A lone number: a side's or a scorer's goals, in the few forms that say so; else not understood."""
        value, items = number.values[0], self._reading.items
        before = items[index - 1] if index else None
        after = items[index + 1] if index + 1 < len(items) else None
        scorer = self._scorer_of_single(index)
        if scorer is not None and value == self._state.goals_by(scorer) and value > 1:
            return
        side = self._side_of_single(index, before, after)
        if side is not None and value == self._state.score_of((side.key or "")[2:]):
            side.bound = True
            return
        alone = after is None or after.kind in ("mark", "name")
        if before is not None and before.kind == "name" and (before.key or "").startswith("t:") and alone:
            home = before.key == f"t:{self._state.info.home.id}"
            if value in {pair.home if home else pair.away for pair in self._pairs(self._words())}:
                before.bound = True
                return
            raise Refused(Cause.SCORE, item.text)
        raise Refused(Cause.COUNT, item.text)

    def _side_of_single(self, index: int, before: Item | None, after: Item | None) -> Item | None:
        """ "That makes it two", "Argentina have two", "three for Argentina": whose goals a lone number counts."""
        credited = self._reading.facts.roles.get("credited", frozenset())
        ends = after is None or after.kind == "mark" or after.text in _AFTER_SINGLE
        if before is not None and before.text in _MAKING and ends and credited:
            return Item("name", before.text, key=next(iter(credited)))
        if before is not None and before.text in ("have", "have got") and ends:
            side = self._reading.subject_before(index)
            return side if side is not None and (side.key or "").startswith("t:") else None
        if after is not None and after.text == "for" and "match_goal" in self._reading.facts.flags:
            side, _ = next(iter(self._reading.names_after(index)), (None, None))
            return side if side is not None and side.key in credited else None
        return None

    def _scorer_of_single(self, index: int) -> str | None:
        """ "Messi has two", "that is two for him", "two for Messi": whose goals a lone number counts."""
        facts = self._reading.facts
        if "match_goal" not in facts.flags or self._event.type is not EventType.GOAL:
            return None
        items = self._reading.items
        scorers = facts.roles.get("scorer", frozenset())
        following = [item.text for item in items[index + 1 : index + 3]]
        if following in (["for", "him"], ["for", "her"]):
            meant = self._stands_for(items[index + 2]) if following[1] == "him" else self._reading.participants
            return self._event.player if meant & scorers else None
        name, preposition = next(iter(self._reading.names_after(index)), (None, None))
        if name is None and index and items[index - 1].text in ("has", "has got", "gets"):
            name, preposition = self._reading.subject_before(index), "for"
        if name is not None and preposition == "for":
            key = next((key for key in self._involved(name) & scorers if key.startswith("p:")), None)
            if key is not None:
                name.bound = True
                return key[2:]
        return None

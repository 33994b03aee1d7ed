"""What is true at one event: the one ground that templates are chosen and clauses are judged on."""

from commentary_llm.cue.facts.condition import Condition, check_declared
from commentary_llm.cue.facts.facts import Facts, facts_of
from commentary_llm.cue.facts.match_time import match_seconds, minute_of
from commentary_llm.cue.facts.moment import in_final_third

__all__ = ["Condition", "Facts", "check_declared", "facts_of", "in_final_third", "match_seconds", "minute_of"]

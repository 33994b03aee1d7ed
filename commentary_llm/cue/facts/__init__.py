"""What is true at one event: the one ground that templates are chosen and clauses are judged on."""

from commentary_llm.cue.facts.facts import Facts, facts_of
from commentary_llm.cue.facts.match_time import match_seconds, minute_of
from commentary_llm.cue.facts.moment import in_final_third

__all__ = ["Facts", "facts_of", "in_final_third", "match_seconds", "minute_of"]

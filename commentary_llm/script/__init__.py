"""From match events to what may be said.

history = LineHistory()                                   # one per match
director, gate = Director(DirectorConfig()), FactGate()
prompts = PromptBuilder(generator.chat, info, persona("neutral"))
templates = TemplateWriter(history, persona("neutral"), seed=7)

decision = director.decide(event, state, SpeechStatus(now_s=now_s, busy_until_s=busy_until_s))
if decision.cue is not None:                              # else decision.reason says why not
    splitter = ClauseSplitter()
    prompt = prompts.prefix, prompts.text(decision.cue, history.last(2), heard)
    for piece in tokens:
        for clause in splitter.push(piece):
            verdict = gate.check(clause, decision.cue, history)   # verdict.ok, .cause, .detail
    line = templates.write(decision.cue)                  # when no clause passed in time
    history.add(line, match_seconds(event))               # what was really said
"""

from commentary_llm.script.clauses import ClauseSplitter
from commentary_llm.script.cue import Cue, Urgency
from commentary_llm.script.describe import describe
from commentary_llm.script.director import Decision, Director, DirectorConfig, SpeechStatus
from commentary_llm.script.facts import match_seconds
from commentary_llm.script.gate import Cause, FactGate, Verdict
from commentary_llm.script.history import LineHistory
from commentary_llm.script.personas import PERSONAS, Persona, persona
from commentary_llm.script.prompt import PromptBuilder
from commentary_llm.script.templates import TemplateWriter

__all__ = [
    "PERSONAS",
    "Cause",
    "ClauseSplitter",
    "Cue",
    "Decision",
    "Director",
    "DirectorConfig",
    "FactGate",
    "LineHistory",
    "Persona",
    "PromptBuilder",
    "SpeechStatus",
    "TemplateWriter",
    "Urgency",
    "Verdict",
    "describe",
    "match_seconds",
    "persona",
]

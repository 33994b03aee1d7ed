"""A match-state tracker as the README shows it: the same program on every rank. Prints what it gets as JSON lines."""

import json
import sys
from pathlib import Path

from commentary_llm import CommentaryEngine, EngineConfig, MatchEvent
from commentary_llm.match.feeds.jsonl import read_jsonl

recording = read_jsonl(Path(sys.argv[1]))
with CommentaryEngine.start(EngineConfig(match=recording.info)) as engine:
    goal = {"event_id": "g", "type": "goal", "period": 1, "elapsed_s": 60, "team": "h", "player": "h4"}
    handle = engine.submit(MatchEvent(**goal))
    for clause in handle:
        samples = sum(len(chunk) for chunk in clause.pcm())
        print(json.dumps({"text": clause.text, "seconds": samples / clause.sample_rate_hz}), flush=True)
    record = handle.result(timeout_s=30)
    print(json.dumps({"record": record.text, "first_audible_ms": record.timings_ms["first_audible"]}), flush=True)
    print(json.dumps({"again": engine.submit(MatchEvent(**goal)).skipped}), flush=True)
print(json.dumps({"left": True}), flush=True)

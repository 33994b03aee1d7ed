"""The built-in match, folded once: every event with the state after it."""

from __future__ import annotations

import pytest
from script_helpers import cues_of

from commentary_llm.cue.cue import Cue
from commentary_llm.match.feeds import builtin_match_path, read_jsonl


@pytest.fixture(scope="session")
def final_cues() -> dict[str, Cue]:
    """A roomy cue for each event of the built-in match, by event id."""
    return {cue.event.event_id: cue for cue in cues_of(read_jsonl(builtin_match_path()))}

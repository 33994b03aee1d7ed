"""What the stadium's announcer says."""

from __future__ import annotations

import pytest

from commentary_llm.language.en.announcer import announcer
from commentary_llm.match import MatchEvent, MatchInfo


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"type": "own_goal", "team": "h", "player": "h4"}, "Goal for Eastvale. An own goal by number 4, Emil Hart."),
        ({"type": "goal", "team": "h"}, "Goal for Northport."),
        ({"type": "goal", "team": "h", "player": "h9", "period": 5}, ""),
        ({"type": "card", "team": "a", "player": "a2", "card": "red"}, "Red card for Eastvale, number 2, Theo Quill."),
        (
            {"type": "substitution", "team": "a", "player": "a9", "player_on": "a12"},
            "Change for Eastvale. Iles for Petrov.",
        ),
        ({"type": "stoppage_time", "minutes_added": 1}, "A minimum of 1 minute will be added."),
        ({"type": "corner", "team": "a"}, ""),
    ],
)
def test_announcements(small_match: MatchInfo, fields: dict[str, object], text: str) -> None:
    happening = MatchEvent.model_validate({"event_id": "x", "period": 1, "elapsed_s": 1.0, **fields})
    assert announcer(small_match)(happening) == text

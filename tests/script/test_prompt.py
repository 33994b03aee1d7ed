"""Prompt and plain statements."""

from __future__ import annotations

import pytest

from commentary_llm.errors import ConfigError
from commentary_llm.script import Cue, FactGate, PromptBuilder, describe, persona


def chat(system: str, turns: list[tuple[str, str]]) -> str:
    parts = [f"<s>{system}</s>", *(f"<{role}>{content}</{role}>" for role, content in turns), "<assistant>"]
    return "\n".join(parts)


def completion(system: str, turns: list[tuple[str, str]]) -> str:
    return "\n\n".join([system, *(content for _, content in turns), ""])


@pytest.mark.parametrize("render", [chat, completion])
def test_prefix_is_stable_and_text_short(render: object, final_cues: dict[str, Cue]) -> None:
    cues = list(final_cues.values())
    builder = PromptBuilder(render, cues[0].state.info, persona("excited"))
    assert "Argentina against France" in builder.prefix
    for cue in cues:
        text = builder.text(cue, ["What a save from Lloris!", "Corner to Argentina."], "goal for argentina")
        assert describe(cue.event, cue.state) in text
        assert len(text.split()) < 75
        assert builder.prefix + text == builder.prefix + builder.text(
            cue, ["What a save from Lloris!", "Corner to Argentina."], "goal for argentina"
        )


@pytest.mark.parametrize("render", [chat, completion])
def test_an_opener_begins_the_answer(render: object, final_cues: dict[str, Cue]) -> None:
    cue = final_cues["wcf-008"]
    builder = PromptBuilder(render, cue.state.info)
    assert builder.text(cue, opener="Goal! Messi! ") == builder.text(cue) + "Goal! Messi!"


def test_a_template_that_swallows_the_turn_is_refused(final_cues: dict[str, Cue]) -> None:
    info = final_cues["wcf-001"].state.info
    with pytest.raises(ConfigError, match="chat template"):
        PromptBuilder(lambda system, turns: system, info)


def test_examples_name_nobody_of_the_match(final_cues: dict[str, Cue]) -> None:
    cue = final_cues["wcf-008"]
    assert not FactGate().check("Marsk heads it in!", cue).ok
    assert not FactGate().check("Castrel bring on Dast, and Quint makes way.", cue).ok


@pytest.mark.parametrize(
    ("event_id", "text"),
    [
        ("wcf-008", "Goal for Argentina: Lionel Messi, penalty, left foot, minute 23. Argentina 1, France 0."),
        ("wcf-002", "Shot for Argentina: Alexis Mac Allister, saved by Hugo Lloris, minute 5. Argentina 0, France 0."),
        ("wcf-013", "Yellow card: Enzo Fernández of Argentina, minute 45+7. Argentina 2, France 0."),
        (
            "wcf-010",
            "Substitution, France: Randal Kolo Muani on for Ousmane Dembélé, minute 41. Argentina 2, France 0.",
        ),
        ("wcf-064", "Shoot-out, Argentina: Lionel Messi, scores. Argentina 3, France 3, shoot-out 1-1."),
    ],
)
def test_describe(event_id: str, text: str, final_cues: dict[str, Cue]) -> None:
    assert describe(final_cues[event_id].event, final_cues[event_id].state) == text

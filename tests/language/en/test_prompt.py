"""Prompt and plain statements."""

from __future__ import annotations

import pytest
from english import AnyGate, names_of

from commentary_llm.cue.cue import Cue
from commentary_llm.generation.tokenizer import Tokenizer
from commentary_llm.ground.errors import ConfigError
from commentary_llm.ground.home import models_dir
from commentary_llm.language.en.describe import describe, event_line
from commentary_llm.language.en.openers import OpenerBook
from commentary_llm.language.en.personas import persona_called
from commentary_llm.language.en.prompt import LIMIT_TOKENS, PromptBuilder


def chat(system: str, turns: list[tuple[str, str]]) -> str:
    parts = [f"<s>{system}</s>", *(f"<{role}>{content}</{role}>" for role, content in turns), "<assistant>"]
    return "\n".join(parts)


def completion(system: str, turns: list[tuple[str, str]]) -> str:
    return "\n\n".join([system, *(content for _, content in turns), ""])


@pytest.mark.parametrize("render", [chat, completion])
def test_prefix_is_stable_and_text_short(render: object, final_cues: dict[str, Cue]) -> None:
    cues = list(final_cues.values())
    builder = PromptBuilder(render, names_of(cues[0].state.info), persona_called("excited"))
    assert "Argentina against France" in builder.prefix
    for cue in cues:
        text = builder.text(cue, ["What a save from Lloris!", "Corner to Argentina."], "goal for argentina")
        assert event_line(cue.facts, names_of(cue.state.info)) in text
        assert len(text.split()) < 48
        assert builder.prefix + text == builder.prefix + builder.text(
            cue, ["What a save from Lloris!", "Corner to Argentina."], "goal for argentina"
        )


@pytest.mark.parametrize("render", [chat, completion])
def test_an_opener_begins_the_answer(render: object, final_cues: dict[str, Cue]) -> None:
    cue = final_cues["wcf-008"]
    builder = PromptBuilder(render, names_of(cue.state.info))
    assert builder.text(cue, opener="Goal! Messi! ") == builder.text(cue) + "Goal! Messi!"


def test_every_cue_costs_fewer_tokens_than_the_limit(final_cues: dict[str, Cue]) -> None:
    model = models_dir() / "smollm2-135m-instruct"
    if not (model / "tokenizer.json").exists():
        pytest.skip("the model is not set up")
    tokenizer = Tokenizer(model)

    def count(text: str) -> int:
        return len(tokenizer.encode(text))

    some = next(iter(final_cues.values()))
    builder = PromptBuilder(tokenizer.chat, names_of(some.state.info), examples=False, count_tokens=count)
    openers = OpenerBook(names_of(some.state.info))
    said = ["What a goal from Tchouaméni, with Mac Allister the provider, and it's all square at two apiece!"]
    with_said = 0
    for cue in final_cues.values():
        for opener in ("", openers.choose(cue)):
            text = builder.text(cue, said, "and the goal for argentina number ten lionel messi", opener=opener)
            assert count(text) < LIMIT_TOKENS
            assert count(builder.prefix + text) == count(builder.prefix) + count(text)
            assert event_line(cue.facts, names_of(cue.state.info)) in text
            with_said += "Said:" in text
    assert with_said > len(final_cues)  # of twice as many prompts


def test_what_was_heard_and_said_gives_way_before_the_hints(final_cues: dict[str, Cue]) -> None:
    cue = final_cues["wcf-020"]

    def shown(limit: int) -> set[str]:
        builder = PromptBuilder(
            chat, names_of(cue.state.info), count_tokens=lambda text: len(text.split()), limit_tokens=limit
        )
        text = builder.text(cue, ["A throw for Argentina on the left."], "attention please ladies and gentlemen")
        return {mark for mark in ("Also:", "Said:", "Heard:", "Shot for France") if mark in text}

    found = [shown(limit) for limit in range(1, 60)]
    assert found[0] == {"Shot for France"}
    assert found[-1] == {"Also:", "Said:", "Heard:", "Shot for France"}
    assert all("Also:" in marks for marks in found if marks & {"Said:", "Heard:"})
    assert {"Also:", "Shot for France"} in found


def test_a_template_that_swallows_the_turn_is_refused(final_cues: dict[str, Cue]) -> None:
    info = final_cues["wcf-001"].state.info
    with pytest.raises(ConfigError, match="chat template"):
        PromptBuilder(lambda system, turns: system, names_of(info))


def test_examples_name_nobody_of_the_match(final_cues: dict[str, Cue]) -> None:
    cue = final_cues["wcf-008"]
    assert not AnyGate().check("Marsk heads it in!", cue).ok
    assert not AnyGate().check("Castrel bring on Dast, and Quint makes way.", cue).ok


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
    assert describe(final_cues[event_id].facts) == text


@pytest.mark.parametrize(
    ("event_id", "text"),
    [
        ("wcf-001", "1' Kick-off. Goalless."),
        ("wcf-008", "23' Goal for Argentina: Messi, penalty, left foot. Argentina lead 1-0."),
        ("wcf-002", "5' Shot for Argentina: Mac Allister, saved by Lloris. Goalless."),
        ("wcf-013", "45+7' Yellow card: Fernández of Argentina. Argentina lead 2-0."),
        ("wcf-010", "41' Substitution, France: Kolo Muani on for Dembélé. Argentina lead 2-0."),
        ("wcf-064", "Shoot-out, Argentina: Messi, scores. Level 1-1 on penalties."),
        ("wcf-073", "Full time. Argentina win 4-2 on penalties."),
    ],
)
def test_event_line(event_id: str, text: str, final_cues: dict[str, Cue]) -> None:
    assert event_line(final_cues[event_id].facts, names_of(final_cues[event_id].state.info)) == text

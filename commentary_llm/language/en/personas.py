"""Who is speaking: data for the prompt, and for the choice of template lines."""

from __future__ import annotations

from dataclasses import dataclass

from commentary_llm.ground.errors import ConfigError


@dataclass(frozen=True)
class Persona:
    """A commentator's manner.

    `manner`: one sentence for the prompt. `excitement`: factor on a cue's excitement (1 as it is). `tail_share`: how
    often a line gets a closing clause it could do without. `always_score`: with the score whenever there is room.
    """

    name: str
    manner: str
    excitement: float = 1.0
    tail_share: float = 0.5
    always_score: bool = False


PERSONAS = {
    persona.name: persona
    for persona in (
        Persona("neutral", "You are a fair, precise television commentator: short sentences, present tense."),
        Persona("excited", "You are a thrilled radio commentator: short, loud, vivid sentences.", excitement=1.4),
        Persona("dry", "You are a dry, understated commentator: few words, no exclamation.", 0.5, tail_share=0.2),
        Persona(
            "blind_listener",
            "You describe the match to listeners who cannot see it: say who, where and the score.",
            tail_share=0.9,
            always_score=True,
        ),
    )
}


def persona_called(name: str) -> Persona:
    """The persona called `name`; raises ConfigError with the names there are."""
    try:
        return PERSONAS[name]
    except KeyError:
        raise ConfigError(f"persona {name!r} is not known; choose one of {', '.join(sorted(PERSONAS))}") from None

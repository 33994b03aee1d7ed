"""What a recogniser might make of a stadium's announcer, for prompts to train on."""

from __future__ import annotations

import random

from commentary_llm.match import MatchInfo

_NOISE = (
    "and", "uh", "the", "goal", "number", "yeah", "for", "minute", "please", "substitution", "our", "welcome", "oh",
    "music", "applause", "off", "now", "nice", "ladies and gentlemen", "attention please", "thank you", "scored by",
    "coming on", "the score is", "this is", "owner of",
)  # fmt: skip


def heard_text(info: MatchInfo, rng: random.Random) -> str:
    """Half words, names misspelt, players who have no part in it."""
    players = [*info.home.players, *info.away.players]
    words: list[str] = []
    for _ in range(rng.randint(2, 7)):
        draw = rng.random()
        if draw < 0.35:
            words.append(_misheard(rng.choice(players).name.split()[-1], rng))
        elif draw < 0.5:
            words.append(str(rng.randint(1, 90)))
        elif draw < 0.6:
            words.append(rng.choice((info.home.name, info.away.name)))
        else:
            words.append(rng.choice(_NOISE))
    text = " ".join(words)
    return text[0].upper() + text[1:] + rng.choice((".", "", "..."))


def _misheard(name: str, rng: random.Random) -> str:
    letters = list(name)
    for _ in range(rng.randint(0, 2)):
        i = rng.randrange(len(letters))
        letters[i] = rng.choice(("", letters[i] * 2, rng.choice("aeioustlnr")))
    return "".join(letters) or name

"""From how exciting a moment is to how its line is spoken."""

from __future__ import annotations

from asr_tts.interfaces import SpeechStyle

# Outside these the voice slurs, mumbles or stutters; a style is clamped to them when it is spoken.
RATE_RANGE = (0.6, 1.6)
ENERGY_RANGE = (0.0, 1.5)
GAIN_RANGE_DB = (-24.0, 6.0)

_CALM = SpeechStyle(rate=1.0, energy=0.8, gain_db=-1.5)
_ROUSED = SpeechStyle(rate=1.22, energy=1.3, gain_db=4.0)


def style_for(excitement: float) -> SpeechStyle:
    """Style for an excitement from 0 (calm) to 1 (a late winner); values outside are clamped.

    A roused commentator talks faster, louder and with more melody; all three grow in a straight line.
    """
    level = min(max(excitement, 0.0), 1.0)

    def between(calm: float, roused: float) -> float:
        return calm + level * (roused - calm)

    return SpeechStyle(
        rate=between(_CALM.rate, _ROUSED.rate),
        energy=between(_CALM.energy, _ROUSED.energy),
        gain_db=between(_CALM.gain_db, _ROUSED.gain_db),
    )


def clamp(style: SpeechStyle) -> SpeechStyle:
    """The nearest style that the voice can speak."""
    return SpeechStyle(
        rate=min(max(style.rate, RATE_RANGE[0]), RATE_RANGE[1]),
        energy=min(max(style.energy, ENERGY_RANGE[0]), ENERGY_RANGE[1]),
        gain_db=min(max(style.gain_db, GAIN_RANGE_DB[0]), GAIN_RANGE_DB[1]),
    )

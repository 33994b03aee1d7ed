"""Records of a made-up replay of a real final, with every kind of outcome a replay can leave."""

from __future__ import annotations

import csv
import random
from pathlib import Path

from asr_tts.recognizer.word_error import word_errors
from commentary_llm.session.figures import summarise
from commentary_llm.session.record import CueRecord, Refusal, ReplaySummary, Stage

ARG, FRA = "Argentina", "France"


def _moments() -> list[tuple[int, str, int, str, str | None, str | None, str | None, str, str, str]]:
    """(period, minute, seconds since kick-off, type, detail, team, player, score, urgency, text)"""
    with Path(__file__).with_name("moments.csv").open(encoding="utf-8", newline="") as file:
        return [
            (
                int(row["period"]),
                row["minute"],
                int(row["elapsed_s"]),
                row["type"],
                row["detail"] or None,
                row["team"] or None,
                row["player"] or None,
                row["score"],
                row["urgency"],
                row["text"],
            )
            for row in csv.DictReader(file)
        ]


_FILLERS = [
    ("pass", "{team} keep the ball, patient across the back line."),
    ("corner", "Corner to {team}, and the tall men come up."),
    ("foul", "A foul by {team}, and the referee has a word."),
    ("tackle", "Well won in midfield by {team}."),
    ("throw_in", "{team} with the throw, deep in the other half."),
    ("clearance", "Cleared, but only as far as {team}’s next attack."),
]
_ANNOUNCED = {
    "goal": "Goal for {team}. The scorer, {player}.",
    "card": "Yellow card for {team}. {player}.",
    "substitution": "Substitution for {team}. Leaving the field, {player}.",
}
_KICK_OFF_S = {1: 0.0, 2: 4100.0, 3: 7600.0, 4: 8800.0, 5: 10200.0}


def sample_records(count: int = 90, seed: int = 7) -> list[CueRecord]:
    """`count` records in match order (at least the 37 chief moments)."""
    rng = random.Random(seed)
    rows = _moments()
    score_at = [(period, elapsed, score) for period, _, elapsed, _, _, _, _, score, _, _ in rows]
    while len(rows) < count:
        period = rng.choice((1, 1, 1, 2, 2, 2, 3, 4))
        length, base = (2900, {1: 0, 2: 45}[period]) if period < 3 else (900, {3: 90, 4: 105}[period])
        elapsed = rng.randrange(30, length)
        regular = 45 if period < 3 else 15
        minute = elapsed // 60 + 1
        shown = f"{base + minute}" if minute <= regular else f"{base + regular}+{minute - regular}"
        kind, text = rng.choice(_FILLERS)
        team = rng.choice((ARG, FRA))
        score = max(each for each in score_at if each[:2] <= (period, elapsed))[2]
        urgency = rng.choice(("fill", "note"))
        rows.append((period, shown, elapsed, kind, None, team, None, score, urgency, text.format(team=team)))
    rows.sort(key=lambda row: (row[0], row[2]))
    records: list[CueRecord] = []
    sound_s = 0.6
    for number, (period, minute, elapsed, kind, detail, team, player, score, urgency, text) in enumerate(rows):
        fate = rng.random()
        dropped = rng.choice(("stale", "superseded by a goal")) if urgency in ("fill", "note") and fate < 0.2 else None
        template = dropped is None and fate > 0.9
        refused = template or fate > 0.8
        timings = {} if dropped else _timings(rng, template)
        length_s = 0.4 + len(text) / 15
        heard = announced = ""
        if kind in _ANNOUNCED and player:
            announced = _ANNOUNCED[kind].format(team=team, player=player)
            heard = announced.lower().replace("á", "a").replace("é", "ay") if fate < 0.6 else announced
        records.append(
            CueRecord(
                event_id=f"e{number}",
                event_type=kind,
                event_detail=detail,
                period=period,
                minute=minute,
                elapsed_s=float(elapsed),
                team=team,
                player=player,
                urgency=urgency,
                reason=kind.replace("_", " "),
                text="" if dropped else text,
                source="none" if dropped else "template" if template else "model",
                source_reason="" if dropped else "no clause passed" if template else "passed the gate",
                dropped=dropped,
                cut_off=dropped is None and urgency == "note" and fate > 0.7,
                refusals=(
                    Refusal(text=f"{player or 'Olmo'} is sent off!", cause="what happened", detail="no red card"),
                    Refusal(text="France lead 4-1", cause="score", detail=f"the score is {score}"),
                )[: rng.choice((1, 2))]
                if refused
                else (),
                candidates=0 if dropped else 3,
                prompt_tokens=224,
                cached_tokens=192,
                generated_tokens=0 if dropped else rng.randrange(12, 30),
                score=score,
                stream_s=_KICK_OFF_S[period] + elapsed,
                start_s=None if dropped else round(sound_s, 3),
                end_s=None if dropped else round(sound_s + length_s, 3),
                timings_ms=timings,
                heard=heard,
                announced=announced,
            )
        )
        if not dropped:
            sound_s += length_s + rng.uniform(0.3, 2.0)
    return records


def _timings(rng: random.Random, template: bool) -> dict[str, float]:
    stages = {
        Stage.QUEUE: rng.lognormvariate(-0.5, 0.8),
        Stage.PROMPT: rng.lognormvariate(0.6, 0.4),
        Stage.FIRST_TOKEN: rng.lognormvariate(4.2, 0.4),
        Stage.TEXT: rng.lognormvariate(5.0, 0.4) * (1.6 if template else 1),
        Stage.SPEECH: rng.lognormvariate(3.7, 0.3),
        Stage.AUDIBLE: rng.lognormvariate(0.3, 0.5),
        Stage.REST: rng.lognormvariate(5.6, 0.5),
    }
    timings = {stage.value: round(value, 3) for stage, value in stages.items()}
    total = sum(timings.values())
    first = total - timings["rest"]
    return timings | {"first_audible": first, "text_done": first + 0.3 * timings["rest"], "last_sample": total}


def sample_summary(records: list[CueRecord], **changes: object) -> ReplaySummary:
    figures = summarise(records, word_errors)
    values: dict[str, object] = {
        "match_id": "wc2022-final",
        "title": "Argentina 3-3 France (4-2 on penalties)",
        "home": ARG,
        "away": FRA,
        "source": "typed in from public facts",
        "backend": "torch, SmolLM2-135M-Instruct INT8, 2 ranks, CPU bf16",
        "recognizer": "Whisper tiny.en, ONNX Runtime CPU",
        "synthesizer": "Piper en_US-joe-medium, ONNX Runtime CPU",
        "ranks": 2,
        "speed": "max",
        "wall_s": 96.4,
        "audio_s": max((record.end_s or 0.0 for record in records), default=0.0),
        "loudness_lufs": -22.94,
        "true_peak_dbtp": -1.31,
        "events": 112,
        "duplicates": 1,
        "late": 2,
        "skipped_unknown": 0,
        "started_at": "2026-11-22T11:24:50Z",
        "versions": {"commentary-llm": "0.1.0", "torch": "2.13.0", "onnxruntime": "1.25.0", "Python": "3.11.9"},
        **figures,
    }
    return ReplaySummary.model_validate(values | changes)

"""Texts for SmoothQuant's calibration: this engine's own prompts over the built-in match, each with a line."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

from commentary_llm.cue.cue import Cue
from commentary_llm.cue.director import Director, SpeechStatus
from commentary_llm.cue.facts import match_seconds
from commentary_llm.cue.history import LineHistory
from commentary_llm.generation.tokenizer import Tokenizer
from commentary_llm.ground.errors import ConfigError
from commentary_llm.language.en.gate import FactGate
from commentary_llm.language.en.names import name_book
from commentary_llm.language.en.personas import PERSONAS, persona_called
from commentary_llm.language.en.prompt import PromptBuilder
from commentary_llm.language.en.templates import TemplateWriter
from commentary_llm.language.en.text_rules import ENGLISH_RULES
from commentary_llm.match import Match
from commentary_llm.match.feeds.builtin import builtin_match_path
from commentary_llm.match.feeds.jsonl import read_jsonl

SAMPLES = 512  # as many as the library's calibration loop reads; it stops with an error where there are fewer
# The library looks data sets up by a word in their path: for this one it takes split "validation" and column "text".
_FOLDER, _FILE = "lambada", "validation.jsonl"


def calibration_texts(model: Path, *, examples: bool) -> list[str]:
    """`SAMPLES` whole conversations: every cue of the match by every persona, again and again with later lines."""
    recording = read_jsonl(builtin_match_path())
    chat = Tokenizer(model).chat
    names = name_book(recording.info)
    gate = FactGate(names)
    match, director = Match(recording.info), Director()
    cues: list[Cue] = []
    for event in recording.events:
        state = match.accept(event).state_after
        cue = director.decide(event, state, SpeechStatus(now_s=match_seconds(event))).cue
        if cue is not None:
            cues.append(cue)
    texts: list[str] = []
    for seed in itertools.count():
        for name in PERSONAS:
            history, speaker = LineHistory(ENGLISH_RULES), persona_called(name)
            prompts = PromptBuilder(chat, names, speaker, examples=examples)
            templates = TemplateWriter(names, gate, history, speaker, seed)
            for cue in cues:
                line = templates.write(cue)
                texts.append(prompts.prefix + prompts.text(cue, history.last(1)) + line)
                history.add(line, match_seconds(cue.event))
                if len(texts) == SAMPLES:
                    return texts
    raise AssertionError("unreachable")


def write_calibration(texts: list[str], scratch: Path) -> Path:
    """Writes the texts as a data set below `scratch`; the folder to give to the library."""
    folder = scratch / _FOLDER
    folder.mkdir()
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (folder / _FILE).write_text(lines, encoding="utf-8")
    return folder


def check_calibration(load: Any, folder: Path, texts: list[str]) -> None:
    """Raises ConfigError unless the library's own loader gives back exactly our texts from `folder`.

    Its rules for local data sets differ between releases, and it would calibrate on something else in silence.
    """
    try:
        found = list(load(str(folder)))
    except Exception as error:
        raise ConfigError(
            f"this TensorRT-LLM cannot read calibration texts from a folder ({type(error).__name__}: {error}); "
            "build with --quantization w8a16, which needs none"
        ) from error
    if found != texts:
        raise ConfigError(
            f"this TensorRT-LLM read {len(found)} other calibration texts than the {len(texts)} written; build with "
            "--quantization w8a16, which needs none"
        )

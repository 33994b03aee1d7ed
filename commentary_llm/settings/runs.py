"""The settings of the commands that run a match: where it comes from and where the results go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, create_model
from pydantic_settings import NoDecode

from commentary_llm.ground.errors import ConfigError
from commentary_llm.match.feeds.providers import PROVIDERS
from commentary_llm.match.feeds.schedule import Pace
from commentary_llm.settings.option import Flag, Group


def _words(value: Any) -> Any:
    """`pcm:a captions:b`, or a list of such."""
    return tuple(value.split()) if isinstance(value, str) else value


class OutputSettings(Group):
    """The files of a run."""

    title: ClassVar[str] = "results"

    out: Annotated[Path, Flag("--out", "DIR"), Field(description="folder for the files")] = Path("out")
    full_timeline: Annotated[
        bool, Flag("--full-timeline"), Field(description="keep the match's real pauses in the sound file")
    ] = False
    sink: Annotated[
        tuple[str, ...],
        NoDecode,
        BeforeValidator(_words),
        Flag("--sink", "NAME:WHERE"),
        Field(
            description="another place for what is said; may be repeated. `python -m commentary_llm choices sinks` "
            "lists the names"
        ),
    ] = ()


def _provider_files() -> type[Group]:
    """A setting for each kind of file that any data provider has."""
    help_texts: dict[str, list[str]] = {}
    for name, provider in PROVIDERS.items():
        for option, what in provider.description.items():
            help_texts.setdefault(option, []).append(f"{name}: {what}")
    fields: dict[str, Any] = {
        option: (
            Annotated[Path | None, Flag(f"--{option}", "FILE"), Field(description="; ".join(texts))],
            None,
        )
        for option, texts in help_texts.items()
    }
    made: type[Group] = create_model("ProviderFiles", __base__=Group, **fields)
    made.title = "files of a data provider"
    return made


if TYPE_CHECKING:
    ProviderFiles = Group
else:
    ProviderFiles = _provider_files()


def _kickoffs(value: Any) -> Any:
    """`1=0:42 2=1:03:10`, or a list of such: (period, seconds) each."""
    parts = value.split() if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)):
        raise ValueError("expected a list of PERIOD=TIME, such as 2=1:02:30")
    return tuple(_kickoff(part) if isinstance(part, str) else part for part in parts)


def _kickoff(text: str) -> tuple[int, float]:
    period, _, at = text.partition("=")
    try:
        seconds = 0.0
        for part in at.split(":"):
            seconds = seconds * 60 + float(part)
        number = int(period)
    except ValueError:
        number, seconds = 0, 0.0
    if not 1 <= number <= 5 or not at:
        raise ValueError(f"{text!r}: expected PERIOD=TIME, such as 2=1:02:30 or 2=3750")
    return number, seconds


def _pace(text: str) -> str:
    try:
        Pace.parse(text)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return text


class ReplaySettings(OutputSettings):
    """A recorded match; by default the built-in one, the 2022 World Cup final."""

    title: ClassVar[str] = "match; by default the built-in one, the 2022 World Cup final"

    match: Annotated[Path | None, Flag("--match", "FILE"), Field(description="a match in our own JSONL format")] = None
    provider: Annotated[
        str | None,
        Flag("--provider", "NAME"),
        Field(description=f"whose files are given: {', '.join(PROVIDERS)}"),
    ] = None
    files: ProviderFiles = ProviderFiles()
    audio: Annotated[
        Path | None, Flag("--audio", "FILE"), Field(description="the recording's sound, in any common format")
    ] = None
    no_audio: Annotated[bool, Flag("--no-audio"), Field(description="ignore the built-in match's stadium track")] = (
        False
    )
    kickoff: Annotated[
        tuple[tuple[int, float], ...],
        NoDecode,
        BeforeValidator(_kickoffs),
        Flag("--kickoff", "PERIOD=TIME"),
        Field(
            description="where a period kicks off in --audio, as seconds or [h:]m:s; periods not named follow one "
            "another; may be repeated"
        ),
    ] = ()
    speed: Annotated[
        str,
        AfterValidator(_pace),
        Flag("--speed", "SPEED"),
        Field(description="max, or times real time: 1x … 60x"),
    ] = "max"


class ServeSettings(OutputSettings):
    """A running match."""

    title: ClassVar[str] = "match"

    match_info: Annotated[
        Path | None,
        Flag("--match-info", "FILE", required=True),
        Field(description="both line-ups: a match file; its first line will do"),
    ] = None
    events: Annotated[
        str,
        Flag("--events", "WHERE"),
        Field(
            description="event lines from a file or FIFO, - for standard input, or tcp:HOST:PORT to listen there for a "
            "tracker, which gets an answer to each line"
        ),
    ] = "-"
    audio: Annotated[
        str | None,
        Flag("--audio", "WHERE"),
        Field(
            description="live stadium sound: a FIFO, - for standard input, or a stream's address, as PyAV reads them"
        ),
    ] = None
    audio_rate: Annotated[
        int | None,
        Flag("--audio-rate", "HZ"),
        Field(ge=8_000, le=192_000, description="--audio is raw s16le mono at this rate"),
    ] = None
    pcm: Annotated[
        str | None,
        Flag("--pcm", "WHERE"),
        Field(
            description="speech as an unbroken stream in real time, raw s16le mono at the voice's rate (22050 Hz as it "
            "comes): a file or FIFO, or - for standard output"
        ),
    ] = None
    captions: Annotated[
        str | None,
        Flag("--captions", "WHERE"),
        Field(
            description="captions as JSON lines: a file or FIFO, or - for standard output (default: -, unless --pcm "
            "goes there)"
        ),
    ] = None

"""The command line, made from the settings: flags, help, and what was given.

Made by argparse here rather than by pydantic-settings' `CliApp`: that one names flags by their place, and shows both
names where a shorter one is given (`--match.prepare, --no-match.prepare, --prepare, --no-prepare`); it takes `--llm`
for the whole group; it gives a flag to one setting only (`--speech-threads` is for two); and it ends the process at the
first word it does not know. Environment and file are read by pydantic-settings (`root`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from commentary_llm.ground.errors import ConfigError
from commentary_llm.ground.spelling import nearest
from commentary_llm.settings.option import Option, options_of
from commentary_llm.settings.root import Layer, Settings

ENGINE_GROUPS = ("llm", "voice", "recognizer", "station", "match")


class Parser(argparse.ArgumentParser):
    """Raises ConfigError where argparse would end the process, so that all complaints come out in one way."""

    def __init__(self, **options: Any) -> None:
        # An abbreviation that works today is another flag's tomorrow.
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        """Raises ConfigError."""
        raise ConfigError(f"{message}; `{self.prog} --help` lists the options")


class SettingsFlags:
    """The flags of some groups of `Settings`, added to a parser."""

    def __init__(self, parser: argparse.ArgumentParser, groups: Sequence[str] = ENGINE_GROUPS) -> None:
        """Adds `--config` and the flags of `groups` ("replay", "llm") to `parser`, a section for each title."""
        parser.add_argument(
            "--config", metavar="FILE", help="settings from a YAML file; what is given on the command line wins over it"
        )
        self._by_flag: dict[str, list[Option]] = {}
        options = [option for option in options_of(Settings) if option.path[0] in groups]
        for option in sorted(options, key=lambda option: groups.index(option.path[0])):
            self._by_flag.setdefault(option.flag.name, []).append(option)
        sections: dict[str, argparse._ArgumentGroup] = {}
        for flag, alike in list(self._by_flag.items()):
            section = _section(parser, sections, alike[0].group.title)
            _add(section, flag, alike[0], (alike[0].field.description or "") + _values(alike[0]))
        for flag, alike in list(self._by_flag.items()):
            if len(alike) > 1:  # the same for several stages; each has a flag for itself besides
                for option in alike:
                    own = f"--{option.path[-2]}-{option.path[-1]}".replace("_", "-")
                    self._by_flag[own] = [option]
                    section = _section(parser, sections, option.group.title)
                    _add(section, own, option, f"{flag} for the {option.path[-2]} alone")

    def given(self, args: argparse.Namespace, unknown: Iterable[str] = ()) -> Layer:
        """What the command line says. `unknown`: words that the parser did not know."""
        layer = Layer()
        words = vars(args)
        # What is for one stage comes after what is for all of them.
        for flag, options in sorted(self._by_flag.items(), key=lambda entry: -len(entry[1])):
            if flag in words:
                for option in options:
                    layer.values[option.path], layer.names[option.path] = words[flag], flag
        before = ""
        for word in unknown:
            if word.startswith("--"):
                flag = word.partition("=")[0]
                layer.wrong.append(f"{flag}: not known; did you mean {nearest(flag, self._by_flag)}?")
            elif not before.startswith("--"):  # else it is that flag's value
                layer.wrong.append(f"{word!r}: not expected; options begin with --")
            before = word
        return layer


class _Switch(argparse.Action):
    """`--prepare` and `--no-prepare`: either way something that the environment or the file has said is overruled."""

    def __init__(self, option_strings: Sequence[str], **options: Any) -> None:
        (flag,) = option_strings
        both = (flag,) if flag.startswith("--no-") else (flag, f"--no-{flag.removeprefix('--')}")
        super().__init__(option_strings=both, nargs=0, **options)
        self._on = flag

    def __call__(
        self, parser: argparse.ArgumentParser, args: argparse.Namespace, values: object, flag: str | None = None
    ) -> None:
        setattr(args, self.dest, flag == self._on)


def _section(
    parser: argparse.ArgumentParser, sections: dict[str, argparse._ArgumentGroup], title: str
) -> argparse._ArgumentGroup:
    if title not in sections:
        sections[title] = parser.add_argument_group(title)
    return sections[title]


def _add(section: argparse._ArgumentGroup, flag: str, option: Option, description: str) -> None:
    about: dict[str, Any] = {"dest": flag, "default": argparse.SUPPRESS, "help": description.replace("%", "%%")}
    if option.is_switch:
        section.add_argument(flag, action=_Switch, **about)
    else:
        metavar = option.flag.metavar or option.path[-1].rpartition("_")[2].upper()
        section.add_argument(flag, action="append" if option.repeats else "store", metavar=metavar, **about)


def _values(option: Option) -> str:
    """The choices or the range, and the default, in brackets."""
    parts = [] if option.is_switch or not option.choices else [", ".join(option.choices)]
    if option.range_text:
        parts.append(option.range_text)
    default = option.field.default
    if option.flag.required:
        parts.append("required")
    elif default is True:
        parts.append("default: yes")
    elif isinstance(default, (int, float)) and default is not False:
        parts.append(f"default: {default:g}")
    elif default not in (None, False, ()):
        parts.append(f"default: {default}")
    return f" ({'; '.join(parts)})" if parts else ""

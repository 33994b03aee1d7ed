"""How a setting is declared: a field of a group, with its flag, and what follows from that for help and messages.

    threads: Annotated[int, Flag("--llm-threads", "N"), Field(ge=1, le=64, description="CPU threads a rank")] = 1

Flag, environment variable, key of the file and the flat name in Python all follow from this one line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, get_args, get_origin

import annotated_types
from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError, core_schema

ENVIRONMENT_PREFIX = "COMMENTARY_"
ENVIRONMENT_DELIMITER = "__"

Place = tuple[str, ...]  # of a setting or group, from the root: ("llm", "threads")


@dataclass(frozen=True)
class Flag:
    """A setting's name on the command line, and what values it takes where a registry knows.

    `metavar`: what stands for the value in the help. `choices` is asked when a value or the help is looked at, never
    when a module is loaded. `required`: the command of the setting's group does not run without it.
    """

    name: str
    metavar: str | None = None
    choices: Callable[[], Sequence[str]] | None = None
    required: bool = False

    @property
    def flat_name(self) -> str:
        """`--llm-threads` as a keyword argument: `llm_threads`."""
        return self.name.removeprefix("--").replace("-", "_")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Refuses what is not among the choices."""
        schema = handler(source)
        if self.choices is None:
            return schema
        return core_schema.no_info_after_validator_function(self._chosen, schema)

    def _chosen(self, value: str | None) -> str | None:
        assert self.choices is not None
        if value is not None and value not in (known := self.choices()):
            raise PydanticCustomError("choice", "expected one of {choices}", {"choices": ", ".join(known)})
        return value


class Group(BaseModel):
    """Settings that belong together. Frozen; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: ClassVar[str] = ""  # in the help


@dataclass(frozen=True)
class Option:
    """One setting in its place below the root."""

    path: Place
    flag: Flag
    field: FieldInfo
    group: type[Group]  # that declares it

    @property
    def key(self) -> str:
        """As the file has it: `llm.threads`."""
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """Its environment variable: `COMMENTARY_LLM__THREADS`."""
        return variable_of(self.path)

    @property
    def is_switch(self) -> bool:
        return self.field.annotation is bool or bool in get_args(self.field.annotation)

    @property
    def repeats(self) -> bool:
        """Whether its flag may be given several times."""
        return get_origin(self.field.annotation) is tuple

    @property
    def choices(self) -> Sequence[str]:
        """The values there are to choose from; none when it is free."""
        if self.flag.choices is not None:
            return self.flag.choices()
        return [value for value in get_args(self.field.annotation) if isinstance(value, str)]

    @property
    def range_text(self) -> str:
        """ "1 to 64", "0 or more", "above 0, up to 1"; '' when there is none."""
        low, high = "", ""
        for rule in self.field.metadata:
            if isinstance(rule, annotated_types.Ge):
                low = f"{rule.ge}"
            elif isinstance(rule, annotated_types.Gt):
                low = f"above {rule.gt}"
            elif isinstance(rule, annotated_types.Le):
                high = f"{rule.le}"
        if low and high:
            return f"{low}, up to {high}" if low.startswith("above") else f"{low} to {high}"
        return low if low.startswith("above") else f"{low} or more" if low else f"{high} at most" if high else ""


def variable_of(path: Place) -> str:
    """The environment variable of a setting or group."""
    return ENVIRONMENT_PREFIX + ENVIRONMENT_DELIMITER.join(path).upper()


def options_of(model: type[BaseModel], below: Place = ()) -> Iterator[Option]:
    """All settings of a group and of the groups inside it, in the order of their declaration."""
    for name, field in model.model_fields.items():
        path, kind = (*below, name), field.annotation
        if isinstance(kind, type) and issubclass(kind, Group):
            yield from options_of(kind, path)
            continue
        flag = next((entry for entry in field.metadata if isinstance(entry, Flag)), None)
        if flag is not None:
            declared_in = next(base for base in reversed(model.__mro__) if name in getattr(base, "model_fields", ()))
            yield Option(path, flag, field, declared_in)

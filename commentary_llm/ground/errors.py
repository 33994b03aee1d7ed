"""The project's errors, told apart by what the caller can do about them.

Every message says what was found, what was expected, where (file and line, event id, rank), and how to mend it.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the commands return to the shell."""

    OK = 0
    FAILED = 1
    BAD_INPUT = 2
    ARTIFACT = 3
    INTERRUPTED = 130  # as a shell reports a program ended by Ctrl-C


class CommentaryError(Exception):
    """Base of every error raised on purpose."""


class ConfigError(CommentaryError):
    """An option or configuration value is wrong; change it and start again."""


class InputError(CommentaryError):
    """A match file, event, audio file or other input is wrong; mend the input."""


class ArtifactError(CommentaryError):
    """A weight, shard or engine file is missing, damaged or of another build; rebuild it with the command named."""


class EngineError(CommentaryError):
    """A model stage failed while running."""


class BusyError(EngineError):
    """A stage has no room for more at this moment; what was asked for can be done another way, or later."""


class RankLostError(EngineError):
    """An MPI rank died or no longer answers; the job has to be started again."""


class OutputError(CommentaryError):
    """An output could not be written (full disk, no permission)."""


def exit_code_of(error: CommentaryError) -> ExitCode:
    """What a command returns that was ended by `error`."""
    if isinstance(error, (InputError, ConfigError)):
        return ExitCode.BAD_INPUT
    return ExitCode.ARTIFACT if isinstance(error, ArtifactError) else ExitCode.FAILED

"""Writing so that a reader sees the old file or the whole new one, never a part: aside first, then renamed."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from commentary_llm.ground.errors import OutputError


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A free path beside `path`, at which the block writes a file or a folder that then takes the place of `path`.

    Whoever writes there makes it as any file is made, so it gets the permissions of any (no private temporary file
    whose mode has to be mended with the umask, which a process with threads cannot read without changing it). When the
    block ends by an exception, what was written is removed and `path` stays as it was. Only a killed process leaves
    its `.NAME.….part` behind. Several may write the same path at once: the last one to finish stays. Raises OSError.
    """
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        yield aside
        if aside.is_dir() and path.is_dir():
            shutil.rmtree(path)
        aside.replace(path)
    except BaseException:
        with suppress(OSError):
            shutil.rmtree(aside) if aside.is_dir() else aside.unlink(missing_ok=True)
        raise


def write_bytes_atomically(path: Path, content: bytes, *, sync: bool = True) -> None:
    """Writes `content` to `path`. `sync` False: a power cut may leave a damaged file, for what can be made again.

    Raises OutputError naming `path` when the disk is full, the folder is missing or not writable; an older file at
    `path` is then untouched and nothing half-written is left behind.
    """
    try:
        with written_aside(path) as aside, aside.open("xb") as file:
            file.write(content)
            if sync:
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        raise OutputError(
            f"could not write {path}: {error.strerror or error}; expected a writable folder with room for "
            f"{len(content) / 1e6:.1f} MB: free some space or choose another folder with --out"
        ) from error


def write_text_atomically(path: Path, text: str) -> None:
    """Writes `text` to `path` as UTF-8 with its line ends as they are. Raises what `write_bytes_atomically` raises."""
    write_bytes_atomically(path, text.encode("utf-8"))

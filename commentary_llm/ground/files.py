"""Writing text so that a reader sees the old file or the whole new one, never a part."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from commentary_llm.ground.errors import OutputError


def write_text_atomically(path: Path, text: str) -> None:
    """Writes `text` as UTF-8 with `\\n` line ends beside `path`, syncs it and renames it over `path`.

    Raises OutputError naming `path` when the disk is full, the folder is missing or not writable; an older file at
    `path` is then untouched and nothing half-written is left behind.
    """
    temporary: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; an output is as readable as any file the user creates.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as error:
        raise OutputError(
            f"could not write {path}: {error.strerror or error}; expected a writable folder with room for "
            f"{len(text) / 1e6:.1f} MB: free some space or choose another folder with --out"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)

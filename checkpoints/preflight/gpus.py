"""GPUs and the links between them, as nvidia-smi tells them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from commentary_llm.ground.errors import ConfigError, InputError

QUERY = ("--query-gpu=index,uuid,name,driver_version,memory.total,compute_cap", "--format=csv,noheader,nounits")
TOPOLOGY = ("topo", "-m")
PEER_READS = ("topo", "-p2p", "r")
NVLINK = ("nvlink", "--status")
_TIMEOUT_S = 30.0
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")  # topo underlines its head even into a pipe
RunSmi = Callable[[Sequence[str]], str]


@dataclass(frozen=True)
class GpuRow:
    """One GPU of this machine. `memory_mib`: None where the driver does not tell (some integrated ones)."""

    index: int
    uuid: str
    name: str
    driver: str
    memory_mib: int | None
    compute_capability: str


def run_nvidia_smi(arguments: Sequence[str]) -> str:
    """What `nvidia-smi arguments` prints. Raises ConfigError where it is not installed, InputError where it fails."""
    program = shutil.which("nvidia-smi")
    if program is None:
        raise ConfigError("no nvidia-smi: no NVIDIA driver here, or a container started without --gpus all")
    try:
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, env=_plain()
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(f"nvidia-smi {' '.join(arguments)} did not answer within {_TIMEOUT_S:g} s") from error
    if done.returncode:
        said = (done.stdout + done.stderr).strip()
        raise InputError(f"nvidia-smi {' '.join(arguments)} failed with code {done.returncode}: {said}")
    return done.stdout


def _plain() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C"}


def parse_gpus(text: str) -> list[GpuRow]:
    """Rows of `QUERY`. Raises InputError for a row of another form."""
    gpus = []
    for line in text.splitlines():
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) != 6 or not cells[0].isdigit():
            raise InputError(f"nvidia-smi told a GPU as {line!r}; expected index, uuid, name, driver, MiB, capability")
        memory = int(cells[4]) if cells[4].isdigit() else None
        gpus.append(GpuRow(int(cells[0]), cells[1], cells[2], cells[3], memory, cells[5]))
    return gpus


def parse_matrix(text: str) -> dict[tuple[int, int], str]:
    """(GPU, GPU) -> cell, of `nvidia-smi topo -m` ("NV18", "PIX", "PHB", "SYS", …) or `topo -p2p r` ("OK", "CNS", …).

    Other columns (network cards, affinities) are left out. Empty where the text holds no matrix.
    """
    columns: list[int | None] = []
    links: dict[tuple[int, int], str] = {}
    for line in _ESCAPES.sub("", text).splitlines():
        cells = line.split()
        if not columns:
            if cells and re.fullmatch(r"GPU\d+", cells[0]) and (len(cells) == 1 or not _cell(cells[1])):
                columns = [int(cell[3:]) if re.fullmatch(r"GPU\d+", cell) else None for cell in cells]
            continue
        if not cells or not re.fullmatch(r"GPU\d+", cells[0]):
            continue
        row = int(cells[0][3:])
        for column, cell in zip(columns, cells[1:], strict=False):
            if column is not None and column != row and _cell(cell):
                links[row, column] = cell
    return links


def _cell(text: str) -> bool:
    return re.fullmatch(r"X|NV\d+|PIX|PXB|PHB|NODE|SYS|OK|CNS|GNS|TNS|NS|U|DR", text) is not None


def parse_nvlink(text: str) -> dict[int, tuple[int, int]]:
    """GPU -> (active links, all links) of `nvidia-smi nvlink --status`; a GPU without links is left out."""
    found: dict[int, tuple[int, int]] = {}
    gpu = None
    for line in _ESCAPES.sub("", text).splitlines():
        head = re.match(r"GPU (\d+):", line)
        if head:
            gpu = int(head[1])
        link = re.match(r"\s*Link \d+: (.+)", line)
        if link and gpu is not None:
            active, total = found.get(gpu, (0, 0))
            found[gpu] = (active + ("GB/s" in link[1]), total + 1)
    return found


def visible_gpus(gpus: Sequence[GpuRow], environment: Mapping[str, str]) -> list[GpuRow]:
    """The GPUs that a program sees, in its order: all of them, or those of `CUDA_VISIBLE_DEVICES`.

    Like CUDA, stops at the first entry that names no GPU.
    """
    text = environment.get("CUDA_VISIBLE_DEVICES")
    if text is None:
        return list(gpus)
    seen: list[GpuRow] = []
    for entry in (part.strip() for part in text.split(",")):
        match = [gpu for gpu in gpus if entry and (str(gpu.index) == entry or gpu.uuid.startswith(entry))]
        if not match or match[0] in seen:
            break
        seen.append(match[0])
    return seen

"""Which GPU each rank gets, and how fast those GPUs reach each other."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence

from checkpoints.preflight.finding import Finding, Level
from checkpoints.preflight.gpus import GpuRow

_PATHS = {
    "PIX": "one PCIe switch",
    "PXB": "several PCIe switches",
    "PHB": "PCIe through the CPU",
    "NODE": "PCIe through the CPU, across its host bridges",
    "SYS": "PCIe and the link between two CPUs",
}
_NO_PEERS = {
    "CNS": "the chipset does not allow it",
    "GNS": "the GPUs do not support it",
    "TNS": "the topology does not allow it",
    "NS": "not supported",
    "U": "unknown",
    "DR": "switched off by a registry key of the driver",
}


def check_ranks(gpus: Sequence[GpuRow], ranks: int) -> list[Finding]:
    """Rank r of a node takes the r-th GPU its program sees; each rank needs one of its own."""
    findings = [
        Finding(
            Level.OK, f"rank {rank}", f"GPU {gpu.index}: {gpu.name}, {_memory(gpu)}, compute {gpu.compute_capability}"
        )
        for rank, gpu in enumerate(gpus[:ranks])
    ]
    if len(gpus) < ranks:
        mend = "use fewer ranks or more nodes (--hostfile); where CUDA_VISIBLE_DEVICES is set, let it name all of them"
        findings.append(Finding(Level.ERROR, "GPUs", str(len(gpus)), f"{ranks}, one a rank of this node", mend))
    names = {gpu.name for gpu in gpus[:ranks]}
    if len(names) > 1:
        mend = "choose equal ones with CUDA_VISIBLE_DEVICES: all ranks wait for the slowest, and engines fit one kind"
        findings.append(Finding(Level.WARNING, "GPUs", " and ".join(sorted(names)), "one kind", mend))
    return findings


def _memory(gpu: GpuRow) -> str:
    return "memory not told" if gpu.memory_mib is None else f"{gpu.memory_mib / 1024:.0f} GiB"


def check_links(
    gpus: Sequence[GpuRow],
    topology: Mapping[tuple[int, int], str],
    peers: Mapping[tuple[int, int], str],
    nvlinks: Mapping[int, tuple[int, int]],
) -> list[Finding]:
    """NVLink and peer-to-peer access between each two of the GPUs used. Nothing here stops a start."""
    findings = []
    for one, other in itertools.combinations(gpus, 2):
        pair = one.index, other.index
        name = f"GPU {pair[0]} - GPU {pair[1]}"
        link = topology.get(pair)
        if link is None:
            mend = "run `nvidia-smi topo -m` and see how they are connected"
            findings.append(Finding(Level.WARNING, name, "no word on the link", "NVLink", mend))
        elif re.fullmatch(r"NV\d+", link):
            findings.append(Finding(Level.OK, name, f"NVLink, {link[2:]} links"))
        else:
            mend = "it works, but every token waits for PCIe; choose GPUs joined by NVLink if there are any"
            findings.append(Finding(Level.WARNING, name, f"{link}: {_PATHS.get(link, 'no NVLink')}", "NVLink", mend))
        peer = peers.get(pair)
        if peer is not None and peer != "OK":
            mend = (
                "all-reduces take the slower way through NCCL and host memory; look for ACS or IOMMU settings, a "
                "virtual machine without peer access, or a container without --ipc=host"
            )
            found = f"no peer-to-peer access: {_NO_PEERS.get(peer, peer)}"
            findings.append(Finding(Level.WARNING, name, found, "peer-to-peer access", mend))
    for gpu in gpus:
        active, total = nvlinks.get(gpu.index, (0, 0))
        if active < total:
            mend = "links are down: see `nvidia-smi nvlink --status`, the fabric manager and the bridge"
            findings.append(
                Finding(Level.WARNING, f"GPU {gpu.index}", f"{active} of {total} NVLinks active", "all", mend)
            )
    return findings

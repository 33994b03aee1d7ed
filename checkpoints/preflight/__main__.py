"""`python -m checkpoints.preflight`: what the launch scripts ask before they start ranks. Needs no GPU to be run."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from checkpoints.preflight import gpus as smi
from checkpoints.preflight.finding import Finding, Level, table
from checkpoints.preflight.links import check_links, check_ranks
from checkpoints.preflight.mpi import check_mpi
from checkpoints.preflight.versions import VersionTable, check_versions
from commentary_llm.artifacts.manifest import read_manifest
from commentary_llm.generation.registry import BACKENDS
from commentary_llm.ground.errors import ArtifactError, CommentaryError, ExitCode
from commentary_llm.ground.home import ASR_MODEL, TTS_MODEL, llm_engines_dir, models_dir, shards_dir
from commentary_llm.settings.groups import LlmSettings


def gpu_findings(
    ranks: int, environment: Mapping[str, str], run: smi.RunSmi = smi.run_nvidia_smi
) -> tuple[list[Finding], str | None]:
    """GPUs, ranks and links; and the driver's version, None where there is none."""
    try:
        gpus = smi.parse_gpus(run(smi.QUERY))
    except CommentaryError as error:
        mend = "the CPU serves with --backend torch"
        return [Finding(Level.ERROR, "GPUs", str(error), f"{ranks}, one a rank of this node", mend)], None
    used = smi.visible_gpus(gpus, environment)
    findings = check_ranks(used, ranks)
    if ranks > 1 and len(used) >= ranks:
        answers = []
        for arguments in (smi.TOPOLOGY, smi.PEER_READS, smi.NVLINK):
            try:
                answers.append(run(arguments))
            except CommentaryError as error:  # old drivers know no -p2p; without an answer there is nothing to warn of
                findings.append(Finding(Level.WARNING, f"nvidia-smi {arguments[0]}", str(error)))
                answers.append("")
        topology, peers, nvlinks = answers
        findings += check_links(
            used[:ranks], smi.parse_matrix(topology), smi.parse_matrix(peers), smi.parse_nvlink(nvlinks)
        )
    return findings, gpus[0].driver if gpus else None


def artifact_findings(backend: str, model: str, ranks: int) -> list[Finding]:
    """What a start would load: present, and of this rank count. That it is whole is checked when it is loaded."""
    if backend == "tensorrt_llm":
        llm = llm_engines_dir(model, ranks)
        command = f"mpirun -n {ranks} --bind-to none python -m checkpoints engines build-llm --model {model}"
    else:
        llm, command = shards_dir(model, ranks), f"python -m checkpoints shard --model {model} --ranks {ranks}"
    wanted: list[tuple[str, Path, str]] = [("language model", llm, command)]
    wanted += [
        (what, models_dir() / name, "python -m checkpoints setup")
        for what, name in (("voice", TTS_MODEL), ("recogniser", ASR_MODEL))
    ]
    findings = []
    for what, folder, command in wanted:
        try:
            manifest = read_manifest(folder)
        except ArtifactError:
            findings.append(Finding(Level.ERROR, what, "none", str(folder), command))
        else:
            findings.append(Finding(Level.OK, what, f"{manifest.kind} {manifest.name}", ""))
    return findings


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a table (or, with --quiet, only what is wrong) on stderr; 1 if a start would fail, else 0."""
    parser = argparse.ArgumentParser(prog="python -m checkpoints.preflight", description=__doc__)
    model = LlmSettings.model_fields["model"]
    parser.add_argument("--backend", choices=BACKENDS.names(), default="torch")
    parser.add_argument("--ranks", type=int, default=2, help="tensor-parallel ranks (default 2)")
    parser.add_argument("--ranks-here", type=int, help="how many of them run on this node (default: all)")
    parser.add_argument("--llm", default=model.default, help=model.description)
    parser.add_argument("--quiet", action="store_true", help="only what is not as it should be, a line each")
    parser.add_argument("--mpi", action="store_true", help="also start ranks with mpirun and see whether they meet")
    args = parser.parse_args(arguments)
    here = args.ranks_here or args.ranks
    findings: list[Finding] = []
    if args.backend == "tensorrt_llm":
        findings, driver = gpu_findings(here, os.environ)
        findings += check_versions(VersionTable.load(), driver)
    if args.mpi:
        findings.append(check_mpi(here))
    findings += artifact_findings(args.backend, args.llm, args.ranks)
    if args.quiet:
        for finding in findings:
            if finding.level is not Level.OK:
                print(finding.sentence(), file=sys.stderr)
    else:
        print(table(findings))
    broken = any(finding.level is Level.ERROR for finding in findings)
    return ExitCode.FAILED if broken else ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())

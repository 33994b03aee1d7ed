"""What is looked at before a start: nvidia-smi's tables, versions, MPI, weights; and the pins that must be one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import smi_samples as smi
from hypothesis import given
from hypothesis import strategies as st

from checkpoints.preflight import __main__ as preflight
from checkpoints.preflight import constraints, gpus
from checkpoints.preflight.finding import Finding, Level, table
from checkpoints.preflight.mpi import check_mpi
from checkpoints.preflight.versions import IMAGE_VARIABLE, VersionTable, check_versions, fits
from commentary_llm.artifacts.machine import TENSORRT_LLM_VERSION
from commentary_llm.ground.errors import ConfigError, InputError
from commentary_llm.ground.home import LLM_MODEL

REPO = Path(__file__).resolve().parents[2]
CONTAINER = REPO / "launch" / "container"
RIGHT = {
    "tensorrt": "10.14.1.48",
    "tensorrt_llm": "1.2.1",
    "torch": "2.10.0a0+b4e4ee81d3.nv25.12",
    "transformers": "4.57.3",
}


def fake_smi(query: str, topology: str = "", peers: str = "", nvlink: str = "") -> Callable[[Sequence[str]], str]:
    answers = {gpus.QUERY: query, gpus.TOPOLOGY: topology, gpus.PEER_READS: peers, gpus.NVLINK: nvlink}
    return lambda arguments: answers[tuple(arguments)]  # type: ignore[index]


def look(ranks: int, run: Callable[[Sequence[str]], str], **environment: str) -> list[Finding]:
    return preflight.gpu_findings(ranks, environment, run)[0]


def worst(findings: list[Finding]) -> Level:
    levels = [finding.level for finding in findings]
    return next((level for level in (Level.ERROR, Level.WARNING) if level in levels), Level.OK)


def test_two_nvlinked_gpus_are_as_they_should_be() -> None:
    findings = look(2, fake_smi(smi.H200_QUERY, smi.H200_TOPOLOGY, smi.H200_PEERS, smi.H200_NVLINK))
    assert worst(findings) is Level.OK
    assert findings[0] == Finding(Level.OK, "rank 0", "GPU 0: NVIDIA H200, 140 GiB, compute 9.0")
    assert findings[-1] == Finding(Level.OK, "GPU 0 - GPU 1", "NVLink, 18 links")


@pytest.mark.parametrize(("topology", "path"), [(smi.PHB_TOPOLOGY, "PHB"), (smi.PIX_TOPOLOGY, "PIX")])
def test_pcie_alone_is_a_plain_warning(topology: str, path: str) -> None:
    findings = look(2, fake_smi(smi.L40S_QUERY, topology, smi.H200_PEERS, smi.NO_LINKS))
    assert worst(findings) is Level.WARNING
    (link,) = [finding for finding in findings if finding.level is Level.WARNING]
    assert link.sentence().startswith(f"warning: GPU 0 - GPU 1: found {path}: ")
    assert "NVLink" in link.sentence()


def test_only_the_links_between_the_gpus_used_count() -> None:
    bridged = fake_smi(smi.A6000_QUERY, smi.A6000_TOPOLOGY, smi.A6000_PEERS, "")
    assert worst(look(2, bridged)) is Level.OK
    assert worst(look(2, bridged, CUDA_VISIBLE_DEVICES="2,3")) is Level.OK
    across = look(2, bridged, CUDA_VISIBLE_DEVICES="3,1")
    assert [finding.what for finding in across if finding.level is Level.WARNING] == ["GPU 3 - GPU 1"] * 2
    assert any("no peer-to-peer access: the chipset" in finding.found for finding in across)
    assert across[0].found.startswith("GPU 3")
    by_uuid = look(2, bridged, CUDA_VISIBLE_DEVICES="GPU-00000002,GPU-00000003")
    assert [finding.found[:5] for finding in by_uuid[:2]] == ["GPU 2", "GPU 3"]


def test_nvlinks_that_are_down_are_named() -> None:
    findings = look(2, fake_smi(smi.H200_QUERY, smi.H200_TOPOLOGY, smi.H200_PEERS, smi.HALF_NVLINK))
    assert [f.sentence() for f in findings if f.level is Level.WARNING] == [
        "warning: GPU 0: found 17 of 18 NVLinks active, expected all; links are down: see `nvidia-smi nvlink "
        "--status`, the fabric manager and the bridge"
    ]


def test_too_few_gpus_are_an_error() -> None:
    for environment in ({}, {"CUDA_VISIBLE_DEVICES": "0"}):
        findings = look(2, fake_smi(smi.SINGLE_QUERY, smi.SINGLE_TOPOLOGY), **environment)
        assert worst(findings) is Level.ERROR
    assert worst(look(1, fake_smi(smi.SINGLE_QUERY))) is Level.OK
    narrowed = fake_smi(smi.H200_QUERY, smi.H200_TOPOLOGY, smi.H200_PEERS, smi.H200_NVLINK)
    assert worst(look(2, narrowed, CUDA_VISIBLE_DEVICES="1")) is Level.ERROR
    assert worst(look(1, narrowed, CUDA_VISIBLE_DEVICES="")) is Level.ERROR


def test_gpus_of_two_kinds_are_warned_of() -> None:
    mixed = smi.H200_QUERY.replace("NVIDIA H200", "NVIDIA A100-SXM4-80GB", 1)
    findings = look(2, fake_smi(mixed, smi.H200_TOPOLOGY, smi.H200_PEERS, smi.H200_NVLINK))
    assert [f.found for f in findings if f.level is Level.WARNING] == ["NVIDIA A100-SXM4-80GB and NVIDIA H200"]


def test_memory_that_is_not_told() -> None:
    assert "memory not told" in look(1, fake_smi(smi.SPARK_QUERY))[0].found


def test_no_driver_is_an_error_that_names_the_way_out() -> None:
    def absent(arguments: Sequence[str]) -> str:
        raise ConfigError("no nvidia-smi: no NVIDIA driver here")

    findings, driver = preflight.gpu_findings(2, {}, absent)
    assert driver is None
    assert findings[0].level is Level.ERROR
    assert "--backend torch" in findings[0].mend


def test_a_driver_without_p2p_report_is_no_error() -> None:
    def old(arguments: Sequence[str]) -> str:
        if tuple(arguments) == gpus.PEER_READS:
            raise InputError("nvidia-smi topo -p2p r failed with code 2: Invalid")
        return fake_smi(smi.H200_QUERY, smi.H200_TOPOLOGY, "", smi.H200_NVLINK)(arguments)

    assert worst(look(2, old)) is Level.WARNING


def test_a_row_of_another_form_is_refused() -> None:
    with pytest.raises(InputError, match="told a GPU as 'NVIDIA-SMI has failed'"):
        gpus.parse_gpus("NVIDIA-SMI has failed\n")


@given(st.text(alphabet=st.characters(codec="ascii")))
def test_any_text_makes_a_matrix_or_none(text: str) -> None:
    links = gpus.parse_matrix(text)
    assert all(one != other for one, other in links)
    gpus.parse_nvlink(text)


@given(st.integers(1, 8), st.data())
def test_a_matrix_comes_back_as_it_was(count: int, data: st.DataObject) -> None:
    cell = st.sampled_from(["NV1", "NV18", "PIX", "PXB", "PHB", "NODE", "SYS"])
    cells = {(i, j): data.draw(cell) for i in range(count) for j in range(count) if i != j}
    lines = ["\t" + "\t".join(f"GPU{i}" for i in range(count)) + "\tCPU Affinity\tNUMA Affinity"]
    lines += [
        f"GPU{i}\t" + "\t".join(cells.get((i, j), " X ") for j in range(count)) + "\t0-7\t0" for i in range(count)
    ]
    assert gpus.parse_matrix("\n".join(lines)) == cells


def test_versions_that_belong_together_pass() -> None:
    image = VersionTable.load().image
    findings = check_versions(
        VersionTable.load(),
        "580.95.05",
        environment={IMAGE_VARIABLE: image, "CUDA_VERSION": "13.1.0.036"},
        version_of=RIGHT.get,
    )
    assert worst(findings) is Level.OK
    assert [finding.what for finding in findings] == [
        *("image", "NVIDIA driver", "CUDA", "TensorRT", "TensorRT-LLM", "PyTorch", "transformers")
    ]


@pytest.mark.parametrize(
    ("what", "driver", "environment", "versions", "level"),
    [
        ("NVIDIA driver", "550.54.15", {}, {}, Level.WARNING),
        ("NVIDIA driver", None, {}, {}, Level.ERROR),
        ("CUDA", "580.95.05", {"CUDA_VERSION": "12.8.1"}, {}, Level.WARNING),
        ("TensorRT", "580.95.05", {}, {"tensorrt": "10.16.0.72"}, Level.WARNING),
        ("TensorRT-LLM", "580.95.05", {}, {"tensorrt_llm": "1.3.0rc15"}, Level.WARNING),
        ("TensorRT-LLM", "580.95.05", {}, {"tensorrt_llm": None}, Level.ERROR),
        ("image", "580.95.05", {IMAGE_VARIABLE: "nvcr.io/nvidia/tensorrt-llm/release:1.1.0"}, {}, Level.WARNING),
    ],
)
def test_each_difference_is_named_with_what_to_do(
    what: str, driver: str | None, environment: dict[str, str], versions: dict[str, str | None], level: Level
) -> None:
    found = {**RIGHT, **versions}
    findings = check_versions(VersionTable.load(), driver, environment=environment, version_of=found.get)
    (wrong,) = [finding for finding in findings if finding.level is not Level.OK]
    assert (wrong.what, wrong.level) == (what, level)
    assert wrong.wanted
    assert wrong.mend


def test_versions_that_are_none_do_not_fit() -> None:
    assert fits("10.14.1.48", "~=10.14.1")
    assert not fits("10.15.0", "~=10.14.1")
    assert not fits("unknown", ">=1")


def test_pins_are_one_everywhere() -> None:
    versions = VersionTable.load()
    wanted = {component.distribution: component.wanted for component in versions.components}
    assert wanted["tensorrt_llm"] == f"=={TENSORRT_LLM_VERSION}"
    extras = re.findall(r'"(tensorrt(?:-llm)?)==([^";]+)"', (REPO / "pyproject.toml").read_text(encoding="utf-8"))
    assert {name for name, _ in extras} == {"tensorrt", "tensorrt-llm"}
    for name, pin in extras:
        assert fits(pin, wanted[name.replace("-", "_")]), (name, pin)
    container = (CONTAINER / "Containerfile").read_text(encoding="utf-8")
    assert f"FROM {versions.image}@{versions.image_digest}\n" in container
    assert f"{IMAGE_VARIABLE}={versions.image} " in container


def instructions() -> list[tuple[str, str]]:
    """(instruction, arguments) of the container file, continued lines joined, comments left out."""
    lines = [line for line in (CONTAINER / "Containerfile").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in joined.splitlines() if line.strip()]


def test_the_container_file_parses_and_copies_what_exists() -> None:
    parsed = instructions()
    assert parsed[0][0] == "FROM"
    assert {name for name, _ in parsed} <= {"FROM", "COPY", "RUN", "ENV", "WORKDIR", "VOLUME", "CMD"}
    ignored = (CONTAINER / "Containerfile.dockerignore").read_text(encoding="utf-8").split()
    copied = [source for name, text in parsed if name == "COPY" for source in text.split()[:-1]]
    assert copied
    for source in copied:
        assert (REPO / source).exists(), source
        assert source not in ignored
    for name, text in parsed:
        if name == "CMD":
            assert (REPO / "launch" / json.loads(text)[0]).is_file()
        for path in re.findall(r"(?:launch|checkpoints)/[\w./-]+", text) if name == "RUN" else ():
            assert (REPO / path).is_file(), path


def test_the_container_installs_every_dependency_that_the_image_lacks() -> None:
    def names(text: str) -> set[str]:
        return {re.split(r"[<>=;\[ ]", line)[0] for line in text.splitlines() if line and not line.startswith("#")}

    project = (REPO / "pyproject.toml").read_text(encoding="utf-8")
    block = project.split("\ndependencies = [")[1].split("\n]")[0]
    ours = names("\n".join(re.findall(r'"([^"]+)"', block)))
    from_image = {"torch", "transformers", "tokenizers", "safetensors", "numpy", "mpi4py", "openmpi"}
    assert from_image <= ours
    assert names((CONTAINER / "requirements.txt").read_text(encoding="utf-8")) == ours - from_image


def test_the_image_pins_win_and_changes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, ours, now = tmp_path / "image", tmp_path / "ours", tmp_path / "now"
    image.write_text("numpy==2.1.2\nTorch==2.10.0a0+b4.nv25.12\nruamel.yaml==0.18\n")
    ours.write_text('# pins\nnumpy==2.5.5 ; python_version >= "3.12"\nav==18.1.0\nruamel_yaml==0.19\n')
    assert constraints.main(["merge", str(image), str(ours)]) == 0
    assert capsys.readouterr().out == "av==18.1.0\nnumpy==2.1.2\nruamel.yaml==0.18\nTorch==2.10.0a0+b4.nv25.12\n"
    now.write_text(image.read_text() + "av==18.1.0\n")
    assert constraints.main(["same", str(image), str(now)]) == 0
    now.write_text("numpy==2.2.0\nTorch==2.10.0a0+b4.nv25.12\n")
    assert constraints.main(["same", str(image), str(now)]) == 1
    told = capsys.readouterr().err
    assert "numpy==2.1.2 has become numpy==2.2.0" in told
    assert "ruamel.yaml==0.18 has become nothing" in told


@pytest.mark.mpi
@pytest.mark.usefixtures("mpi_as_root")
def test_ranks_that_meet_and_ranks_that_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    met = check_mpi(2)
    assert met.level is Level.OK, met
    assert met.found.endswith("2 ranks met")
    alone = tmp_path / "mpirun"  # of another MPI than mpi4py's: each rank is alone in its world
    alone.write_text(
        "#!/usr/bin/env bash\n"
        'while [[ $1 == -* ]]; do case $1 in -n | --bind-to) shift ;; esac; shift; done; "$@"; "$@"\n'
    )
    alone.chmod(0o755)
    monkeypatch.delenv("OMPI_COMM_WORLD_SIZE", raising=False)
    told = check_mpi(2, str(alone))
    assert told.level is Level.ERROR
    assert "each rank was alone" in told.found
    assert check_mpi(2, str(tmp_path / "absent")).level is Level.ERROR


def test_weights_and_engines_that_are_missing_are_named_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMMENTARY_HOME", str(tmp_path))
    assert preflight.main(["--ranks", "2"]) == 1
    told = capsys.readouterr().out
    assert f"-> python -m checkpoints shard --model {LLM_MODEL} --ranks 2" in told
    findings = preflight.artifact_findings("tensorrt_llm", "llama-7b", 2)
    assert "engines build-llm --model llama-7b" in findings[0].mend


@pytest.mark.models
def test_weights_that_are_there_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert preflight.main(["--ranks", "2"]) == 0
    assert preflight.main(["--ranks", "2", "--quiet"]) == 0
    assert "error" not in capsys.readouterr().err


def test_the_table_says_what_to_do_below_what_is_wrong() -> None:
    text = table([Finding(Level.OK, "a", "1"), Finding(Level.WARNING, "bb", "2", "3", "do this")])
    assert text.splitlines() == [
        "         what  found  expected",
        "ok       a     1",
        "warning  bb    2      3",
        "         -> do this",
    ]

"""The exact lines that the scripts would start, on a machine that has neither GPU, models nor an environment."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
BASE = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "OMP_NUM_THREADS": "4"}
LOCAL = """\
export OMPI_MCA_pml=ob1
export OMPI_MCA_btl=self\\,sm
export OMPI_MCA_smsc=\\^cma
export OMPI_MCA_accelerator=null
export OMPI_MCA_mpi_yield_when_idle=1
export HWLOC_HIDE_ERRORS=2
export OMP_NUM_THREADS=4
export TOKENIZERS_PARALLELISM=false
export PRTE_MCA_prte_tmpdir_base=/tmp/clm.XXXXXX
export OMPI_MCA_orte_tmpdir_base=/tmp/clm.XXXXXX
"""
ON_GPUS = """\
export OMPI_MCA_mpi_yield_when_idle=1
export HWLOC_HIDE_ERRORS=2
export OMP_NUM_THREADS=4
export TOKENIZERS_PARALLELISM=false
"""
SESSION = """\
export PRTE_MCA_prte_tmpdir_base=/tmp/clm.XXXXXX
export OMPI_MCA_orte_tmpdir_base=/tmp/clm.XXXXXX
"""
HANDED_ON = "-x PATH -x HWLOC_HIDE_ERRORS -x OMP_NUM_THREADS -x TOKENIZERS_PARALLELISM"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout, with a space in its path, where nothing was ever set up."""
    shutil.copytree(REPO / "launch", tmp_path / "my checkout" / "launch")
    shutil.copy(REPO / "pyproject.toml", tmp_path / "my checkout")
    return tmp_path / "my checkout"


def dry_run(root: Path, script: str, *options: str, **environment: str) -> str:
    """What is printed, without the two lines that only root gets. Nothing may be made."""
    before = sorted(root.rglob("*"))
    told = subprocess.run(
        [str(root / "launch" / script), "--dry-run", *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**BASE, **environment},
    )
    assert told.returncode == 0, told.stderr
    assert not told.stderr
    assert sorted(root.rglob("*")) == before
    return "".join(line + "\n" for line in told.stdout.splitlines() if "ALLOW_RUN_AS_ROOT" not in line)


def own_path(root: Path) -> str:
    return f'export PATH={str(root).replace(" ", chr(92) + " ")}/.venv/bin:"$PATH"\n'


def python(root: Path) -> str:
    return f"{root}/.venv/bin/python".replace(" ", "\\ ")


def test_a_replay_on_this_machine(root: Path) -> None:
    assert dry_run(root, "replay.sh") == (
        own_path(root) + LOCAL + f"mpirun -n 2 --bind-to none --oversubscribe {python(root)} -m commentary_llm replay\n"
    )


def test_options_with_spaces_and_quotes_come_through_a_shell_unchanged(root: Path) -> None:
    told = dry_run(root, "replay.sh", "--match", "a b/it's.jsonl", "--ranks=3", "--speed", "1x", "--out", "$(x) *")
    words = shlex.split(told.splitlines()[-1])
    assert words[words.index("-n") + 1] == "3"
    assert words[words.index("replay") + 1 :] == ["--match", "a b/it's.jsonl", "--speed", "1x", "--out", "$(x) *"]


def test_tensorrt_llm_gets_a_gpu_a_rank_and_what_the_user_has_set(root: Path) -> None:
    told = dry_run(
        root,
        "replay.sh",
        *("--backend", "tensorrt_llm", "--llm", "llama-7b"),
        NCCL_NVLS_ENABLE="0",
        CUDA_VISIBLE_DEVICES="2,3",
        LD_LIBRARY_PATH="/opt/trt lib",
        OMPI_MCA_btl="tcp,self",
    )
    assert told == (
        "# rank 0: GPU 0 of those its node shows\n"
        "# rank 1: GPU 1 of those its node shows\n" + own_path(root) + ON_GPUS + SESSION + "mpirun -n 2 --bind-to none "
        "-x PATH -x LD_LIBRARY_PATH -x HWLOC_HIDE_ERRORS -x OMP_NUM_THREADS -x TOKENIZERS_PARALLELISM "
        f"-x CUDA_VISIBLE_DEVICES -x NCCL_NVLS_ENABLE {python(root)} -m mpi4py -m commentary_llm replay "
        "--backend tensorrt_llm --llm llama-7b\n"
    )
    assert "CUDA_VISIBLE_DEVICES=" not in told  # never set here, least of all for one rank


def test_the_backend_may_come_from_the_environment(root: Path) -> None:
    told = dry_run(root, "replay.sh", COMMENTARY_LLM__BACKEND="tensorrt_llm", COMMENTARY_LLM__MODEL="llama-7b")
    assert "# rank 1: GPU 1 of those its node shows\n" in told
    assert told.endswith(
        f"-x COMMENTARY_LLM__BACKEND -x COMMENTARY_LLM__MODEL {python(root)} -m mpi4py -m commentary_llm replay\n"
    )
    told = dry_run(root, "replay.sh", "--backend", "torch", COMMENTARY_LLM__BACKEND="tensorrt_llm")
    assert told.endswith("--oversubscribe " + python(root) + " -m commentary_llm replay --backend torch\n")


def test_the_streams_may_come_from_the_environment(root: Path) -> None:
    variables = {"COMMENTARY_SERVE__EVENTS": "tcp:127.0.0.1:7070", "COMMENTARY_SERVE__PCM": "-"}
    told = dry_run(root, "serve.sh", "--match-info=x", **variables)
    assert told.endswith("serve --match-info=x --events tcp:127.0.0.1:7070 --pcm /tmp/clm.XXXXXX/pcm\n")
    told = dry_run(root, "serve.sh", "--match-info=x", "--pcm", "voice", "--events=-", **variables)
    assert told.endswith(
        "serve --match-info=x --pcm voice --events /tmp/clm.XXXXXX/events --captions /tmp/clm.XXXXXX/captions\n"
    )


@pytest.mark.parametrize("script", ["replay.sh", "serve.sh"])
def test_a_file_of_settings_can_be_read_only_where_the_engine_is(root: Path, script: str) -> None:
    told = subprocess.run(
        [str(root / "launch" / script), "--dry-run", "--config", "x.yaml"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=BASE,
    )
    assert told.returncode == 1
    assert "reads --config; run ./launch/setup.sh first" in told.stderr


def test_a_file_of_settings_decides_what_is_started(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "my settings.yaml"
    file.write_text(
        "llm: {backend: tensorrt_llm, model: llama-7b}\nserve: {match_info: x, events: 'tcp:h:1', captions: '-'}\n"
    )
    engine = {"COMMENTARY_PYTHON": sys.executable, "PYTHONPATH": str(REPO)}
    quoted = str(file).replace(" ", chr(92) + " ")
    told = dry_run(root, "replay.sh", "--config", str(file), **engine)
    assert told.endswith(f"{sys.executable} -m mpi4py -m commentary_llm replay --config {quoted}\n")
    told = dry_run(root, "replay.sh", f"--config={file}", "--backend", "torch", **engine)
    assert f"{sys.executable} -m commentary_llm replay --config={quoted} --backend torch" in told
    told = dry_run(root, "serve.sh", "--config", str(file), **engine)
    assert told.endswith(f"serve --config {quoted} --events tcp:h:1 --captions /tmp/clm.XXXXXX/captions\n")
    file.write_text("llm: {backend: tensorrt}\n")
    refused = subprocess.run(
        [str(root / "launch/replay.sh"), "--dry-run", "--config", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**BASE, **engine},
    )
    assert refused.returncode == 2
    assert "expected one of auto, tensorrt_llm, torch; did you mean 'tensorrt_llm'?" in refused.stderr


def test_what_the_user_has_set_of_our_own_settings_stays(root: Path) -> None:
    told = dry_run(root, "replay.sh", OMPI_MCA_btl="tcp,self", TOKENIZERS_PARALLELISM="true")
    assert "export OMPI_MCA_btl=tcp\\,self\n" in told
    assert "export TOKENIZERS_PARALLELISM=true\n" in told


def test_more_nodes(root: Path, tmp_path: Path) -> None:
    hosts = tmp_path / "my hosts"
    hosts.write_text("# two nodes\nnode-a slots=2\n\nnode-b slots=2\n")
    command = ["--backend=tensorrt_llm", "--ranks", "4", "--hostfile", str(hosts)]
    told = dry_run(root, "replay.sh", *command, COMMENTARY_PYTHON="/usr/bin/python3")
    assert told == (
        "".join(f"# rank {rank}: GPU {rank % 2} of those its node shows\n" for rank in range(4))
        + ON_GPUS
        + f"mpirun -n 4 --hostfile {str(hosts).replace(' ', chr(92) + ' ')} --map-by ppr:2:node --bind-to none "
        f"{HANDED_ON} -x COMMENTARY_PYTHON /usr/bin/python3 -m mpi4py -m commentary_llm replay --backend tensorrt_llm\n"
    )
    on_cpus = dry_run(root, "replay.sh", "--ranks", "2", "--hostfile", str(hosts))
    assert f"--map-by ppr:1:node --bind-to none {HANDED_ON} {python(root)} -m commentary_llm replay\n" in on_cpus
    assert "OMPI_MCA_btl" not in on_cpus  # shared memory alone does not reach another node
    assert "tmpdir_base" not in on_cpus  # nor does a folder of this one


def test_serve_with_its_pipes(root: Path) -> None:
    told = dry_run(root, "serve.sh", "--match-info", "the teams.jsonl", "--pcm", "-")
    assert told == (
        own_path(root)
        + LOCAL
        + f"mpirun -n 2 --bind-to none --oversubscribe {python(root)} -m commentary_llm serve --match-info "
        "the\\ teams.jsonl --pcm /tmp/clm.XXXXXX/pcm --events /tmp/clm.XXXXXX/events\n"
    )
    told = dry_run(root, "serve.sh", "--match-info=x", "--events", "tcp:127.0.0.1:7070", "--captions", "c d.jsonl")
    assert told.endswith("serve --match-info=x --events tcp:127.0.0.1:7070 --captions c\\ d.jsonl\n")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--hostfile", "/absent"], "--hostfile /absent cannot be read"),
        (["--hostfile", "EMPTY"], "names no node"),
        (["--hostfile", "TWO", "--ranks", "3"], "3 ranks do not divide among the 2 nodes"),
        (["--hostfile", "TWO", "--ranks", "4", "--ranks-per-node", "1"], "2 nodes cannot hold 4 ranks"),
        (["--hostfile", "TWO", "--ranks-per-node", "x"], "--ranks-per-node is 'x'"),
        (["--ranks-per-node", "2"], "goes with --hostfile"),
        (["--ranks", "none"], "--ranks is 'none'"),
        (["--backend"], "--backend needs a value"),
    ],
)
def test_options_that_cannot_be_are_refused(root: Path, tmp_path: Path, options: list[str], expected: str) -> None:
    (tmp_path / "EMPTY").write_text("# nobody\n")
    (tmp_path / "TWO").write_text("a\nb\n")
    named = [str(tmp_path / option) if option in ("EMPTY", "TWO") else option for option in options]
    told = subprocess.run(
        [str(root / "launch/replay.sh"), "--dry-run", *named], capture_output=True, text=True, check=False, timeout=60
    )
    assert told.returncode == 2
    assert expected in told.stderr
    assert not told.stdout


def test_a_check_without_an_environment_says_what_to_run(root: Path) -> None:
    told = subprocess.run(
        [str(root / "launch/check.sh")], capture_output=True, text=True, check=False, timeout=60, env=BASE
    )
    assert told.returncode == 1
    assert "run ./launch/setup.sh first" in told.stderr
    told = subprocess.run(
        [str(root / "launch/check.sh"), "--match", "x"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=BASE,
    )
    assert told.returncode == 2
    assert "check.sh does not know: --match x" in told.stderr


@pytest.mark.parametrize(("nodes", "expected"), [("1", "--ranks 2 "), ("2", "--ranks 4 --hostfile ")])
def test_slurm_hands_its_nodes_to_the_replay_and_passes_its_signal_on(
    root: Path, tmp_path: Path, nodes: str, expected: str
) -> None:
    programs = {
        tmp_path / "bin/scontrol": 'echo "node-a"; echo "node-b"',
        root
        / "launch/replay.sh": 'echo "$@"; env | grep -c ^SLURM || true; for a; do [[ ! -f $a ]] || cat "$a"; done\n'
        "trap 'echo stopped; exit 130' TERM; touch started; for _ in {1..300}; do sleep 0.1; done",
    }
    for path, text in programs.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/usr/bin/env bash\n{text}\n")
        path.chmod(0o755)
    slurm = {"SLURM_JOB_NUM_NODES": nodes, "SLURM_NTASKS_PER_NODE": "2", "SLURM_JOB_NODELIST": "node-[a-b]"}
    job = subprocess.Popen(
        ["bash", str(root / "launch/cluster/slurm.sbatch"), "--llm", "llama-7b"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**BASE, **slurm, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"},
    )
    deadline = time.monotonic() + 30
    while not (root / "started").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    job.send_signal(signal.SIGINT)
    output, _ = job.communicate(timeout=60)
    lines = output.splitlines()
    assert lines[0].startswith(expected)
    assert lines[0].endswith("--backend tensorrt_llm --llm llama-7b")
    assert lines[1] == "0"  # no variable of Slurm's is left to mislead MPI
    assert lines[2:] == (["node-a slots=2", "node-b slots=2"] if nodes == "2" else []) + ["stopped"]
    assert job.returncode == 130
    assert not list(root.glob("hosts.*"))

"""The launch scripts: they parse, are clean, pass options and exit codes on, and hand Ctrl-C to rank 0."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
SCRIPTS = [*sorted((REPO / "launch").glob("*.sh")), REPO / "launch/cluster/slurm.sbatch", REPO / ".ci" / "run"]
TIMEOUT_S = 60

FAKE_PYTHON = """#!/usr/bin/env bash
if [[ $1 == -c || "$1 $2" == "-m pip" ]]; then exit 0; fi
case "$*" in
    *"--show-settings llm.backend,llm.model") printf '%s\\n' auto a-model; exit ;;
    *"--show-settings serve.events,serve.audio,serve.pcm,serve.captions") printf '%s\\n' tcp:h:1 "" - ""; exit ;;
    *"choices backends") printf '%s\\n' auto one another; exit ;;
esac
echo "python in $PWD: $*"
"""
FAKE_MPIRUN = """#!/usr/bin/env bash
while [[ $1 == -* ]]; do [[ $1 == -n || $1 == --bind-to ]] && { echo "$1=$2"; shift; }; shift; done
shift
printf '<%s>' "$@"; echo
echo "session $PRTE_MCA_prte_tmpdir_base, cwd $PWD"
exit "${FAKE_CODE:-0}"
"""


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    settings = {"capture_output": True, "text": True, "timeout": TIMEOUT_S, "check": False} | options
    return subprocess.run([str(part) for part in command], **settings)  # type: ignore[call-overload, no-any-return]


def write_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout, with a space in its path, whose .venv counts as installed and holds programs that only tell."""
    root = tmp_path / "my checkout"
    shutil.copytree(REPO / "launch", root / "launch")
    shutil.copy(REPO / "pyproject.toml", root)
    write_program(root / ".venv/bin/python", FAKE_PYTHON)
    write_program(root / ".venv/bin/mpirun", FAKE_MPIRUN)
    (root / ".venv/pyvenv.cfg").write_text("version = 3.11.0\n")
    stamp = 'source launch/common.sh; for what in base test; do fingerprint $what > "$VENV/.installed-$what"; done'
    assert run("bash", "-c", stamp, cwd=root).returncode == 0
    return root


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_parses_and_shellcheck_is_content(script: Path) -> None:
    assert run("bash", "-n", script).returncode == 0
    shellcheck = shutil.which("shellcheck") or shutil.which("shellcheck", path=Path(sys.executable).parent)
    if shellcheck is None:
        pytest.skip("shellcheck is not installed (it comes with the test extra)")
    checked = run(shellcheck, "-x", script, cwd=REPO)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("name", ["setup", "replay", "serve", "check", "test"])
def test_help_sets_nothing_up(tmp_path: Path, name: str) -> None:
    shutil.copytree(REPO / "launch", tmp_path / "launch")
    told = run(tmp_path / "launch" / f"{name}.sh", "--help")
    assert told.returncode == 0
    assert told.stdout.startswith(f"usage: {name}.sh")
    assert [path.name for path in tmp_path.iterdir()] == ["launch"]


def test_replay_passes_options_on_from_any_folder(checkout: Path, tmp_path: Path) -> None:
    told = run(checkout / "launch/replay.sh", "--match", "a b.jsonl", "--ranks", "3", "--speed", "1x", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert lines[0].endswith(": -m checkpoints setup --ranks 3")
    assert "-n=3" in lines
    assert "<-m><commentary_llm><replay><--match><a b.jsonl><--speed><1x>" in lines
    session = Path(lines[-1].split()[1].rstrip(","))
    assert lines[-1].endswith(f"cwd {tmp_path}")
    assert len(str(session)) < 30
    assert not session.exists()


def test_wrong_options_are_refused_before_anything_is_set_up(checkout: Path) -> None:
    refuses = FAKE_PYTHON.replace("printf '%s\\n' auto a-model; exit", "echo 'error: wrong options' >&2; exit 2")
    assert refuses != FAKE_PYTHON
    write_program(checkout / ".venv/bin/python", refuses)
    told = run(checkout / "launch/replay.sh", "--candidates", "99")
    assert (told.returncode, told.stdout, told.stderr) == (2, "", "error: wrong options\n")


def test_the_help_lists_the_backends_there_are(checkout: Path) -> None:
    told = run(checkout / "launch/replay.sh", "--help").stdout
    assert "  --backend NAME        what generates: auto one another\n" in told


def test_streams_of_a_settings_file_are_bridged(checkout: Path, tmp_path: Path) -> None:
    told = run(checkout / "launch/serve.sh", "--config", "x.yaml", cwd=tmp_path, input="")
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    session = lines[-1].split()[1].rstrip(",")
    assert f"<-m><commentary_llm><serve><--config><x.yaml><--events><tcp:h:1><--pcm><{session}/pcm>" in lines


def test_two_ranks_unless_asked(checkout: Path) -> None:
    assert "-n=2" in run(checkout / "launch/replay.sh").stdout.splitlines()


def test_exit_code_of_the_replay_is_passed_on(checkout: Path) -> None:
    assert run(checkout / "launch/replay.sh", env={**os.environ, "FAKE_CODE": "7"}).returncode == 7


@pytest.mark.parametrize("value", ["0", "two", ""])
def test_wrong_rank_count_is_refused(checkout: Path, value: str) -> None:
    for script in ("setup.sh", "replay.sh"):
        told = run(checkout / "launch" / script, f"--ranks={value}")
        assert told.returncode == 2
        assert f"--ranks is '{value}'" in told.stderr
    assert run(checkout / "launch/replay.sh", "--ranks").returncode == 2


def test_setup_takes_several_rank_counts_and_refuses_what_it_does_not_know(checkout: Path) -> None:
    assert "checkpoints setup --ranks 1 4" in run(checkout / "launch/setup.sh", "--ranks", "1", "--ranks=4").stdout
    told = run(checkout / "launch/setup.sh", "--rank", "1")
    assert told.returncode == 2
    assert "unknown option --rank" in told.stderr


def test_serve_bridges_standard_ends_and_passes_the_rest_on(checkout: Path, tmp_path: Path) -> None:
    told = run(checkout / "launch/serve.sh", "--match-info", "a b.jsonl", "--pcm=-", cwd=tmp_path, input="")
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    session = lines[-1].split()[1].rstrip(",")
    wanted = f"<serve><--match-info><a b.jsonl><--pcm><{session}/pcm><--events><{session}/events>"
    assert f"<-m><commentary_llm>{wanted}" in lines
    assert not Path(session).exists()


def test_a_start_that_fails_leaves_no_bridge_behind(checkout: Path, tmp_path: Path) -> None:
    broken = FAKE_PYTHON.replace('echo "python', 'if [[ $2 == checkpoints ]]; then exit 1; fi; echo "python')
    write_program(checkout / ".venv/bin/python", broken)
    events = subprocess.Popen(["sleep", "50"], stdout=subprocess.PIPE)  # a tracker that says nothing
    try:
        # Returns only when nobody holds standard output any more.
        told = run(checkout / "launch/serve.sh", "--match-info", "x", "--pcm", "-", cwd=tmp_path, stdin=events.stdout)
    finally:
        events.kill()
        events.wait(10)
    assert told.returncode == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--pcm", "-", "--captions", "-"], "both go to standard output"),
        (["--audio", "-", "--events", "-"], "both read standard input"),
        (["--audio=-"], "both read standard input"),
        (["--pcm"], "--pcm needs a value"),
    ],
)
def test_two_streams_on_one_end_are_refused(checkout: Path, options: list[str], expected: str) -> None:
    told = run(checkout / "launch/serve.sh", "--match-info", "x", *options)
    assert told.returncode == 2
    assert expected in told.stderr


def test_an_environment_made_elsewhere_is_used_as_it_is(checkout: Path, tmp_path: Path) -> None:
    shutil.rmtree(checkout / ".venv")
    write_program(tmp_path / "bin dir/python3", FAKE_PYTHON)
    write_program(tmp_path / "bin dir/mpirun", FAKE_MPIRUN)
    python = tmp_path / "bin dir/python3"
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    told = run(checkout / "launch/replay.sh", env={**os.environ, "COMMENTARY_PYTHON": str(python), "PATH": path})
    assert told.returncode == 0, told.stderr
    assert "<-m><commentary_llm><replay>" in told.stdout
    assert "Installing" not in told.stderr
    assert not (checkout / ".venv").exists()
    told = run(checkout / "launch/replay.sh", env={**os.environ, "COMMENTARY_PYTHON": "/absent"})
    assert told.returncode == 1
    assert "COMMENTARY_PYTHON=/absent is no program" in told.stderr


def test_tests_run_in_the_checkout_with_options(checkout: Path, tmp_path: Path) -> None:
    told = run(checkout / "launch/test.sh", "-k", "a or b", cwd=tmp_path)
    assert f"python in {checkout}: -m pytest -n 2 --dist loadfile -k a or b" in told.stdout.splitlines()
    assert "checkpoints setup --ranks 1 2 3 4" in told.stdout


def test_changed_pins_are_installed_again(checkout: Path) -> None:
    with (checkout / "launch/constraints.txt").open("a") as file:
        file.write("# changed\n")
    assert "Installing the project" in run(checkout / "launch/setup.sh").stderr
    assert "Installing the project" not in run(checkout / "launch/setup.sh").stderr


def test_python_that_does_not_fit_is_named(checkout: Path) -> None:
    shutil.rmtree(checkout / ".venv")
    told = run(checkout / "launch/setup.sh", env={**os.environ, "PYTHON": "/bin/false"})
    assert told.returncode == 1
    assert "PYTHON=/bin/false does not run" in told.stderr


@pytest.mark.mpi
def test_interrupt_reaches_rank_0_which_ends_the_others(checkout: Path, tmp_path: Path) -> None:
    mpirun = shutil.which("mpirun") or shutil.which("mpirun", path=Path(sys.executable).parent)
    if mpirun is None:
        pytest.skip("mpirun is not installed")
    write_program(checkout / ".venv/bin/mpirun", f'#!/usr/bin/env bash\nexec "{mpirun}" "$@"\n')
    ranks = tmp_path / "ranks.py"
    ranks.write_text(
        "import sys, time\n"
        "from pathlib import Path\n"
        "from mpi4py import MPI\n"
        "here, rank = Path(sys.argv[1]), MPI.COMM_WORLD.rank\n"
        "MPI.COMM_WORLD.Barrier()\n"
        "try:\n"
        "    if rank == 0:\n"
        "        (here / 'started').touch()\n"
        "        time.sleep(50)\n"
        "    MPI.COMM_WORLD.recv(source=0) if rank else None\n"
        "except KeyboardInterrupt:\n"
        "    (here / f'interrupted{rank}').touch()\n"
        "    MPI.COMM_WORLD.send('stop', dest=1)\n"
        "    time.sleep(1)\n"
        "    (here / 'finished').touch()\n"
        "    MPI.Finalize()\n"
        "    sys.exit(130)\n"
    )
    command = f'source "{checkout}/launch/common.sh"; run_ranks 2 "{sys.executable}" "{ranks}" "{tmp_path}"'
    process = subprocess.Popen(["bash", "-c", command], start_new_session=True)
    try:
        deadline = time.perf_counter() + TIMEOUT_S
        while not (tmp_path / "started").exists() and time.perf_counter() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        process.send_signal(signal.SIGTERM)  # two at once are one request to stop
        assert process.wait(timeout=TIMEOUT_S) == 130
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        # mpirun has a process group of its own, which a script that crashed would leave behind.
        subprocess.run(["pkill", "-KILL", "-f", str(ranks)], check=False)
    assert (tmp_path / "finished").exists()
    assert (tmp_path / "interrupted0").exists()
    assert not (tmp_path / "interrupted1").exists()

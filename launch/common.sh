# Shared by the launch scripts; sourced, never run. Needs bash 4, Linux, and Python 3.10-3.13.
# shellcheck shell=bash

set -euo pipefail

ROOT="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)"
VENV="$ROOT/.venv"
CONSTRAINTS="$ROOT/launch/constraints.txt"

say() { printf '%s\n' "$*" >&2; }

die() {
    say "error: $*"
    exit 1
}

# Raises the error of a missing value for option $1 unless two or more arguments are left ($2).
need_value() {
    (( $2 > 1 )) || { say "error: $1 needs a value"; exit 2; }
}

check_ranks() {
    [[ $1 =~ ^[1-9][0-9]*$ ]] || { say "error: --ranks is '$1', expected a number from 1 on"; exit 2; }
}

python_fits() {
    "$1" -c 'import sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

find_python() {
    local candidate
    if [[ -n ${PYTHON:-} ]]; then
        python_fits "$PYTHON" || die "PYTHON=$PYTHON does not run, lacks the module venv, or is not Python 3.10-3.13"
        command -v -- "$PYTHON"
        return
    fi
    for candidate in python3 python3.13 python3.12 python3.11 python3.10; do
        if python_fits "$candidate"; then
            command -v -- "$candidate"
            return
        fi
    done
    die "no Python 3.10-3.13 with the module venv found; install one (Debian, Ubuntu: python3 and python3-venv) or set PYTHON"
}

# What an installation depends on: a stamp with this text means that it is done. $1: extra, or nothing.
fingerprint() {
    { cat -- "$ROOT/pyproject.toml" "$CONSTRAINTS" "$VENV/pyvenv.cfg"; printf '%s\n' "$1" "$ROOT"; } | sha256sum
}

installed() {
    local stamp
    [[ -x $VENV/bin/python && -f $VENV/pyvenv.cfg ]] || return 1
    for stamp in "$VENV/.installed-$1" "$VENV/.installed-test"; do
        if [[ -f $stamp && $(<"$stamp") == "$(fingerprint "${stamp##*.installed-}")" ]]; then return 0; fi
    done
    return 1
}

# One set-up at a time in this checkout; a second one waits and then finds everything done.
lock_checkout() {
    command -v flock >/dev/null || die "the command flock is missing; install util-linux"
    [[ -w $ROOT ]] || die "$ROOT is not writable; clone the project to a folder of your own"
    exec 9>"$ROOT/.setup.lock"
    if ! flock -n 9; then
        say "Waiting for another set-up in $ROOT to finish …"
        flock 9
    fi
}

unlock_checkout() { exec 9>&-; }

# Makes .venv and installs the project there. $1: base or test. Interrupted, it goes on where it was when run again.
install_project() {
    local what=$1 python target="."
    if installed "$what"; then return; fi
    lock_checkout
    if installed "$what"; then
        unlock_checkout
        return
    fi
    if ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1 || ! python_fits "$VENV/bin/python"; then
        python="$(find_python)"
        say "Making $VENV with $("$python" --version) …"
        "$python" -m venv --clear -- "$VENV" 9>&- ||
            die "$python could not make $VENV; on Debian and Ubuntu install python3-venv, or set PYTHON"
    fi
    [[ $what == test ]] && target=".[test]"
    say "Installing the project and its packages (the first time about 2 GB on disk, some minutes) …"
    local quiet=()
    [[ -t 2 ]] || quiet=(--quiet)
    (cd -- "$ROOT" && "$VENV/bin/python" -m pip install "${quiet[@]}" --no-input --disable-pip-version-check \
        --constraint launch/constraints.txt --editable "$target") >&2 9>&- ||
        die "pip could not install the project; mend what it says above and run the same command again"
    fingerprint "$what" >"$VENV/.installed-$what.new"
    mv -- "$VENV/.installed-$what.new" "$VENV/.installed-$what"
    unlock_checkout
}

# The interpreter that runs everything: COMMENTARY_PYTHON (an environment made elsewhere, such as the container image), or
# .venv, which is made first.
use_python() {
    if [[ -n ${COMMENTARY_PYTHON:-} ]]; then
        [[ -x $COMMENTARY_PYTHON ]] || die "COMMENTARY_PYTHON=$COMMENTARY_PYTHON is no program"
        PYTHON_USED="$COMMENTARY_PYTHON"
    else
        PYTHON_USED="$VENV/bin/python"
    fi
}

# Installs the project unless COMMENTARY_PYTHON names an environment that has it. $1: base or test.
ready_python() {
    use_python
    if [[ -n ${COMMENTARY_PYTHON:-} ]]; then
        (cd / && "$PYTHON_USED" -c 'import commentary_llm') 2>/dev/null ||
            die "COMMENTARY_PYTHON=$COMMENTARY_PYTHON has no commentary_llm; install the project there"
    else
        install_project "$1"
    fi
}

# Models for the rank counts given.
prepare_models() {
    "$PYTHON_USED" -m checkpoints setup --ranks "$@"
}

# A folder for the run's sockets and pipes. mpirun keeps a socket in it, and a socket's path may not pass 107 bytes, so
# that TMPDIR may be too long.
make_session() {
    SESSION_DIR="$(mktemp -d /tmp/clm.XXXXXX)"
    SESSION_PIDS=() # helpers that end with the session, however it ends
    trap end_session EXIT
}

end_session() {
    local pid
    for pid in "${SESSION_PIDS[@]}"; do kill "$pid" 2>/dev/null || true; done
    rm -rf -- "$SESSION_DIR"
}

# Sets a variable for the ranks unless it is set already, and notes its name.
job_default() {
    local name=$1 value=$2
    export "$name=${!name:-$value}"
    JOB_VARIABLES+=("$name")
}

# Settings of Open MPI; any of them can be overridden from outside. $1: ranks. Uses BACKEND and HOSTFILE.
mpi_environment() {
    local ranks=$1 cores
    cores="$(nproc)"
    JOB_VARIABLES=()
    [[ -n ${COMMENTARY_PYTHON:-} ]] || export PATH="$VENV/bin:$PATH"
    if (( $(id -u) == 0 )); then # mpirun refuses root unless told twice
        job_default OMPI_ALLOW_RUN_AS_ROOT 1
        job_default OMPI_ALLOW_RUN_AS_ROOT_CONFIRM 1
    fi
    if [[ ${BACKEND:-} != tensorrt_llm && -z ${HOSTFILE:-} ]]; then
        # shared memory only: no search for network hardware (1 s), no warnings where there is none
        job_default OMPI_MCA_pml ob1
        job_default OMPI_MCA_btl self,sm
        # reading another process's memory is forbidden in many containers
        job_default OMPI_MCA_smsc ^cma
        job_default OMPI_MCA_accelerator null
    fi
    # ranks that wait give their core to those that work; a follower of TensorRT-LLM would keep one busy for ever
    job_default OMPI_MCA_mpi_yield_when_idle 1
    job_default HWLOC_HIDE_ERRORS 2
    job_default OMP_NUM_THREADS "$(( cores > ranks ? cores / ranks : 1 ))"
    job_default TOKENIZERS_PARALLELISM false
    if [[ -z ${HOSTFILE:-} ]]; then
        job_default PRTE_MCA_prte_tmpdir_base "$SESSION_DIR" # Open MPI 5
        job_default OMPI_MCA_orte_tmpdir_base "$SESSION_DIR" # Open MPI 4
    fi
}

# Fills MPI_COMMAND with mpirun and its options. $1: ranks. Uses BACKEND, HOSTFILE and RANKS_PER_NODE.
#
# CUDA_VISIBLE_DEVICES is never set for one rank alone: TensorRT-LLM takes GPU (rank mod ranks on the node) itself, and
# a rank that cannot see its peer's GPU has no direct way to it.
mpi_command() {
    local ranks=$1 name
    MPI_COMMAND=(mpirun -n "$ranks")
    if [[ -n ${HOSTFILE:-} ]]; then
        MPI_COMMAND+=(--hostfile "$HOSTFILE" --map-by "ppr:$RANKS_PER_NODE:node")
    fi
    MPI_COMMAND+=(--bind-to none)
    if [[ ${BACKEND:-} != tensorrt_llm && -z ${HOSTFILE:-} ]]; then
        MPI_COMMAND+=(--oversubscribe)
        return
    fi
    # Ranks on other nodes, and those that a container's launcher starts, get what is named; NCCL_*, TLLM_* and the like
    # only where the user has set them.
    for name in PATH LD_LIBRARY_PATH PYTHONPATH "${JOB_VARIABLES[@]}" $(compgen -e | grep -E \
        '^(COMMENTARY_|CUDA_|NCCL_|TLLM_|TRTLLM_|FORCE_NCCL_ALL_REDUCE_STRATEGY$|FORCE_DETERMINISTIC$|FORCE_ALL_REDUCE_DETERMINISTIC$|UCX_)'); do
        case $name in OMPI_* | PRTE_*) continue ;; esac # mpirun hands these on itself
        if [[ -n ${!name+set} ]]; then MPI_COMMAND+=(-x "$name"); fi
    done
}

# Pid of rank 0 below the mpirun with pid $1; nothing if it has not started within half a second.
rank0_pid() {
    local child children
    for _ in 1 2 3 4 5; do # the kernel may leave out a child while others come and go
        read -r -a children < <(cat -- "/proc/$1/task/"*/children 2>/dev/null | tr '\n' ' ') || true
        for child in "${children[@]}"; do
            if tr '\0' '\n' <"/proc/$child/environ" 2>/dev/null | grep -qx 'OMPI_COMM_WORLD_RANK=0'; then
                printf '%s\n' "$child"
                return
            fi
        done
        sleep 0.1
    done
}

# Ctrl-C goes to rank 0 alone, which finishes its files and then stops the others; a second one ends everything.
pass_interrupt_on() {
    local rank0=""
    if [[ $1 == first ]]; then rank0="$(rank0_pid "$MPIRUN_PID")"; fi
    if [[ -n $rank0 ]]; then
        say "Stopping; what is there so far is being finished (press Ctrl-C again to end at once) …"
        kill -INT "$rank0" 2>/dev/null || true
    else
        kill -TERM "$MPIRUN_PID" 2>/dev/null || true
    fi
}

# Runs a command on $1 ranks in the caller's working directory; returns its exit code.
run_ranks() {
    local ranks=$1 code=0 seen=0 first_at=""
    shift
    [[ -n ${SESSION_DIR:-} ]] || make_session
    mpi_environment "$ranks"
    mpi_command "$ranks"
    INTERRUPTS=0
    trap 'INTERRUPTS=$(( INTERRUPTS + 1 ))' INT TERM
    # Job control gives mpirun a process group of its own, so that Ctrl-C on the terminal reaches this script only.
    set -m
    "${MPI_COMMAND[@]}" "$@" </dev/null &
    MPIRUN_PID=$!
    set +m
    while :; do
        code=0
        wait "$MPIRUN_PID" || code=$?
        if (( INTERRUPTS > seen )); then
            seen=$INTERRUPTS
            if [[ -z $first_at ]]; then
                first_at=$SECONDS
                pass_interrupt_on first
            elif (( SECONDS > first_at + 1 )); then # programs such as timeout signal the process and its group at once
                pass_interrupt_on again
            fi
        fi
        kill -0 "$MPIRUN_PID" 2>/dev/null || break
    done
    trap - INT TERM
    return "$code"
}

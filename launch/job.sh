# What replay.sh and serve.sh share: options of a run on MPI ranks, and its start. Sourced, never run.
# shellcheck shell=bash
# shellcheck source=launch/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

job_usage() {
    cat <<'TEXT'
Options of the start:

  --ranks N             tensor-parallel ranks (default 2)
  --backend NAME        auto (default), torch, or tensorrt_llm: NVIDIA's engines, one GPU a rank
  --hostfile FILE       run on the nodes named there (launch/cluster/hostfile.example); rank 0 has to be on this one
  --ranks-per-node N    with --hostfile: ranks on each node (default: all ranks divided among the file's nodes)
  --check               look at GPUs, links, MPI, versions and weights, print a table and start nothing
  --dry-run             print the environment and the mpirun line, and start nothing

Before a start with tensorrt_llm the same is looked at; what cannot work ends the start, what is merely slow is told.

COMMENTARY_PYTHON  a Python that has the project and MPI, such as the container's; nothing is installed then
COMMENTARY_HOME    where models are kept (default ~/.cache/commentary-llm); with --hostfile, the same on every node
NCCL_*, TLLM_*, CUDA_VISIBLE_DEVICES and OMPI_MCA_* are handed on to the ranks as you set them. CUDA_VISIBLE_DEVICES, where
set, names all GPUs of the node's ranks, never one rank's: rank r takes the r-th of them.
TEXT
}

# Reads the options above from "$@" into RANKS, BACKEND, LLM, HOSTFILE, RANKS_PER_NODE, DRY_RUN, CHECK; what is for the
# engine stays in OPTIONS. --help calls the function `usage`.
# shellcheck disable=SC2034  # CHECK and DRY_RUN are read by the scripts
parse_job() {
    RANKS=2 BACKEND=auto LLM="" HOSTFILE="" RANKS_PER_NODE="" DRY_RUN="" CHECK=""
    OPTIONS=()
    while (( $# )); do
        case $1 in
            --ranks | --hostfile | --ranks-per-node | --backend | --llm)
                need_value "$1" $#
                job_option "$1" "$2"
                shift 2
                ;;
            --ranks=* | --hostfile=* | --ranks-per-node=* | --backend=* | --llm=*)
                job_option "${1%%=*}" "${1#*=}"
                shift
                ;;
            --dry-run) DRY_RUN=yes; shift ;;
            --check) CHECK=yes; shift ;;
            -h | --help) usage; exit 0 ;;
            *) OPTIONS+=("$1"); shift ;;
        esac
    done
    check_ranks "$RANKS"
    if [[ -n $HOSTFILE ]]; then
        share_ranks
    elif [[ -n $RANKS_PER_NODE ]]; then
        say "error: --ranks-per-node goes with --hostfile"
        exit 2
    else
        RANKS_PER_NODE=$RANKS
    fi
}

job_option() {
    case $1 in
        --ranks) RANKS=$2 ;;
        --hostfile) HOSTFILE=$2 ;;
        --ranks-per-node) RANKS_PER_NODE=$2 ;;
        --backend) BACKEND=$2; OPTIONS+=("$1" "$2") ;;
        --llm) LLM=$2; OPTIONS+=("$1" "$2") ;;
    esac
}

# How many ranks each node of the hostfile gets.
share_ranks() {
    local nodes
    [[ -r $HOSTFILE ]] || { say "error: --hostfile $HOSTFILE cannot be read"; exit 2; }
    nodes="$(grep -cE '^[[:space:]]*[^#[:space:]]' "$HOSTFILE" || true)"
    (( nodes > 0 )) || { say "error: --hostfile $HOSTFILE names no node"; exit 2; }
    if [[ -z $RANKS_PER_NODE ]]; then
        (( RANKS % nodes == 0 )) || {
            say "error: $RANKS ranks do not divide among the $nodes nodes of $HOSTFILE; say --ranks-per-node"
            exit 2
        }
        RANKS_PER_NODE=$(( RANKS / nodes ))
    fi
    if [[ ! $RANKS_PER_NODE =~ ^[1-9][0-9]*$ ]] || (( RANKS_PER_NODE * nodes < RANKS )); then
        say "error: --ranks-per-node is '$RANKS_PER_NODE': $nodes nodes cannot hold $RANKS ranks so"
        exit 2
    fi
}

# Fills JOB with the program of each rank. $1: the command of commentary_llm; OPTIONS follow it.
job_program() {
    JOB=("$PYTHON_USED")
    # mpi4py's runner ends the whole job when a rank dies of an exception: followers of TensorRT-LLM would wait for ever
    [[ $BACKEND != tensorrt_llm ]] || JOB+=(-m mpi4py)
    JOB+=(-m commentary_llm "$1" "${OPTIONS[@]}")
}

preflight() {
    local backend=torch options=()
    [[ $BACKEND != tensorrt_llm ]] || backend=tensorrt_llm
    [[ -z $LLM ]] || options+=(--llm "$LLM")
    "$PYTHON_USED" -m checkpoints.preflight --backend "$backend" --ranks "$RANKS" --ranks-here "$RANKS_PER_NODE" \
        "${options[@]}" "$@"
}

# The table of all checks; exits.
check_job() {
    use_python
    [[ -x $PYTHON_USED ]] || die "$PYTHON_USED is not there; run ./launch/setup.sh first, or set COMMENTARY_PYTHON"
    make_session
    mpi_environment "$RANKS"
    local code=0
    preflight --mpi || code=$?
    exit "$code"
}

# Prints what `run_job $1` would start; exits.
show_job() {
    local name rank
    use_python
    SESSION_DIR=/tmp/clm.XXXXXX
    mpi_environment "$RANKS"
    mpi_command "$RANKS"
    job_program "$1"
    if [[ $BACKEND == tensorrt_llm ]]; then
        for (( rank = 0; rank < RANKS; rank++ )); do
            printf '# rank %d: GPU %d of those its node shows\n' "$rank" "$(( rank % RANKS_PER_NODE ))"
        done
    fi
    # shellcheck disable=SC2016  # $PATH is for the reader's shell
    [[ -n ${COMMENTARY_PYTHON:-} ]] || printf 'export PATH=%q:"$PATH"\n' "$VENV/bin"
    for name in "${JOB_VARIABLES[@]}"; do
        printf 'export %s=%q\n' "$name" "${!name}"
    done
    printf '%q' "${MPI_COMMAND[0]}"
    printf ' %q' "${MPI_COMMAND[@]:1}" "${JOB[@]}"
    printf '\n'
    exit 0
}

# Sets up what is missing and runs the command $1 of commentary_llm on the ranks; exits with its code. Never call it in
# a condition: bash would go on after a set-up that failed.
run_job() {
    ready_python base
    prepare_models "$RANKS"
    if [[ $BACKEND == tensorrt_llm ]]; then
        preflight --quiet || die "tensorrt_llm cannot start here (see above; all of it: --check)"
    fi
    job_program "$1"
    local code=0
    run_ranks "$RANKS" "${JOB[@]}" || code=$?
    exit "$code"
}

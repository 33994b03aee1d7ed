# What replay.sh and serve.sh share: options of a run on MPI ranks, and its start. Sourced, never run.
# shellcheck shell=bash
# shellcheck source=launch/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

job_usage() {
    local backends="what generates: see \`python -m commentary_llm choices backends\`"
    ! installed base || backends="what generates: $("$VENV/bin/python" -m commentary_llm choices backends | paste -sd ' ')"
    cat <<TEXT
Options of the start:

  --ranks N             tensor-parallel ranks (default 2)
  --backend NAME        $backends
  --hostfile FILE       run on the nodes named there (launch/cluster/hostfile.example); rank 0 has to be on this one
  --ranks-per-node N    with --hostfile: ranks on each node (default: all ranks divided among the file's nodes)
  --check               look at GPUs, links, MPI, versions and weights, print a table and start nothing
  --dry-run             print the environment and the mpirun line, and start nothing

Before a start with tensorrt_llm the same is looked at; what cannot work ends the start, what is merely slow is told.

COMMENTARY_GROUP__NAME  any option of the engine, such as COMMENTARY_LLM__BACKEND; --config FILE reads them from YAML
COMMENTARY_PYTHON  a Python that has the project and MPI, such as the container's; nothing is installed then
COMMENTARY_HOME    where models are kept (default ~/.cache/commentary-llm); with --hostfile, the same on every node
NCCL_*, TLLM_*, CUDA_VISIBLE_DEVICES and OMPI_MCA_* are handed on to the ranks as you set them. CUDA_VISIBLE_DEVICES, where
set, names all GPUs of the node's ranks, never one rank's: rank r takes the r-th of them.
TEXT
}

# Reads the options above from "$@" into RANKS, BACKEND, LLM (these two from the environment where no option says them, else
# ''), HOSTFILE, RANKS_PER_NODE, DRY_RUN, CHECK; what is for the engine stays in OPTIONS. --help calls the function `usage`.
# shellcheck disable=SC2034  # CHECK and DRY_RUN are read by the scripts
parse_job() {
    RANKS=2 HOSTFILE="" RANKS_PER_NODE="" DRY_RUN="" CHECK=""
    BACKEND="${COMMENTARY_LLM__BACKEND:-}" LLM="${COMMENTARY_LLM__MODEL:-}"
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

# Whether a YAML file is among the options.
has_config() { [[ " ${OPTIONS[*]} " =~ \ --config[\ =] ]]; }

# The values that settings have for the command $1 with OPTIONS, a line each; $2: their names, with commas. Ends with all that
# is wrong with the options.
engine_settings() {
    local code=0
    "$PYTHON_USED" -m commentary_llm "$1" "${OPTIONS[@]}" --show-settings "$2" || code=$?
    (( code == 0 )) || exit "$code"
}

# BACKEND and LLM as the engine will have them, whatever they come from.
know_model() {
    local told
    told="$(engine_settings "$1" llm.backend,llm.model)" || exit $?
    { read -r BACKEND; read -r LLM; } <<<"$told"
}

# The same where nothing may be set up: only a file makes it necessary to ask.
know_model_if_needed() {
    use_python
    has_config || return 0
    [[ -x $PYTHON_USED ]] || die "$PYTHON_USED is not there, and reads --config; run ./launch/setup.sh first"
    know_model "$1"
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
    know_model_if_needed replay
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
    know_model_if_needed "$1"
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
    know_model "$1"
    prepare_models "$RANKS"
    if [[ $BACKEND == tensorrt_llm ]]; then
        preflight --quiet || die "tensorrt_llm cannot start here (see above; all of it: --check)"
    fi
    job_program "$1"
    local code=0
    run_ranks "$RANKS" "${JOB[@]}" || code=$?
    exit "$code"
}

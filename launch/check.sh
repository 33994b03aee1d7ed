#!/usr/bin/env bash
# Looks at everything a start needs, prints a table, and starts nothing.
# shellcheck source=launch/job.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/job.sh"

usage() {
    cat <<'TEXT'
usage: check.sh [--backend NAME] [--ranks N] [--llm NAME] [--config FILE]

Looks at what a start would need: with --backend tensorrt_llm the GPUs, the links between them (NVLink, peer-to-peer) and
the versions of driver, CUDA, TensorRT and TensorRT-LLM; always MPI (two ranks are started and meet) and the weights or
engines. Prints a table, with what to do below each line that is not as it should be. The exit code is 0 if a start would
succeed, warnings or not, else 1.

TEXT
    job_usage
}

parse_job "$@"
(( ${#OPTIONS[@]} == 0 )) || [[ " ${OPTIONS[*]} " =~ ^\ (--(backend|llm|config)[\ =][^ ]+\ )+$ ]] ||
    { say "error: check.sh does not know: ${OPTIONS[*]}"; usage >&2; exit 2; }
check_job

#!/usr/bin/env bash
# Sets everything up, then replays a match (by default the built-in one) on MPI ranks of this machine.
# shellcheck source=launch/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

usage() {
    cat <<'TEXT'
usage: replay.sh [--ranks N] [OPTION]...

Sets everything up if needed, then replays a match on N ranks (default 2) and writes commentary.wav, captions.vtt,
commentary.jsonl and report.html to out/ in the current folder. The exit code is 0 only if all of it was written.
Every other option goes to the replay, among them:

  --match FILE        a match in this project's JSONL instead of the built-in one
  --out DIR           folder for the results
  --speed 1x          real time; up to 60x, or max (default)
TEXT
    if installed base; then
        printf '\nAll options of the replay:\n\n'
        "$VENV/bin/python" -m commentary_llm replay --help
    fi
}

ranks=2
options=()
while (( $# )); do
    case $1 in
        --ranks) need_value "$1" $#; ranks=$2; shift 2 ;;
        --ranks=*) ranks=${1#*=}; shift ;;
        -h | --help) usage; exit 0 ;;
        *) options+=("$1"); shift ;;
    esac
done
check_ranks "$ranks"

install_project base
prepare_models "$ranks"
code=0
run_ranks "$ranks" "$VENV/bin/python" -m commentary_llm replay "${options[@]}" || code=$?
exit "$code"

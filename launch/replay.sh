#!/usr/bin/env bash
# Sets everything up, then replays a match (by default the built-in one) on MPI ranks.
# shellcheck source=launch/job.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/job.sh"

usage() {
    cat <<'TEXT'
usage: replay.sh [OPTION]...

Sets everything up if needed, then replays a match on N ranks (default 2) and writes commentary.wav, captions.vtt,
commentary.jsonl and report.html to out/ in the current folder. The exit code is 0 only if all of it was written.

Options of the replay, among others:

  --match FILE        a match in this project's JSONL instead of the built-in one
  --out DIR           folder for the results
  --speed 1x          real time; up to 60x, or max (default)

TEXT
    job_usage
    if installed base; then
        printf '\nAll options of the replay:\n\n'
        "$VENV/bin/python" -m commentary_llm replay --help
    fi
}

parse_job "$@"
[[ -z $CHECK ]] || check_job
[[ -z $DRY_RUN ]] || show_job replay
run_job replay

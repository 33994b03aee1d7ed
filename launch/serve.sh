#!/usr/bin/env bash
# Sets everything up, then comments on a running match: event lines in, speech and captions out.
# shellcheck source=launch/job.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/job.sh"

usage() {
    cat <<'TEXT'
usage: serve.sh --match-info FILE [OPTION]...

Sets everything up if needed, then comments on a running match on N ranks (default 2) until the events end, Ctrl-C or
SIGTERM. Then commentary.wav, captions.vtt, commentary.jsonl and report.html are in out/.

  tail -f events.jsonl | ./launch/serve.sh --match-info teams.jsonl --pcm - | ffplay -f s16le -ar 22050 -i -

Options of the engine, among others:

  --match-info FILE   both line-ups: a match in this project's JSONL, of which the first line will do
  --events WHERE      event lines (same format): - for standard input (default), a file or FIFO, or tcp:HOST:PORT
  --audio WHERE       live stadium sound: a FIFO, a stream's address, or - for standard input
  --pcm WHERE         speech as raw s16le mono in real time: a FIFO, a file, or - for standard output
  --captions WHERE    JSON lines: a FIFO, a file, or - for standard output (default, unless --pcm is there)
  --out DIR           folder for the files at the end (default out)

TEXT
    job_usage
    if installed base; then
        printf '\nAll options of the engine:\n\n'
        "$VENV/bin/python" -m commentary_llm serve --help
    fi
}

# What environment and file say of the streams, for those that no option names. Fills DEFAULTS.
stream_defaults() {
    local name told
    declare -gA DEFAULTS=(
        [--events]="${COMMENTARY_SERVE__EVENTS:-}" [--audio]="${COMMENTARY_SERVE__AUDIO:-}"
        [--pcm]="${COMMENTARY_SERVE__PCM:-}" [--captions]="${COMMENTARY_SERVE__CAPTIONS:-}"
    )
    has_config || return 0
    if [[ -n $DRY_RUN ]]; then know_model_if_needed serve; else ready_python base; fi
    told="$(engine_settings serve serve.events,serve.audio,serve.pcm,serve.captions)" || exit $?
    for name in --events --audio --pcm --captions; do
        IFS= read -r "DEFAULTS[$name]" || true # the last one may be empty, and the shell drops empty lines at the end
    done <<<"$told"
}

# Options that name a stream get a pipe of the session's where they say "-": mpirun hands standard input and output on
# through itself, buffered without a limit, and cannot read a terminal. Fills BRIDGES with "option pipe" pairs.
bridge_streams() {
    local kept=() name value given=" "
    BRIDGES=()
    set -- "${OPTIONS[@]}"
    while (( $# )); do
        name=${1%%=*}
        case $1 in
            --events=* | --audio=* | --pcm=* | --captions=*) value=${1#*=}; shift ;;
            --events | --audio | --pcm | --captions) need_value "$1" $#; value=$2; shift 2 ;;
            *) kept+=("$1"); shift; continue ;;
        esac
        given+="$name=$value "
        bridge "$name" "$value"
    done
    for name in --events --audio --pcm --captions; do
        if [[ $given != *" $name="* && -n ${DEFAULTS[$name]} ]]; then
            given+="$name=${DEFAULTS[$name]} "
            bridge "$name" "${DEFAULTS[$name]}"
        fi
    done
    [[ $given == *" --events="* ]] || bridge --events -
    [[ $given == *" --captions="* || $given == *" --pcm=- "* ]] || bridge --captions -
    OPTIONS=("${kept[@]}")
}

bridge() {
    if [[ $2 == - ]]; then
        kept+=("$1" "$SESSION_DIR/${1#--}")
        BRIDGES+=("$1")
    else
        kept+=("$1" "$2")
    fi
}

# Two streams on one end would be mixed up: the engine's own words for it.
check_streams() {
    local all=" ${BRIDGES[*]} "
    if [[ $all == *" --audio "* && $all == *" --events "* ]]; then
        say "error: --audio - and --events - both read standard input; give one of them a FIFO or a port"
        exit 2
    fi
    if [[ $all == *" --pcm "* && $all == *" --captions "* ]]; then
        say "error: --pcm - and --captions - both go to standard output; give one of them a file or FIFO"
        exit 2
    fi
}

open_bridges() {
    local name pipe
    WRITERS=()
    for name in "${BRIDGES[@]}"; do
        pipe="$SESSION_DIR/${name#--}"
        mkfifo -m 600 -- "$pipe"
        case $name in
            --events | --audio) cat <&0 >"$pipe" & ;;
            *) cat <"$pipe" & WRITERS+=($!) ;;
        esac
        SESSION_PIDS+=($!)
    done
}

# What has been written gets a moment to reach its reader.
# shellcheck disable=SC2329  # the trap below calls it
close_bridges() {
    local pid
    for pid in "${WRITERS[@]}"; do
        for _ in {1..20}; do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
    done
}

parse_job "$@"
[[ -z $CHECK ]] || check_job
if [[ -n $DRY_RUN ]]; then
    SESSION_DIR=/tmp/clm.XXXXXX
else
    make_session
fi
stream_defaults
bridge_streams
check_streams
[[ -z $DRY_RUN ]] || show_job serve
open_bridges
trap 'close_bridges; end_session' EXIT
run_job serve

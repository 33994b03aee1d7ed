#!/usr/bin/env bash
# Sets everything up: .venv with the project and MPI, and the models in COMMENTARY_HOME.
# shellcheck source=launch/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

usage() {
    cat <<'TEXT'
usage: setup.sh [--ranks N]... [--test]

Makes .venv in the project's folder, installs the project there, and fetches, imports, quantises and shards the models.
What is done is not done again; an interrupted set-up goes on where it was.

  --ranks N   tensor-parallel ranks to make shards for (default 2); may be repeated
  --test      also install what the test suite needs
  --help      this text

PYTHON           the Python to use (3.10-3.13); by default python3, python3.13, … are tried
COMMENTARY_HOME  where models are kept (default ~/.cache/commentary-llm)
TEXT
}

ranks=()
what="base"
while (( $# )); do
    case $1 in
        --ranks) need_value "$1" $#; ranks+=("$2"); shift 2 ;;
        --ranks=*) ranks+=("${1#*=}"); shift ;;
        --test) what="test"; shift ;;
        -h | --help) usage; exit 0 ;;
        *) say "error: unknown option $1"; usage >&2; exit 2 ;;
    esac
done
(( ${#ranks[@]} )) || ranks=(2)
for count in "${ranks[@]}"; do check_ranks "$count"; done

ready_python "$what"
prepare_models "${ranks[@]}"

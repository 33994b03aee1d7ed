#!/usr/bin/env bash
# Sets everything up, then runs the test suite; options go to pytest.
# shellcheck source=launch/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    printf '%s\n' "usage: test.sh [PYTEST OPTION]..." "" \
        "Sets everything up if needed (shards for 1 to 4 ranks), then runs pytest in the project's folder, two files" \
        "of tests at a time (-n 0: one after the other, as where GPUs are tested)."
    exit 0
fi

ready_python test
make_session
prepare_models 1 2 3 4
mpi_environment 2
cd -- "$ROOT"
code=0
"$PYTHON_USED" -m pytest -n 2 --dist loadfile "$@" || code=$?
exit "$code"

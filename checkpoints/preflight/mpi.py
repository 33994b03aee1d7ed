"""Whether mpirun and mpi4py are of one piece: ranks are started, and meet."""

from __future__ import annotations

import shutil
import subprocess
import sys

from checkpoints.preflight.finding import Finding, Level

_TIMEOUT_S = 60.0
# Each rank prints its number and the library's version once all have come.
_PROGRAM = (
    "from mpi4py import MPI; c = MPI.COMM_WORLD; n = c.allreduce(1); "
    "print('met', c.rank, 'of', n, MPI.Get_library_version().split(',')[0].strip(), flush=True)"
)


def check_mpi(ranks: int, launcher: str = "mpirun") -> Finding:
    """Starts `ranks` ranks on this node that add up to their number. OK with the MPI library's name, else an error."""
    program = shutil.which(launcher)
    wanted = f"{ranks} ranks that meet"
    if program is None:
        return Finding(
            Level.ERROR, "MPI", f"no {launcher}", wanted, "run ./launch/setup.sh, or use the container image"
        )
    command = [program, "-n", str(ranks), "--bind-to", "none", "--oversubscribe", sys.executable, "-c", _PROGRAM]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        mend = "mpirun and the MPI library that mpi4py was built with have to be the same installation"
        return Finding(Level.ERROR, "MPI", f"ranks did not meet within {_TIMEOUT_S:g} s", wanted, mend)
    met = [line.split(" ", 4) for line in done.stdout.splitlines() if line.startswith("met ")]
    if done.returncode or len(met) != ranks or any(words[3] != str(ranks) for words in met):
        # Ranks that each count themselves alone: mpirun of one installation, mpi4py of another.
        said = "each rank was alone" if len(met) == ranks else (done.stderr.strip().splitlines() or ["no answer"])[-1]
        mend = "mpirun and the MPI library that mpi4py was built with have to be the same installation"
        return Finding(Level.ERROR, "MPI", f"{program}: {said}", wanted, mend)
    return Finding(Level.OK, "MPI", f"{met[0][4]}, {ranks} ranks met", "")

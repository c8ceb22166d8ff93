#!/usr/bin/env bash
# Run simulated seeds on all cores: scripts/sim_sweep.sh COUNT [FIRST_SEED].
# The simulator is tests/sim (README.md there); one seed is one world.  A seed
# that fails is told with the command that runs it again, the end of its trace
# in words, and the file that holds all of it (SIM_TRACE_DIR, else /tmp).
# SIM_BINARY names another binary than build/sim.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# -lt 1 ] || [ $# -gt 2 ] || ! [[ "$1$([ $# -eq 2 ] && echo "$2")" =~ ^[0-9]+$ ]] || [ "$1" -eq 0 ]; then
    echo "usage: scripts/sim_sweep.sh COUNT [FIRST_SEED]" >&2
    exit 2
fi
sim=${SIM_BINARY:-build/sim}
if [ ! -x "$sim" ]; then
    scripts/build.sh release sim >&2
fi
exec "$sim" --count "$1" --seed "${2:-1}" --jobs "$(nproc)"

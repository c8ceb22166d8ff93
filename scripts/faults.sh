#!/usr/bin/env bash
# Every crash, I/O error, full disk and damage that CI takes samples of: before a release
# (RELIABILITY F1, F3 to F6).  usage: scripts/faults.sh [BINARY]   (default build/huren; an hour)
set -euo pipefail
cd "$(dirname "$0")/.."
export HR_FAULTS=all
bash tests/e2e/crash.sh "${1:-build/huren}"
HR_RANDOM=${HR_RANDOM:-1000} bash tests/e2e/full.sh "${1:-build/huren}"
nice -n 15 bash tests/e2e/memory.sh "${1:-build/huren}" # every way to an allocation: hours
for seed in 1 2 3; do HR_SEED=$seed bash tests/e2e/disk_damage.sh "${1:-build/huren}"; done

#!/usr/bin/env bash
# Run every fuzz target for a while.  usage: scripts/fuzz.sh [SECONDS] [TARGET...]
# Corpora grow under build/fuzz/corpus; a find is left in build/fuzz/finds.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
[ $# = 0 ] || shift
scripts/setup.sh build test
[ $# -gt 0 ] || set -- $(cd tests/fuzz && ls fuzz_*.c | sed 's/\.c$//')
scripts/build.sh fuzz "$@" >/dev/null
mkdir -p build/fuzz/finds
run() {
    local t=$1
    mkdir -p "build/fuzz/corpus/$t"
    local seeds=()
    [ -d "tests/fuzz/corpus/$t" ] && seeds=("tests/fuzz/corpus/$t")
    "build/fuzz/$t" -max_total_time="$2" -timeout=10 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=0 \
        -artifact_prefix="build/fuzz/finds/$t-" "build/fuzz/corpus/$t" "${seeds[@]}" >"build/fuzz/$t.log" 2>&1 ||
        { echo "$t: FOUND SOMETHING"; tail -30 "build/fuzz/$t.log"; return 1; }
    echo "$t: clean"
}
export -f run
printf '%s\n' "$@" | xargs -P2 -I{} bash -c "run {} $seconds"

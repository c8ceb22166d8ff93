#!/usr/bin/env bash
# Goal: at whatever system call a publication, an adoption, a backup or a daemon that takes in
# another's entries is killed or meets an I/O error (EIO, ENOSPC, a short write): what was
# acknowledged is there, nothing is half there, and the same command again succeeds once (F1, F3).
# Method: strace injects one fault a run, on a fresh home; see lib/faults.py.  Here a sample that
# differs from day to day; HR_FAULTS=all (scripts/faults.sh) runs every call.
. tests/e2e/lib/common.sh
. tests/e2e/lib/small_network.sh
if ! strace -f -qq -o /dev/null -e inject=close:error=EIO:when=60000 true 2>"$work/err"; then
    echo "SKIPPED: no strace, or it may not trace here: NO CRASH OR I/O FAULT WAS TRIED: $(head -1 "$work/err")"
    exit 0
fi
small_network "$work/net" || exit 1
messages 1 3 --tag A >"$work/m.hl7"
mkdir "$work/runs"
if [ "${HR_FAULTS:-}" = all ]; then
    sample=()
else
    sample=(--every "${HR_EVERY:-36}" --offset "$((10#$(date -u +%j)))")
fi
python3 "$lib/faults.py" "$HUREN" "$work/net" "$work/runs" "$work/m.hl7" "${sample[@]}" ||
    fail "some fault lost, doubled or halved something"

#!/usr/bin/env bash
# Goal: at whatever system call a publication, an adoption, a backup, a restore, a look-up or a
# daemon that takes in another's entries is killed or meets an error of input or output (EIO,
# ENOSPC, a write that is cut): what was acknowledged is there, nothing is half there, and the
# same command again succeeds once (F1, F3).
# Method: one fault a run (tests/inject), on a fresh home; see lib/faults.py.  Here a sample that
# differs from day to day; HR_FAULTS=all (scripts/faults.sh crash) runs every call.
. tests/e2e/lib/common.sh
. tests/e2e/lib/small_network.sh
inject=$(dirname "$HUREN")/inject
if [ ! -x "$inject" ] || ! "$inject" kill close 60000 /dev/null true 2>"$work/err"; then
    echo "SKIPPED: no inject, or it may not trace here: NO CRASH OR I/O FAULT WAS TRIED: $(head -1 "$work/err")"
    exit 0
fi
small_network "$work/net" || exit 1
messages 1 3 --tag A >"$work/m.hl7"
mkdir "$work/runs"
if [ "${HR_FAULTS:-}" = all ]; then
    sample=()
else
    sample=(--every "${HR_EVERY:-60}" --offset "$((10#$(date -u +%j)))")
fi
python3 "$lib/faults.py" "$HUREN" "$work/net" "$work/runs" "$work/m.hl7" "${sample[@]}" ||
    fail "some fault lost, doubled or halved something"

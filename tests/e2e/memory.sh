#!/usr/bin/env bash
# Goal: whichever allocation fails, once or with all after it, in a publication, an adoption, a
# backup, a look-up, a check of evidence, a decision, an audit, `status`, or a daemon that takes in
# another's entries and answers: no crash, no half answer, what was acknowledged is there, and the
# same command again succeeds; a daemon that has started goes on after one failure (F7).
# Method: tests/inject/fail_alloc.c in front of the real binary; see lib/memory.py.  Here a sample
# that differs from day to day; HR_FAULTS=all (scripts/faults.sh) takes the first and the last
# allocation of every way through the program that leads to one.
. tests/e2e/lib/common.sh
. tests/e2e/lib/small_network.sh
library=$(dirname "$HUREN")/libfail_alloc.so
if [ ! -f "$library" ] || ldd "$HUREN" | grep -qE 'lib(a|t)san' || nm "$HUREN" 2>/dev/null | grep -qE '__(a|t)san_init'; then
    echo "SKIPPED: no $library, or a sanitizer has its own malloc: NO ALLOCATION FAILED HERE"
    exit 0
fi
small_network "$work/net" || exit 1
messages 1 3 --tag A >"$work/m.hl7"
mkdir "$work/runs"
if [ "${HR_FAULTS:-}" = all ]; then
    sample=()
else
    sample=(--every "${HR_EVERY:-401}" --offset "$((10#$(date -u +%j)))")
fi
python3 "$lib/memory.py" "$HUREN" "$library" "$work/net" "$work/runs" "$work/m.hl7" "${sample[@]}" ||
    fail "some failed allocation crashed, lost or halved something"

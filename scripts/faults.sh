#!/usr/bin/env bash
# Every crash, error of input and output, full disk, want of memory, damage and pause that CI
# takes samples of: before a release (RELIABILITY section 2).
#
# usage: scripts/faults.sh [PART...]        default: all parts, one after the other
#
#   crash     F1, F3   each system call of publishing, adopting, receiving, backup, restore and
#                      look-up killed, failed and cut                                40 minutes
#   full      F4, F5   100 full disks, 1,000 writes that the store refuses          2 hours
#   memory    F7       each way to an allocation, which fails once or for ever      hours
#   damage    F6       3 x 650 flipped bits, lost and torn pages, truncations        25 minutes
#   kill      F2       1,000 times SIGKILL under load                                15 minutes
#   pause     F11      20 daemons stopped for up to 100 s; disks that take 2 to 30 s 25 minutes
#   twins     F24      20 second owners and 20 copied homes of a live node           10 minutes
#   threads   F18      the wire scenarios and daemons under ThreadSanitizer          25 minutes
#   addresses          the same under AddressSanitizer and UBSan                     25 minutes
#
# Settings, from the environment: HUREN, the binary (default build/huren).  The last line counts
# what ran and what failed; exit 1 if anything did.
set -uo pipefail
cd "$(dirname "$0")/.."
parts=(crash damage kill pause twins full threads addresses memory)
case "${1:-}" in
    -h | --help) sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
esac
HUREN=${HUREN:-build/huren}
export HR_FAULTS=all
ran=0
failed=()
scenario() { # NAME [BINARY]: one of tests/e2e to its end
    local begun=$SECONDS code=0
    echo "== $(date -u +%H:%M) $part: $1"
    bash "tests/e2e/$1.sh" "${2:-$HUREN}" || code=$?
    ran=$((ran + 1))
    [ "$code" = 0 ] || failed+=("$part/$1")
    echo "== $part: $1: exit $code after $((SECONDS - begun)) s"
}
sanitized() { # PRESET: what talks over the wire, under a sanitizer
    local name
    if ! scripts/build.sh "$1" huren attack_wire inject >/dev/null; then
        failed+=("$part/build")
        return
    fi
    for name in wire wire_load alliance recall fork backup keys kill; do
        HR_FAULTS='' scenario "$name" "build/$1/huren"
    done
}
part_crash() { scenario crash; }
part_full() { HR_RANDOM=${HR_RANDOM:-1000} scenario full; }
part_memory() { scenario memory; }
part_damage() { for seed in 1 2 3; do HR_SEED=$seed scenario disk_damage; done; }
part_kill() { scenario kill; }
part_pause() { scenario pause; }
part_twins() { scenario restore; }
part_threads() { sanitized tsan; }
part_addresses() { sanitized asan; }

[ $# -gt 0 ] || set -- "${parts[@]}"
for part in "$@"; do
    if ! declare -F "part_$part" >/dev/null; then
        echo "faults.sh: no part '$part'; there are: ${parts[*]}" >&2
        exit 2
    fi
done
for part in "$@"; do "part_$part"; done
echo "$ran scenarios ran, ${#failed[@]} failed${failed[0]:+: ${failed[*]}}"
[ ${#failed[@]} = 0 ]

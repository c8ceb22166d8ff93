#!/usr/bin/env bash
# The main job on this machine: hospitals publish, gossip, look up, verify and decide.
# Installs what it needs, builds, runs an alliance on loopback, and ends it again.
#
# usage: scripts/demo.sh [--keep DIR]     --keep leaves the alliance running in DIR
set -euo pipefail
export PATH=/usr/bin:/bin:$PATH # a version manager's python3 takes ten times as long to start
cd "$(dirname "$0")/.."
here=$PWD
keep=
[ "${1:-}" = --keep ] && keep=${2:?--keep wants a folder}
scripts/setup.sh build
[ -x build/huren ] || echo "building, a minute or two the first time ..."
log=$(mktemp)
scripts/build.sh release huren >"$log" 2>&1 || { tail -40 "$log"; rm -f "$log"; echo "demo.sh: it does not build" >&2; exit 2; }
rm -f "$log"
HUREN=$PWD/build/huren
work=${keep:-$(mktemp -d)/alliance}
files=$(mktemp -d)
cleanup() {
    status=$?
    cd "$here"
    rm -rf "$files"
    if [ -z "$keep" ]; then
        "$here/scripts/alliance.sh" down "$work" || status=1
        rm -rf "$(dirname "$work")"
    fi
    exit $status
}
trap cleanup EXIT
PATIENT=RI:11010519491231002X

step() { printf '\n\033[1m%s\033[0m\n' "$*"; }
tell() { printf '  %s\n' "$*"; }
run() { # HOME ARGS...: show the command as a person would type it, then run it
    local home=$1 code=0
    shift
    printf '\n  %s$ huren %s\n' "$home" "$*"
    "$HUREN" --home "$work/$home" "$@" 2>&1 | sed 's/^/    /' || code=$?
    return 0
}
expect() { # WHAT CODE HOME ARGS...: run and check the exit code: the demo must not claim what did not happen
    local what=$1 want=$2 home=$3 code=0 out
    shift 3
    printf '\n  %s$ huren %s\n' "$home" "$*"
    out=$("$HUREN" --home "$work/$home" "$@" 2>&1) || code=$?
    printf '%s\n' "$out" | sed 's/^/    /'
    printf '%s' "$out" >"$files/last"
    [ "$code" = "$want" ] || { echo "demo.sh: $what: exit $code, expected $want" >&2; exit 1; }
}
shows() { grep -qF -- "$1" "$files/last" || { echo "demo.sh: the answer above lacks: $1" >&2; exit 1; }; }
wait_for() { # HOME ORIGIN SIZE COSIGNED: until the index of a log has come that far
    for _ in $(seq 300); do
        "$HUREN" --home "$work/$1" --json status | python3 -c '
import json, sys
for l in json.load(sys.stdin)["networks"][0]["logs"]:
    if l["origin"] == sys.argv[1] and l["size"] >= int(sys.argv[2]) and l["cosigned_size"] >= int(sys.argv[2]) and l["cosigned_by"] >= int(sys.argv[3]):
        sys.exit(0)
sys.exit(1)' "$2" "$3" "$4" && return 0
        sleep 0.1
    done
    echo "demo.sh: $2 did not reach $1" >&2
    exit 1
}

step "1. Three hospitals, an authority and a regulator start on this machine"
HR_PEERS_h3=h2 HUREN=$HUREN scripts/alliance.sh up "$work" 3 2>&1 | sed 's/^/  /'
tell "h1 is a tertiary hospital, h2 and h3 are secondary; all are in one county alliance."
tell "h3's gossip knows only h2: what h1 publishes reaches h3 through h2, which need not be trusted."

step "2. h1 and h2 take in what their own systems send"
for f in scripts/demo/*.hl7; do
    sed_days=
    for n in 1 3 4 5; do sed_days="$sed_days;s/@-$n@/$(date -d "-$n days" +%Y%m%d)/g"; done
    LC_ALL=C sed "$sed_days" "$f" >"$files/$(basename "$f")"
done
tell "h1's LIS sends OUL^R24 in UTF-8, with its own item numbers and kinds of identifiers;"
tell "h2's RIS sends ORU^R01 in GB 18030. A code map tells what their codes mean."
cp scripts/demo/h1-codemap.csv "$work/h1/codemap.csv"
cp scripts/demo/h2-codemap.csv "$work/h2/codemap.csv"
cd "$files"
expect "import at h1" 0 h1 import h1-lis.hl7
expect "import at h2" 0 h2 import h2-ris-gb18030.hl7 h2-lis.hl7
expect "a repeat changes nothing" 0 h1 import h1-lis.hl7
shows "there already"

step "3. Gossip: the index of both logs reaches h3, witnesses cosign"
wait_for h3 yx-county.hb.cn/h1/pub 1 2
wait_for h3 yx-county.hb.cn/h2/pub 2 2
tell "h3 holds the index, as pseudonyms; the records stay with h1 and h2."

step "4. A doctor at h3 is about to order potassium: is there a result to recognize?"
expect "look-up of potassium" 0 h3 lookup --patient $PATIENT --item LAB.K --evidence "$files/potassium.hre"
shows "4.10"
shows "hubei-2023: must"
tell "must: h1's result is on the list, marked, of good quality, and both are in one close alliance."

step "5. Glucose of h2: its quality assessment fails afterwards, so it is barred"
tell "the authority signs a new quality document; it reaches h3 by gossip."
(
    cd "$work/authority"
    echo "h2,LAB.GLU,provincial,$(date -d '-2 days' +%Y-%m-%d),no" >>quality.csv
    sed -i 's/^version: 1/version: 2/' quality.yaml
    "$HUREN" --home . charter build quality quality.yaml -o quality-2.charter >/dev/null
    "$HUREN" --home . charter sign quality-2.charter --key li.key >/dev/null
)
run authority charter adopt "$work/authority/quality-2.charter"
for _ in $(seq 200); do
    "$HUREN" --home "$work/h3" --json status | grep -q '"quality":{"version":2' && break
    sleep 0.1
done
expect "look-up of glucose" 1 h3 lookup --patient $PATIENT --item LAB.GLU
shows "hubei-2023: barred"

step "6. h1 corrects the potassium that h3 already used"
expect "correction" 0 h1 import h1-lis-corrected.hl7
shows "corrected"
wait_for h3 yx-county.hb.cn/h1/pub 2 2
expect "look-up of the corrected result" 0 h3 lookup --patient $PATIENT --item LAB.K
shows "4.60"
shows "corrected after you used it"
recall=1
for _ in $(seq 300); do # h1 told h3, who logged it before it said so
    "$HUREN" --home "$work/h1" recall list | grep -q "; acknowledged" && recall=0 && break
    sleep 0.1
done
[ "$recall" = 0 ] || { echo "demo.sh: the recall was not acknowledged" >&2; exit 1; }
expect "h1's list of who was told" 0 h1 recall list
shows "acknowledged"

step "7. h2 is stopped: h1's result is still answered, h2 is named as silent"
cd - >/dev/null
scripts/alliance.sh stop "$work/h2"
cd "$files"
expect "look-up with h2 stopped" 0 h3 lookup --patient $PATIENT --item LAB.K
shows "4.60"
expect "look-up of what only h2 holds" 2 h3 lookup --patient $PATIENT --item CT.CHEST.PLAIN
shows "SILENT"
cd - >/dev/null
HUREN=$HUREN scripts/alliance.sh start "$work/h2"
cd "$files"

step "8. The regulator checks h3's evidence, without any network"
tell "evidence is one file; it is checked against the charter's root that the regulator holds."
wait_for regulator yx-county.hb.cn/h1/pub 2 2
expect "verify evidence" 0 regulator verify potassium.hre
shows "verified"
shows "RECALLED: corrected"
tell "authentic it stays; the regulator's copy of h1's log says that the result was corrected since."

step "9. An altered copy is refused"
python3 - potassium.hre altered.hre <<'PY'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[len(data) // 2] ^= 1
open(sys.argv[2], "wb").write(data)
PY
expect "verify an altered copy" 1 regulator verify altered.hre
shows "NOT VERIFIED"

step "Done: published, gossiped, looked up, verified and decided."
if [ -n "$keep" ]; then
    tell "the alliance runs on in $keep; try: build/huren --home $keep/h3 lookup --patient $PATIENT --item LAB.NA"
    tell "end it with: scripts/alliance.sh down $keep"
else
    tell "nothing is left running. scripts/demo.sh --keep DIR leaves the alliance up for trials."
fi

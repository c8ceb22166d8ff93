#!/usr/bin/env bash
# Goal: the logs of a home are what C2SP and RFC 6962 say, so that somebody without
# our software can check them: heads, cosignatures, proofs, tiles.
# Method: an independent implementation (lib/tlog.py, with its own Ed25519) reads what
# `huren log` writes, and refuses it when a byte was changed.
. tests/e2e/lib/common.sh
up 2
messages 0 517 --tag L >"$work/l.hl7" # two full tiles and a partial one
expect 0 --home "$A/h1" import "$work/l.hl7"
out_has "517 published"
wait_index "$A/h2" h1 517 2
expect 0 --home "$A/h2" --json lookup --patient "RI:$(card 516)" --item LAB.K
wait_status "$A/h1" 20 "log['h1/pub']['head'] == 517 and log['h1/pub']['cosigned_size'] == 517 and log['h1/pub']['cosigned_by'] >= 2"
# The verifier keys, from the join files: what the authority put into the roster.
keys() { # ROLE TYPE INSTITUTION...
    python3 - "$A/authority/joins" "$NET" "$@" <<'PY'
import base64, hashlib, sys
folder, net, role, kind = sys.argv[1:5]
for who in sys.argv[5:]:
    for line in open(f"{folder}/{who}.join", encoding="utf-8"):
        if line.startswith(("log " if role == "pub" else role + " ")):
            key = bytes([int(kind)]) + base64.b64decode(line.split()[1])
            name = f"{net}/{who}/{role}"
            print(name + "+" + hashlib.sha256(name.encode() + bytes([10]) + key).digest()[:4].hex() + "+" + base64.b64encode(key).decode())
PY
}
expect 0 --home "$A/h1" log vkey pub
vkey=$(cat "$work/out")
[ "$vkey" = "$(keys pub 1 h1)" ] || fail "the vkey is not that of the join file: $vkey"
mapfile -t witnesses < <(keys witness 4 h2 regulator)
tlog() { python3 "$lib/tlog.py" "$@"; }
holds() { tlog "$@" >"$work/out" 2>"$work/err" || { fail "tlog.py $1: $(cat "$work/err")"; }; }
refused() { tlog "$@" >/dev/null 2>&1 && fail "tlog.py $1 took what was changed" || true; }

expect 0 --home "$A/h1" log checkpoint pub
cp "$work/out" "$work/checkpoint"
holds check "$work/checkpoint" "$vkey" "${witnesses[@]}"
[ "$(cut -d' ' -f1,2 "$work/out")" = "517 2" ] || fail "the checkpoint: $(cat "$work/out"), expected 517 entries and 2 witnesses"
sed '2s/517/518/' "$work/checkpoint" >"$work/bad"
refused check "$work/bad" "$vkey" "${witnesses[@]}"

mkdir "$work/entries"
expect 0 --home "$A/h1" log tiles pub "$work/tiles"
ENTRIES=$work/entries holds tiles "$work/tiles" "$vkey" "${witnesses[@]}"
[ -f "$work/tiles/tile/0/001" ] && [ -f "$work/tiles/tile/1/000.p/2" ] || fail "tiles are missing"
cp -r "$work/tiles" "$work/altered"
python3 - "$work/altered/tile/entries/000" <<'PY'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[40] ^= 1
open(sys.argv[1], "wb").write(data)
PY
refused tiles "$work/altered" "$vkey" "${witnesses[@]}"
for i in 0 1 255 256 511 512 516; do
    expect 0 --home "$A/h1" log prove pub $i
    cp "$work/out" "$work/proof"
    holds prove "$work/proof" "$vkey" "$work/entries/$i" $i "${witnesses[@]}"
    refused prove "$work/proof" "$vkey" "$work/entries/2" $i "${witnesses[@]}"
done
expect 1 --home "$A/h1" log prove pub 517
expect 2 --home "$A/h1" log prove pub x
expect 2 --home "$A/h1" log checkpoint other

# The exchange log of h2, which asked: signed like the other.
wait_status "$A/h2" 20 "log['h2/exch']['head'] == log['h2/exch']['size'] > 0"
expect 0 --home "$A/h2" log vkey exch
exch=$(cat "$work/out")
case $exch in "$NET/h2/exch/"????????+*) ;; *) fail "the exch vkey: $exch" ;; esac
mapfile -t witnesses < <(keys witness 4 h1 regulator)
expect 0 --home "$A/h2" log tiles exch "$work/exch"
mkdir "$work/asked"
ENTRIES=$work/asked holds tiles "$work/exch" "$exch" "${witnesses[@]}"
expect 0 --home "$A/h2" log prove exch 0
cp "$work/out" "$work/proof"
holds prove "$work/proof" "$exch" "$work/asked/0" 0 "${witnesses[@]}"
# Nothing of the patient stands in either log.
for secret in "$(card 516)" "$(card 0)" 欧阳; do
    grep -rqaF "$secret" "$work/entries" "$work/asked" "$work/tiles" "$work/exch" && fail "a log holds a patient's name or number" || true
done

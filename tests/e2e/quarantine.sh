#!/usr/bin/env bash
# Goal: one bad message loses no other: the good ones of a GB 18030 batch go in, the bad
# one is named and kept, sealed, and a better code map takes it up again.
# Method: a batch in GB 18030, one message of which is in another charset.
. tests/e2e/lib/common.sh
up 1
messages 0 4 --tag G --charset gb18030 --batch >"$work/batch.hl7"
python3 - "$work" <<'PY'
import sys
work = sys.argv[1]
data = open(work + "/batch.hl7", "rb").read()
# The third is Latin-1 and does not say so: in no set known here, until the code map names it.
parts = data.split(b"MSH|")
parts[3] = parts[3].replace(b"|GB18030", b"").replace("欧阳测试".encode("gb18030"), "René Test".encode("latin-1"))
parts[3] = parts[3].replace(b"LIS|", b"OLD|", 1).replace("钾".encode("gb18030"), b"K").replace("电解质".encode("gb18030"), b"E")
open(work + "/bad.hl7", "wb").write(b"MSH|".join(parts))
PY
code=0
"$HUREN" --home "$A/h1" import "$work/bad.hl7" >"$work/out" 2>"$work/err" || code=$?
[ "$code" = 1 ] || { fail "a batch with one bad message: exit $code, expected 1"; cat "$work/out" "$work/err"; }
out_has "3 published"
out_has "1 records in quarantine"
err_has "bad.hl7.*(record|message) 3"
expect 1 --home "$A/h1" import --retry
for i in 0 1 3; do
    expect 0 --home "$A/h1" --json lookup --patient "RI:$(card $i)" --item LAB.K
    json "report $i" "o['results'][0]['value'] == '4.10'" <"$work/out"
done
expect 1 --home "$A/h1" lookup --patient "RI:$(card 2)" --item LAB.K
printf 'sender,system,local_code,item\nOLD,MSH-18,,8859/1\n' >"$A/h1/codemap.csv"
expect 0 --home "$A/h1" import --retry
out_has "1 published"
expect 0 --home "$A/h1" --json lookup --patient "RI:$(card 2)" --item LAB.K
expect 0 --home "$A/h1" import --retry
out_has "0 published"
# What was kept lay sealed.
for secret in "$(card 2)" "$(card 0)"; do
    grep -raqF "$secret" "$A/h1" && fail "the home shows a patient's number: $(grep -ralF "$secret" "$A/h1")" || true
done

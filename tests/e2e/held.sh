#!/usr/bin/env bash
# Goal: what a hospital holds back is seen by nobody until it is released to him; then he
# gets it in a logged answer, can verify it and make evidence; taking it back ends that;
# corrections stay held; a refusal stands in the log with its reason.
# Method: two hospitals; reports held by --hold, by ORC-28, by a sensitive item.
. tests/e2e/lib/common.sh
up 2
h1() { expect "$1" --home "$A/h1" "${@:2}"; }
h2() { expect "$1" --home "$A/h2" "${@:2}"; }
look() { # CARD ITEM, by h2, into $work/out: exit 0 or 1
    local code=0
    "$HUREN" --home "$A/h2" --json lookup --patient "RI:$(card "$1")" --item "$2" >"$work/out" 2>"$work/err" || code=$?
    [ "$code" -le 1 ] || { fail "look-up of $1: exit $code"; cat "$work/err"; }
}
messages 1 1 --tag P >"$work/plain.hl7"
messages 2 1 --tag H >"$work/held.hl7"
messages 3 1 --tag C | python3 -c '
import sys
text = sys.stdin.buffer.read().decode()
sys.stdout.buffer.write(text.replace("\rOBR|", "\rORC|RE|AC3|C-3" + "|" * 25 + "R\rOBR|").encode())' >"$work/conf.hl7"
h1 0 import "$work/plain.hl7"
h1 0 import --hold "$work/held.hl7"
h1 0 import "$work/conf.hl7"
day=$(date -d '-2 days' +%F)
printf '报告单号,身份证号,项目代码,item,结果,采样时间,保密\nS-4,%s,x,LAB.HIVAB,negative,%s 08:00,\nS-5,%s,y,LAB.K,4.4,%s 08:00,是\nS-6,%s,y,LAB.K,4.5,%s 08:00,否\n' \
    "$(card 4)" "$day" "$(card 5)" "$day" "$(card 6)" "$day" >"$work/more.csv"
h1 0 import "$work/more.csv"
wait_index "$A/h2" h1 6 1
look 1 LAB.K
json "the plain one" "o['results'][0]['value'] == '4.10'" <"$work/out"
look 6 LAB.K
json "one that says it is not confidential" "o['results'][0]['value'] == '4.5'" <"$work/out"
for n in "2 LAB.K" "3 LAB.K" "4 LAB.HIVAB" "5 LAB.K" "2 CT.CHEST.PLAIN"; do
    look $n
    json "held: $n" "len(o['results']) == 1 and o['results'][0]['status'] == 'held by the issuer' and o['results'][0]['value'] is None and o['results'][0]['examined_at'] is None and 'report_id' not in o['results'][0]" <"$work/out"
done
# Nothing of it lies at h2: neither records nor keys are replicated.
refused() { # how many entries of h1's exch log are refusals with reason 6
    expect 0 --home "$A/h1" log tiles exch "$work/tiles"
    python3 - "$work/tiles" <<'PY'
import os, sys
seen = {}
for folder, _, names in os.walk(sys.argv[1]):
    if "entries" in folder:
        for name in names:
            data = open(os.path.join(folder, name), "rb").read()
            at = 0
            while at < len(data):
                n = int.from_bytes(data[at:at + 2], "big")
                seen[data[at + 2:at + 2 + n]] = True
                at += 2 + n
# ExchEntry.refused is field 3 (0x1a); Refused.reason, field 4 (0x20), comes last.
print(sum(1 for e in seen if e[0] == 0x1a and e[-2:] == b"\x20\x06"))
PY
}
n=$(refused)
[ "$n" -ge 5 ] || fail "$n refusals with reason 6 in the issuer's log, expected 5"
# Released to h2 for a time: found, decided, verified.
h1 1 release --patient "RI:$(card 1)" --to h2 # nothing of this patient is held
h1 2 release --patient "RI:$(card 2)" --to h9
h1 2 release --patient "RI:$(card 2)" --to h2 --until 2020-01-01
h1 1 release --patient "RI:$(card 2)" --report H-3 --to h2
h1 0 release --patient "RI:$(card 2)" --report H-2 --to h2 --days 7
out_has "report H-2"
look 3 LAB.K
json "another patient's is still held" "o['results'][0]['status'] == 'held by the issuer'" <"$work/out"
expect 0 --home "$A/h2" --json lookup --patient "RI:$(card 2)" --item LAB.K --evidence "$work/held.hre"
json "released" "o['results'][0]['value'] == '4.10' and o['results'][0]['status'] == 'final' and o['results'][0]['decisions'][0]['verdict'] in ('must', 'should')" <"$work/out"
alone --json verify "$work/held.hre" --root "$A/authority/root-1.charter" >"$work/out" 2>"$work/err" || fail "the evidence of a released report does not verify: $(cat "$work/err")"
json "evidence" "o['result']['value'] == '4.10' if 'result' in o else True" <"$work/out"
# Not to others: the regulator asks and is refused.
code=0
"$HUREN" --home "$A/regulator" --json lookup --patient "RI:$(card 2)" --item LAB.K >"$work/out" 2>"$work/err" || code=$?
[ "$code" = 1 ] || { fail "the regulator's look-up: exit $code"; cat "$work/err"; }
json "not to the regulator" "o['results'][0]['status'] == 'held by the issuer'" <"$work/out"
h1 0 --json release --list
json "list" "o['to'] == 'h2' and o['result'] == 'released'" <"$work/out"
grep -qF "$(card 2)" "$work/out" && fail "the list names the patient" || true
# A correction stays held, and goes to whom it was released.
messages 2 1 --tag H --value 5.60 --status C >"$work/corrected.hl7"
h1 0 import "$work/corrected.hl7"
out_has "1 corrected"
h1 0 import "$work/corrected.hl7"
out_has "1 there already"
wait_index "$A/h2" h1 7 1
look 2 LAB.K
json "the correction" "[r['value'] for r in o['results']] == ['5.60'] and o['results'][0]['correction']" <"$work/out"
h1 0 release --patient "RI:$(card 2)" --to h2 --withdraw
look 2 LAB.K
json "taken back" "[r['status'] for r in o['results']] == ['held by the issuer']" <"$work/out"
# What was open is held from now on: the old version is handed out no more.
h1 0 import --hold "$work/plain.hl7"
out_has "1 corrected"
wait_index "$A/h2" h1 8 1
look 1 LAB.K
json "held afterwards" "[r['status'] for r in o['results']] == ['held by the issuer']" <"$work/out"
# No patient, no report number in logs.
for log in "$A"/*/serve.log; do
    grep -qE "$(card 2)|$(card 4)|H-2" "$log" && fail "$log names a patient or report" || true
done
# Withdrawn: gone for everybody.
messages 2 1 --tag H --status X >"$work/gone.hl7"
h1 0 import "$work/gone.hl7"
out_has "1 withdrawn"
wait_index "$A/h2" h1 9 1
look 2 LAB.K
json "withdrawn" "[r['status'] for r in o['results']] == ['withdrawn']" <"$work/out"

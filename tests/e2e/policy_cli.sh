#!/usr/bin/env bash
# Goal: `huren policy` answers line by line, refuses what it must with the exit
# code that says so, and signs what it builds.
# Method: the shipped packs and vectors, damaged copies, pipes.
set -euo pipefail
huren=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "$1"; exit 1; }
expect() { # CODE COMMAND...
    local code=$1 got=0
    shift
    "$@" >"$work/out" 2>"$work/err" || got=$?
    [ "$got" = "$code" ] || fail "exit $got where $code is expected: $* $(cat "$work/err")"
}
python3 - policy/packs/hubei-2023/vectors.jsonl >"$work/good" <<'P'
import json, sys
for line in open(sys.argv[1], encoding="utf-8"):
    print(json.dumps(json.loads(line)["input"]))
P
expect 0 "$huren" policy decide "$work/good"
[ "$(wc -l <"$work/out")" = "$(wc -l <"$work/good")" ] || fail "one answer a line"
# A bad line gets an error in its place; the others go on; no newline at the end is fine.
{ head -1 "$work/good"; echo '[1]'; echo; echo '{"pack":"nowhere-1"}'; head -2 "$work/good" | tail -1 | tr -d '\n'; } >"$work/mixed"
expect 2 "$huren" policy decide "$work/mixed"
[ "$(wc -l <"$work/out")" = 4 ] || fail "four answers"
[ "$(grep -c '^{"error":' "$work/out")" = 2 ] || fail "two errors"
sed -n 4p "$work/out" | grep -q '"verdict"' || fail "the last line is decided"
# Each answer leaves before the next question comes.
coproc H { "$huren" policy decide; }
pid=$H_PID
head -1 "$work/good" >&"${H[1]}"
read -r -t 20 answer <&"${H[0]}" || fail "no answer while the pipe is open"
[[ $answer == *'"verdict"'* ]] || fail "answer: $answer"
exec {H[1]}>&-
wait "$pid" || fail "decide ended with an error"
expect 0 "$huren" policy mark "$work/good"
grep -q '"mark":true,"text":"鄂HR"' "$work/out" || fail "no mark"
expect 0 "$huren" policy explain "$work/good"
grep -q '一（二）1' "$work/out" || fail "the page cites no clause"
expect 0 "$huren" policy explain --lang en --table "$work/good"
expect 2 "$huren" policy explain --lang fr "$work/good"
expect 2 "$huren" policy decide "$work/not-there"
expect 0 "$huren" policy list --json
[ "$(grep -c '"address"' "$work/out")" = 5 ] || fail "five packs"
expect 0 "$huren" policy check policy/packs/*
cp -r policy/packs/hubei-2023 "$work/bad"
sed -i 's/check: marked/check: marcked/' "$work/bad/pack.yaml"
expect 1 "$huren" policy check policy/packs/hunan-2025 "$work/bad"
grep -q 'bad/pack.yaml:[0-9]*: check is not one that is known' "$work/err" || fail "no line"
expect 1 "$huren" policy build "$work/bad" -o "$work/bad.hrpack"
[ ! -e "$work/bad.hrpack" ] || fail "a refused pack was written"
# Rules may change only with their vectors.
cp -r policy/packs/taiyuan-2024 "$work/changed"
sed -i 's/days: "30"/days: "29"/' "$work/changed/pack.yaml"
expect 1 "$huren" policy check "$work/changed"
grep -q 'vectors.jsonl:[0-9]*: .* is expected' "$work/err" || fail "vectors did not notice: $(cat "$work/err")"
# Building twice gives the same bytes; the address is the one that `list` says.
expect 0 "$huren" policy build policy/packs/hubei-2023 -o "$work/a.hrpack"
expect 0 "$huren" policy build --json policy/packs/hubei-2023 -o "$work/b.hrpack"
cmp "$work/a.hrpack" "$work/b.hrpack"
address=$(grep -oP '"address":"\K[0-9a-f]{64}' "$work/out")
expect 0 "$huren" policy list
grep -q "$address" "$work/out" || fail "list knows another address"
expect 0 "$huren" policy check "$work/a.hrpack"
grep -q "$address" "$work/out" || fail "check knows another address"
expect 1 "$huren" policy check --vkey 'lab-a.example/results+7f7674ad+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4' "$work/a.hrpack"
sed 's/hubei-2023\t1\t/hubei-2023\t7\t/' "$work/a.hrpack" >"$work/c.hrpack"
expect 1 "$huren" policy check "$work/c.hrpack"
echo "policy: ok"

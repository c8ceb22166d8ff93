#!/usr/bin/env bash
# Goal: a home that was put back from an old copy, or runs twice, never signs a second
# history; it hears its witnesses first and takes its own entries back.
# Method: copies of a real home; every checkpoint that anybody ever showed is collected,
# and no two of one log may name different roots at one size.
. tests/e2e/lib/common.sh
up 2
seen=$work/seen
mkdir "$seen"
collect() { # all heads that the running homes hold of h1's logs, as they stand now
    local h
    for h in "$@"; do
        "$HUREN" --home "$A/$h" log checkpoint pub 2>/dev/null >"$seen/$(date +%s%N)-$h" || true
    done
    return 0
}
state() { "$HUREN" --home "$1" --json status | python3 -c 'import json,sys; print(json.load(sys.stdin)["networks"][0]["signing"]["'"$2"'"]["state"])'; }

# -- an old copy ------------------------------------------------------------------------
messages 0 10 --tag A >"$work/a.hl7"
messages 10 10 --tag A >"$work/b.hl7"
messages 20 5 --tag A >"$work/c.hl7"
expect 0 --home "$A/h1" import "$work/a.hl7"
wait_index "$A/h2" h1 10 2
collect h1
scripts/alliance.sh stop "$A/h1"
cp -a "$A/h1" "$work/backup"
scripts/alliance.sh start "$A/h1"
wait_status "$A/h1" 60 "n['signing']['pub']['state'] == 'open'"
expect 0 --home "$A/h1" import "$work/b.hl7"
wait_index "$A/h2" h1 20 2
wait_status "$A/regulator" 60 "log['h1/pub']['size'] == 20"
collect h1
origin() { "$HUREN" --home "$1" --json status | python3 -c 'import json,sys; print(json.load(sys.stdin)["networks"][0]["'"$2"'"])'; }
exch=$(origin "$A/h1" exch)
for i in 1 2 3; do # in the exchange log, after the copy
    "$HUREN" --home "$A/h1" --json lookup --patient "RI:$(card $i)" --item LAB.K >/dev/null || true
done
wait_status "$A/h1" 60 "any(l['origin'] == n['exch'] and l['size'] == l['head'] == l['cosigned_size'] and l['size'] >= 7 for l in n['logs'])"
"$HUREN" --home "$A/h1" log checkpoint exch >"$seen/exch-before"
# Everything stops; only h1 comes back, from the old copy: put into the place of a home that
# was removed (its inode numbers may come again), then over the files of one that is there
# (they stay): a store, its last-signed and all that they say about each other are as old.
for h in h1 h2 regulator authority; do scripts/alliance.sh stop "$A/$h"; done
alone_and_waiting() { # WHAT
    scripts/alliance.sh start "$A/h1"
    grep -q "not a clean start" "$A/h1/serve.log" || fail "$1: the old copy was not noticed at the start"
    [ "$(state "$A/h1" pub)" = waiting ] || fail "$1, alone: pub is $(state "$A/h1" pub), expected waiting"
    [ "$(origin "$A/h1" exch)" != "$exch" ] || fail "$1: the old exchange log goes on"
    "$HUREN" --home "$A/h1" --json status >"$work/out"
    json "$1: the new exchange log is unlinked" "all(l['linked'] == (l['origin'].endswith('/pub') or l['origin'] == '$exch') for l in o['networks'][0]['logs'] if l['own'])" <"$work/out"
}
cp -a "$A/h1" "$work/newest"
rm -rf "$A/h1"
cp -a "$work/backup" "$A/h1"
[ "$(origin "$A/h1" exch)" = "$exch" ] || fail "a command that only reads began a new exchange log"
[ "$(state "$A/h1" pub)" = waiting ] || fail "put back, no daemon: pub is $(state "$A/h1" pub), expected waiting"
"$HUREN" --home "$A/h1" --json lookup --patient "RI:$(card 1)" --item LAB.K >/dev/null || true
[ "$(origin "$A/h1" exch)" != "$exch" ] || fail "a look-up without a daemon goes on in the old exchange log"
alone_and_waiting "put back"
scripts/alliance.sh stop "$A/h1"
alone_and_waiting "started again" # the signed exchange log does not make it a clean start
scripts/alliance.sh stop "$A/h1"
for file in $(cd "$work/newest" && find . -type f); do cat "$work/newest/$file" >"$A/h1/$file"; done
before=$(stat -c %i "$A/h1/store/data.mdb")
cp -a "$work/backup/." "$A/h1/"
[ "$(stat -c %i "$A/h1/store/data.mdb")" = "$before" ] || fail "cp did not write into the file that was there"
alone_and_waiting "written over"
expect 1 --home "$A/h1" resume # the witnesses are still asked
err_has "refused"
# What is imported now must not become a second history.
code=0
"$HUREN" --home "$A/h1" import "$work/c.hl7" >"$work/out" 2>"$work/err" || code=$?
[ "$code" = 2 ] || fail "import into an old copy that may not sign: exit $code, expected 2"
[ "$(state "$A/h1" pub)" = waiting ] || fail "an old copy signs after an import"
collect h1
# One witness is not a majority of two.
scripts/alliance.sh start "$A/h2"
scripts/alliance.sh start "$A/regulator"
wait_status "$A/h1" 60 "log['h1/pub']['size'] == 20 and n['signing']['pub']['state'] == 'open' and log['h1/pub']['head'] == 20"
collect h1
"$HUREN" --home "$A/h1" log checkpoint exch >"$seen/exch-after"
# Everything again from the LIS: nothing is published twice, and the records are back.
expect 0 --home "$A/h1" import "$work/a.hl7"
out_has "10 there already"
expect 0 --home "$A/h1" import "$work/b.hl7"
out_has "10 there already"
expect 0 --home "$A/h1" import "$work/c.hl7"
wait_status "$A/h2" 60 "log['h1/pub']['size'] == 25 and log['h1/pub']['cosigned_size'] == 25"
collect h1
for i in 0 9 10 19 24; do
    expect 0 --home "$A/h2" --json lookup --patient "RI:$(card $i)" --item LAB.K
    json "report $i after the restore" "[r['value'] for r in o['results'] if r.get('report_id') == 'A-$i'] == ['4.10']" <"$work/out"
done
# The auditor has the new exchange log, which begins with what was lost.
new=$(origin "$A/h1" exch)
for _ in $(seq 300); do
    "$HUREN" --home "$A/regulator" --json status >"$work/out"
    grep -qF "$new" "$work/out" && break
    sleep 0.1
done
json "the auditor shows the new log as unlinked" "[l['linked'] for l in o['networks'][0]['logs'] if l['origin'] == '$new'] == [False]" <"$work/out"
json "and the one before as linked" "[l['linked'] for l in o['networks'][0]['logs'] if l['origin'] == '$exch'] == [True]" <"$work/out"
recovered() { # the Recovered entries of h1's exchange log: how many entries they say are missing
    rm -rf "$work/tiles"
    "$HUREN" --home "$A/h1" log tiles exch "$work/tiles" >/dev/null
    python3 - "$work/tiles" <<'PY'
import os, struct, sys
def varint(b, i):
    v = s = 0
    while True:
        v |= (b[i] & 127) << s; s += 7; i += 1
        if b[i - 1] < 128: return v, i
def fields(b):
    i = 0
    while i < len(b):
        tag, i = varint(b, i)
        if tag & 7 == 0: v, i = varint(b, i)
        else:
            n, i = varint(b, i); v = b[i:i + n]; i += n
        yield tag >> 3, v
found = []
for folder, _, names in sorted(os.walk(sys.argv[1])):
    if "entries" not in folder: continue
    for name in sorted(names):
        b, i = open(os.path.join(folder, name), "rb").read(), 0
        while i < len(b):
            n = struct.unpack(">H", b[i:i + 2])[0]
            found += [dict(fields(v)).get(4, 0) for f, v in fields(b[i + 2:i + 2 + n]) if f == 12]
            i += 2 + n
print(found)
PY
}
for _ in $(seq 300); do [[ $(recovered) =~ ^\[0,\ [1-9] ]] && break; sleep 0.2; done
echo "entries of the old exchange log that are missing, as Recovered says: $(recovered)"
[[ $(recovered) =~ ^\[0,\ [1-9] ]] || fail "Recovered: $(recovered), expected 0 at the start and what the auditor showed later"
expect 1 --home "$A/h1" log retire pub
err_has "need not be given up"
expect 0 --home "$A/h1" resume
out_has "signing already"
expect 0 --home "$A/h1" --json resume
json "resume" "o == {'network': '$NET', 'signing': True, 'already': True}" <"$work/out"

# -- a second owner, and a twin: once, or 20 times (scripts/faults.sh twins; F24) ----------------
times=1
[ "${HR_FAULTS:-}" != all ] || times=20
for round in $(seq "$times"); do
    code=0
    timeout 20 "$HUREN" --home "$A/h1" serve >"$work/out" 2>"$work/err" </dev/null || code=$?
    [ "$code" = 2 ] || fail "a second daemon of one home: exit $code, expected 2"
    err_has "already in use by process $(cat "$A/h1/serve.pid")"
    err_lines 1
    rm -rf "$work/twin"
    cp -a "$A/h1" "$work/twin"
    rm -f "$work/twin/control"
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    sed -i "s#^\( *listen: *\"\{0,1\}tcp://127.0.0.1:\)[0-9]*#\1$port#" "$work/twin/config.yaml"
    "$HUREN" --home "$work/twin" serve </dev/null >"$work/twin.log" 2>&1 &
    twin=$!
    started+=("$twin")
    for _ in $(seq 300); do grep -q ready "$work/twin.log" && break; sleep 0.1; done
    grep -q ready "$work/twin.log" || { fail "the twin did not start:"; cat "$work/twin.log"; }
    messages $((30 + 20 * round)) 3 --tag T >"$work/t1.hl7"
    messages $((40 + 20 * round)) 3 --tag T >"$work/t2.hl7"
    for _ in $(seq 300); do
        one=$(state "$A/h1" pub) two=$(state "$work/twin" pub)
        [ "$one" = twin ] && [ "$two" = twin ] && break
        sleep 0.1
    done
    [ "$one" = twin ] && [ "$two" = twin ] || fail "two processes with one key ($round): the first is $one, the copy is $two: both must stop signing"
    "$HUREN" --home "$A/h1" import "$work/t1.hl7" >/dev/null 2>&1 || true
    "$HUREN" --home "$work/twin" import "$work/t2.hl7" >/dev/null 2>&1 || true
    sleep 2
    collect h1
    "$HUREN" --home "$work/twin" log checkpoint pub >"$seen/twin-$round" 2>/dev/null || true
    [ "$round" != "$times" ] || break
    # The copy ends, and the first goes on where it was; of two that start at once one owns it.
    kill "$twin"
    wait "$twin" || fail "the twin ended with $?"
    scripts/alliance.sh stop "$A/h1"
    (timeout 8 "$HUREN" --home "$A/h1" serve </dev/null >"$work/other.log" 2>&1 || true) &
    other=$!
    if scripts/alliance.sh start "$A/h1" 2>"$work/err"; then
        wait "$other"
        grep -q "already in use" "$work/other.log" || fail "two daemons of one home: $(tail -2 "$work/other.log")"
    else
        grep -q "already in use" "$A/h1/serve.log" || fail "neither of two daemons started: $(tail -2 "$A/h1/serve.log")"
        wait "$other"
        scripts/alliance.sh start "$A/h1"
    fi
    wait_status "$A/h1" 60 "n['signing']['pub']['state'] == 'open'"
done
echo "twins: $times times both stopped signing"

# -- no two histories ---------------------------------------------------------------------
for h in h2 regulator; do
    expect 0 --home "$A/$h" --json status
    json "$h knows no fork" "not any(l['frozen'] for n in o['networks'] for l in n['logs'])" <"$work/out"
done
python3 - "$seen" <<'PY' || fail "two roots at one size were signed"
import os, sys
roots = {}
for name in sorted(os.listdir(sys.argv[1])):
    with open(os.path.join(sys.argv[1], name), encoding="utf-8") as f:
        lines = f.read().split("\n")
    if len(lines) < 5:
        continue
    key = (lines[0], int(lines[1]))
    if roots.setdefault(key, lines[2]) != lines[2]:
        sys.exit(f"{name}: {key} has two roots")
print(f"{len(roots)} heads seen, sizes {sorted(k[1] for k in roots)}")
sys.exit(0 if len(roots) >= 3 else "too few heads to tell")
PY

#!/usr/bin/env bash
# Goal: a machine that was rolled back to an old snapshot, and looks clean to itself, signs
# nothing that contradicts what it signed before; what it published meanwhile accuses nobody.
# Method: an old copy of a home whose last-signed is made to fit it, as a snapshot's would.
. tests/e2e/lib/common.sh
up 2
origin() { "$HUREN" --home "$1" --json status | python3 -c 'import json,sys; print(json.load(sys.stdin)["networks"][0]["'"$2"'"])'; }
# What a rolled back disk has, and no copying program can make: the file of that time.
look_clean() { # HOME
    python3 - "$1" <<'PY'
import hashlib, os, re, sys, time
home = sys.argv[1]
with open(home + "/last-signed") as f:
    text = f.read()
data = os.stat(home + "/store/data.mdb")
text = re.sub(r"(?m)^data .*$", f"data {data.st_dev} {data.st_ino}", text)
text = re.sub(r"(?m)^written .*$", f"written {time.time_ns() // 1000000}", text)
text = text[:text.rindex("sum ")]
with open(home + "/last-signed", "w") as f:
    f.write(text + "sum " + hashlib.sha256(text.encode()).hexdigest() + "\n")
PY
}
rolled_back() { # to the snapshot
    rm -rf "$A/h1"
    cp -a "$work/snapshot" "$A/h1"
    look_clean "$A/h1"
    scripts/alliance.sh start "$A/h1"
    ! grep -q "not a clean start" "$A/h1/serve.log" || fail "the rolled back home does not look clean: this proves nothing"
}
no_fork() {
    for h in h2 regulator; do
        expect 0 --home "$A/$h" --json status
        json "$h knows no fork" "all(n['forks'] == [] for n in o['networks'])" <"$work/out"
    done
}
messages 0 10 --tag A >"$work/a.hl7"
messages 10 10 --tag A >"$work/b.hl7"
messages 20 5 --tag A >"$work/c.hl7"
expect 0 --home "$A/h1" import "$work/a.hl7"
wait_index "$A/h2" h1 10 2
scripts/alliance.sh stop "$A/h1"
# However slow this machine is, the minute after which a clean start signs alone is not over.
sed -i 's/^\( *\)# tick_ms: .*/&\n\1start_wait_ms: 900000/' "$A/h1/config.yaml"
grep -q start_wait_ms "$A/h1/config.yaml" || fail "config.yaml has no place for start_wait_ms"
cp -a "$A/h1" "$work/snapshot"
scripts/alliance.sh start "$A/h1"
wait_status "$A/h1" 60 "n['signing']['pub']['state'] == 'open'"
expect 0 --home "$A/h1" import "$work/b.hl7"
for i in 1 2 3; do
    "$HUREN" --home "$A/h1" --json lookup --patient "RI:$(card $i)" --item LAB.K >/dev/null || true
done
wait_index "$A/h2" h1 20 2
wait_status "$A/regulator" 60 "log['h1/pub']['size'] == 20"
wait_status "$A/h1" 60 "any(l['origin'] == n['exch'] and l['size'] == l['head'] == l['cosigned_size'] and l['size'] >= 7 for l in n['logs'])"
old=$(origin "$A/h1" exch)
scripts/alliance.sh stop "$A/h1"

# -- the others are there: what is missing comes back, the exchange log begins anew -------------
rolled_back
wait_status "$A/h1" 60 "log['h1/pub']['size'] == 20 and n['signing']['pub']['state'] == 'open' and n['signing']['exch']['state'] == 'open' and n['exch'] != '$old'"
expect 0 --home "$A/h1" import "$work/a.hl7" "$work/b.hl7"
out_has "20 there already"
no_fork
scripts/alliance.sh stop "$A/h1"

# -- nobody is there: it publishes what contradicts what it does not know any more ------------------
for h in h2 regulator authority; do scripts/alliance.sh stop "$A/$h"; done
rolled_back
expect 0 --home "$A/h1" import "$work/c.hl7"
out_has "5 published"
wait_status "$A/h1" 60 "log['h1/pub']['head'] == 10 and n['signing']['pub']['state'] == 'waiting'"
for h in h2 regulator; do scripts/alliance.sh start "$A/$h"; done
wait_status "$A/h1" 60 "n['signing']['pub']['state'] == 'lost'"
no_fork
expect 0 --home "$A/h1" log retire pub
exch=$(origin "$A/h1" exch)
kill -9 "$(cat "$A/h1/serve.pid")"
for _ in $(seq 300); do kill -0 "$(cat "$A/h1/serve.pid")" 2>/dev/null || break; sleep 0.1; done
rm -f "$A/h1/serve.pid"
scripts/alliance.sh start "$A/h1"
! grep -q "not a clean start" "$A/h1/serve.log" || fail "a log that was given up makes the next start an unclean one"
[ "$(origin "$A/h1" exch)" = "$exch" ] || fail "a start after retiring pub began a new exchange log"
wait_status "$A/h1" 60 "n['signing']['pub']['state'] == 'open'"
expect 0 --home "$A/h1" import "$work/a.hl7" "$work/b.hl7" "$work/c.hl7"
new=$(origin "$A/h1" pub)
wait_status "$A/h2" 60 "any(l['origin'] == '$new' and l['size'] == 25 and not l['linked'] for l in n['logs'])"
no_fork

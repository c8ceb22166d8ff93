#!/usr/bin/env bash
# Goal: a backup of a running node is whole and checked, refused when it was changed, and
# what comes back from it loses nothing, publishes nothing twice and signs nothing twice.
# Method: backups while reports come in; each file changed; the home lost and put back.
. tests/e2e/lib/common.sh
export HR_REPLICATION=index
up 2
state() { "$HUREN" --home "$1" --json status | python3 -c 'import json,sys; print(json.load(sys.stdin)["networks"][0]["signing"]["pub"]["state"])'; }
messages 0 10 --tag A >"$work/a.hl7"
messages 10 200 --tag A >"$work/b.hl7"
messages 300 5 --tag A >"$work/c.hl7"
expect 0 --home "$A/h1" import "$work/a.hl7"
wait_index "$A/h2" h1 10 2

# -- hot, while reports come in ------------------------------------------------------------
"$HUREN" --home "$A/h1" import "$work/b.hl7" >"$work/import.out" 2>&1 &
importing=$!
for i in 1 2 3; do
    expect 0 --home "$A/h1" --json backup "$work/hot$i"
    json "backup $i says what it holds" "o['logs'] == 2 and not o['sealed'] and o['files'] >= 4" <"$work/out"
done
wait "$importing" || { fail "the import beside the backups failed:"; cat "$work/import.out"; }
for i in 1 2 3; do
    (cd "$work/hot$i" && awk '$1 == "file" { print $4 "  " $2 }' BACKUP | sha256sum --quiet -c -) ||
        fail "sha256sum does not agree with the list of backup $i"
    [ ! -e "$work/hot$i/last-signed" ] || fail "last-signed is in a backup"
done
wait_index "$A/h2" h1 210 2
expect 0 --home "$A/h1" backup "$work/b"
out_has "SECRET"
out_has "/h1/pub up to 210"
expect 2 --home "$A/h1" backup "$work/b"
err_has "choose another"
err_lines 1
(umask 077; echo "correct horse battery" >"$work/pass"; echo "another" >"$work/wrong")
expect 0 --home "$A/h1" backup "$work/sealed" --passphrase-file "$work/pass"
out_has "encrypted"
! grep -qaE "huren seed|institution:|LAB.K" "$work"/sealed/seed "$work"/sealed/config.yaml "$work"/sealed/store/data.mdb ||
    fail "a sealed backup can be read"

# -- what was changed is refused -------------------------------------------------------------
expect 2 --home "$A/h1" restore "$work/b"
err_has "is a home already"
expect 1 --home "$work/new" restore "$work/sealed" --passphrase-file "$work/wrong"
err_has "not its passphrase"
expect 1 --home "$work/new" restore "$work/sealed"
err_has "passphrase-file"
for file in store/data.mdb seed config.yaml BACKUP; do
    cp -a "$work/b" "$work/bad"
    python3 - "$work/bad/$file" <<'PY'
import os, sys
with open(sys.argv[1], "r+b") as f:
    f.seek(os.path.getsize(sys.argv[1]) // 2)
    byte = f.read(1)
    f.seek(-1, 1)
    f.write(bytes([byte[0] ^ 1]))
PY
    code=0
    "$HUREN" --home "$work/new" restore "$work/bad" >"$work/out" 2>"$work/err" || code=$?
    [ "$code" = 1 ] || fail "a backup with a changed $file: exit $code, expected 1"
    err_lines 1
    [ ! -e "$work/new" ] || fail "a refused restore left something behind"
    rm -rf "$work/bad"
done

# -- lost, and back ----------------------------------------------------------------------------
expect 0 --home "$A/h1" import "$work/c.hl7" # after the backup
wait_index "$A/h2" h1 215 2
wait_status "$A/regulator" 60 "log['h1/pub']['size'] == 215"
scripts/alliance.sh stop "$A/h1"
for h in h2 regulator; do scripts/alliance.sh stop "$A/$h"; done
mv "$A/h1" "$work/lost"
expect 0 --home "$A/h1" restore "$work/sealed" --passphrase-file "$work/pass"
[ ! -e "$A/h1/last-signed" ] || fail "last-signed came back"
[ "$(stat -c %a "$A/h1/seed")" = 600 ] || fail "the seed is open to others"
scripts/alliance.sh start "$A/h1"
grep -q "not a clean start" "$A/h1/serve.log" || fail "a restored home passes for a clean start"
[ "$(state "$A/h1")" = waiting ] || fail "a restored home, alone: $(state "$A/h1")"
for h in h2 regulator; do scripts/alliance.sh start "$A/$h"; done
wait_status "$A/h1" 60 "log['h1/pub']['size'] == 215 and n['signing']['pub']['state'] == 'open'"
expect 0 --home "$A/h1" audit verify # entries without records are no damage
out_has "unlinked"
expect 0 --home "$A/h1" import "$work/a.hl7" "$work/b.hl7" "$work/c.hl7"
out_has "215 there already"
for i in 3 100 304; do
    expect 0 --home "$A/h2" --json lookup --patient "RI:$(card $i)" --item LAB.K
    json "report $i after the restore" "[r['value'] for r in o['results'] if r.get('report_id') == 'A-$i'] == ['4.10']" <"$work/out"
done
expect 0 --home "$A/h2" --json status
json "nobody knows a fork" "not any(l['frozen'] for n in o['networks'] for l in n['logs'])" <"$work/out"
json "nothing was published twice" "[l['size'] for n in o['networks'] for l in n['logs'] if l['origin'].endswith('/h1/pub')] == [215]" <"$work/out"
expect 0 --home "$A/h1" audit verify

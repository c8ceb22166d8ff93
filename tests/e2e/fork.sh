#!/usr/bin/env bash
# Goal: a log that showed two histories is frozen by everybody, on a proof that convinces
# who never saw either; its hospital goes on in a log that members must name.
# Method: an operator lets a copy of h1's home sign, cut off from all others; later it comes
# back into its place.  The proof is checked with the root alone, and damaged.
. tests/e2e/lib/common.sh
up 2
messages 0 10 --tag A >"$work/a.hl7"
messages 10 5 --tag A >"$work/b.hl7"
messages 20 7 --tag A >"$work/c.hl7"
pub=$NET/h1/pub
expect 0 --home "$A/h1" import "$work/a.hl7"
wait_index "$A/h2" h1 10 2
wait_status "$A/authority" 60 "log['h1/pub']['size'] == 10"
scripts/alliance.sh stop "$A/authority" # it sees nothing of what follows
scripts/alliance.sh stop "$A/h1"
cp -a "$A/h1" "$work/copy"
scripts/alliance.sh start "$A/h1"
wait_status "$A/h1" 60 "n['signing']['pub']['state'] == 'open'"
expect 0 --home "$A/h1" import "$work/b.hl7"
wait_index "$A/h2" h1 15 2
wait_status "$A/regulator" 60 "log['h1/pub']['size'] == 15 and log['h1/pub']['cosigned_size'] == 15 and log['h1/pub']['cosigned_by'] == 2"
scripts/alliance.sh stop "$A/h1"

# -- the copy, cut off, is let go by its operator -----------------------------------------
cp "$work/copy/config.yaml" "$work/config.yaml"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
sed -i "s#^\( *listen: *\"\{0,1\}tcp://127.0.0.1:\)[0-9]*#\1$port#; s/^\( *\)# peers: .*/\1peers: [nobody]/; s/^\( *\)# tick_ms: .*/&\n\1start_wait_ms: 1500/" "$work/copy/config.yaml"
expect 2 --home "$work/copy" resume
err_has "no daemon runs here"
scripts/alliance.sh start "$work/copy"
wait_status "$work/copy" 60 "n['signing']['pub']['state'] == 'held'"
expect 0 --home "$work/copy" resume
out_has "recorded in"
expect 0 --home "$work/copy" import "$work/c.hl7"
wait_status "$work/copy" 60 "log['h1/pub']['head'] == 17"
scripts/alliance.sh stop "$work/copy"

# -- it comes back into its place ------------------------------------------------------------
mv "$A/h1" "$work/first"
cp "$work/config.yaml" "$work/copy/config.yaml"
mv "$work/copy" "$A/h1"
scripts/alliance.sh start "$A/h1"
frozen="any(f['origin'] == '$pub' and f['proven'] and f['serves'] == 15 and f['sizes'] == [15, 17] for f in n['forks'])"
wait_status "$A/h2" 60 "$frozen"
wait_status "$A/regulator" 60 "$frozen"
wait_status "$A/h1" 60 "n['signing']['pub']['state'] == 'lost'"
scripts/alliance.sh stop "$A/h1"
expect 0 --home "$A/h2" status
out_has "FORK of $pub"
expect 0 --home "$A/h2" --json status
json "its head is the one that counts" "[(l['head'], l['cosigned_size'], l['frozen']) for n in o['networks'] for l in n['logs'] if l['origin'] == '$pub'] == [(15, 15, True)]" <"$work/out"
# Who was away learns of it from others.
scripts/alliance.sh start "$A/authority"
wait_status "$A/authority" 60 "$frozen" # with what it had missed of the undisputed part
# It stands in the audit trails, with both heads.
expect 0 --home "$A/h2" log tiles exch "$work/exch"
grep -rqa "$pub" "$work/exch" || fail "no Fork entry in the exchange log of h2"

# -- the proof, anywhere -------------------------------------------------------------------------
for h in h2 authority; do
    expect 0 --home "$A/$h" log fork "$pub" "$work/$h.fork"
    alone verify "$work/$h.fork" --root "$A/authority/root-1.charter" >"$work/out" 2>"$work/err" ||
        { fail "the proof of $h is not verified with the root alone"; cat "$work/err"; }
    out_has "verified: a FORK"
    out_has "15 entries, root"
    out_has "17 entries, root"
done
expect 0 --home "$A/regulator" --json verify "$work/h2.fork"
json "the proof for programs" "o['verified'] and o['fork'] and o['origin'] == '$pub' and o['smaller']['size'] == 15 and not o['key_ended']" <"$work/out"
[ "$(stat -c %s "$work/h2.fork")" -lt 8192 ] || fail "the proof is not small"
python3 - "$work/h2.fork" "$HUREN" "$A/authority/root-1.charter" <<'PY' || fail "a changed proof is verified"
import random, subprocess, sys
path, huren, root = sys.argv[1:]
good = open(path, "rb").read()
random.seed(4)
def verify(data):
    open(path + ".bad", "wb").write(data)
    r = subprocess.run([huren, "--home", "/nonexistent", "verify", path + ".bad", "--root", root],
                       capture_output=True)
    return r.returncode, r.stdout
says = verify(good)
refused = 0
for i in range(60):
    bad = bytearray(good)
    bad[random.randrange(14, len(bad))] ^= 1 << random.randrange(8)
    got = verify(bad)
    refused += got[0] in (1, 2)
    # The caller trusts the root himself: signatures on its copy in the file add nothing.
    if got[0] not in (1, 2) and got != says:
        sys.exit(f"change {i}: exit {got[0]}: {got[1]}")
sys.exit(0 if refused > 40 else f"only {refused} of 60 changes were refused")
PY
expect 1 --home "$A/h2" log fork "$NET/h2/pub" "$work/none.fork"
err_has "no fork of it is known"

# -- the first h1 is told, gives the log up and goes on in another ---------------------------------
mv "$A/h1" "$work/second"
mv "$work/first" "$A/h1"
scripts/alliance.sh start "$A/h1"
wait_status "$A/h1" 60 "n['signing']['pub']['state'] == 'lost'"
expect 0 --home "$A/h1" --json log retire pub
json "retired" "o['network'] == '$NET' and o['given_up'] == '$pub' and o['next'].startswith('$pub/')" <"$work/out"
wait_status "$A/h1" 60 "n['signing']['pub']['state'] == 'open'"
new=$("$HUREN" --home "$A/h1" --json status | python3 -c 'import json,sys; print(json.load(sys.stdin)["networks"][0]["pub"])')
[[ $new =~ ^$pub/[0-9a-f]{8}$ ]] || fail "the new log is $new"
expect 0 --home "$A/h1" import "$work/a.hl7" "$work/b.hl7" "$work/c.hl7"
is_linked() { "$HUREN" --home "$1" --json status | python3 -c 'import json,sys; print([l["linked"] for n in json.load(sys.stdin)["networks"] for l in n["logs"] if l["origin"] == "'"$new"'" and l["size"] == 22 and l["cosigned_by"] == 2])'; }
for _ in $(seq 600); do [ "$(is_linked "$A/h2")" = "[False]" ] && break; sleep 0.1; done
[ "$(is_linked "$A/h2")" = "[False]" ] || fail "the new log at h2: linked is $(is_linked "$A/h2"), expected [False]"
results() { "$HUREN" --home "$A/h2" --json lookup --patient "RI:$(card 21)" --item LAB.K >"$work/out" 2>"$work/err" || true; }
results
json "a result of an unlinked log is disputed" "[(r['report_id'], r['disputed'], r['preselected']) for r in o['results']] == [('A-21', True, False)]" <"$work/out"
(
    cd "$A/authority"
    failed=0
    sed "s/^version: 1/version: 2\nprevious: members-1.charter/; s#^  - join: joins/h1.join#&\n    linked: [\"$new\"]#" members.yaml >members-2.yaml
    expect 0 --home "$A/authority" charter build members members-2.yaml -o members-2.charter
    expect 0 --home "$A/authority" charter sign members-2.charter --key li.key
    expect 0 --home "$A/authority" charter adopt members-2.charter
    exit "$failed"
) || fail "members version 2"
for _ in $(seq 600); do [ "$(is_linked "$A/h2")" = "[True]" ] && break; sleep 0.1; done
[ "$(is_linked "$A/h2")" = "[True]" ] || fail "members names the new log, and h2 shows it as unlinked"
results
json "and of a linked one is not" "[(r['report_id'], r['disputed']) for r in o['results']] == [('A-21', False)]" <"$work/out"

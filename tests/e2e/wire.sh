#!/usr/bin/env bash
# Goal: what a stranger or a member sends wrongly on the wire opens no session, is taken in
# once at most, and ends at its limit: replays, flipped bits, N + 1 of everything.
# Method: a daemon of an alliance and attack_wire, a hostile peer that speaks Noise; the
# daemon's own counters (status --json, "wire") say what it accepted.
. tests/e2e/lib/common.sh
attack=$(dirname "$HUREN")/attack_wire
up 2
messages 0 300 --tag A >"$work/a.hl7"
expect 0 --home "$A/h1" import "$work/a.hl7"
wait_index "$A/h2" h1 300 2
proxy=

run() { # ARGS...: an attack that must find nothing
    local begun=$EPOCHREALTIME
    "$attack" "$@" >"$work/attack" 2>&1 || { fail "attack_wire $1: exit $?"; }
    grep -v '^FAILED' "$work/attack" || true
    echo "$1: $(python3 -c "print(round($EPOCHREALTIME - $begun, 1))") s"
    grep '^FAILED' "$work/attack" | head -20 || true
}
counter() { "$HUREN" --home "$1" --json status | python3 -c 'import json, sys; print(json.load(sys.stdin)["wire"][sys.argv[1]])' "$2"; }
entries() { # of its exchange log
    "$HUREN" --home "$1" --json status | python3 -c 'import json, sys
n = json.load(sys.stdin)["networks"][0]
print(next(l["size"] for l in n["logs"] if l["origin"] == n["exch"]))'
}
rss_kib() { awk '/^VmRSS/ {print $2}' "/proc/$(cat "$1/serve.pid")/status"; }

# -- record: the daemon of h1 moves behind a proxy, and the others come through it ------------
port=$(sed -n 's/.*listen: *"\{0,1\}tcp:\/\/127.0.0.1:\([0-9]*\).*/\1/p' "$A/h1/config.yaml")
behind=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
scripts/alliance.sh stop "$A/h1"
sed -i "s/tcp:\/\/127.0.0.1:$port/tcp:\/\/127.0.0.1:$behind/" "$A/h1/config.yaml"
"$attack" record "$port" "$A/h1" "$work/traffic" >"$work/record.log" 2>&1 &
proxy=$!
started+=("$proxy")
scripts/alliance.sh start "$A/h1"
wait_status "$A/h2" 60 "any(p['institution'] == 'h1' for p in n['peers'])"
for i in 1 2 3 4 5 6 7 8 9 10; do
    expect 0 --home "$A/h2" --json lookup --patient "RI:$(card "$i")" --item LAB.K
    json "a look-up through the proxy" "o['silent'] == []" <"$work/out"
done
# A member that asks much, so that more than 1,000 messages are there to be replayed.
scripts/alliance.sh stop "$A/h2"
run burst "$port" "$A/h1" "$A/h2"
scripts/alliance.sh stop "$A/authority"
scripts/alliance.sh stop "$A/regulator"
kill "$proxy"
wait "$proxy" || fail "the proxy ended with $?"

# -- replay: nobody else is there, so that every frame that counts is one too many -------------
frames=$(counter "$A/h1" frames_in)
accepted=$(counter "$A/h1" accepted)
entries=$(entries "$A/h1")
run replay "$A/h1" "$A/h2" "$work/traffic"
# In their own sessions some look-ups were honest.  Each that is taken in makes one entry.
read -r asked honest < <(sed -n 's/.*beside \([0-9]*\) look-ups in \([0-9]*\) honest.*/\1 \2/p' "$work/attack")
now=$(counter "$A/h1" frames_in)
[ $((now - frames)) -le "$honest" ] || fail "$((now - frames)) frames were taken in, $honest were sent once"
[ $(($(counter "$A/h1" accepted) - accepted)) -ge 1000 ] || fail "less than 1,000 connections of replays"
grown=$(entries "$A/h1")
echo "h1's logs before and after: $entries; $grown ($asked asked once)"
[ $((grown - entries)) = "$asked" ] || fail "h1 answered $((grown - entries)) look-ups, $asked were sent once"

# -- flips, limits, caps -----------------------------------------------------------------------
run handshake "$A/h1" "$A/h2"
before=$(rss_kib "$A/h1")
run limits "$A/h1" "$A/h2"
after=$(rss_kib "$A/h1")
[ $((after - before)) -lt 65536 ] || fail "limits took $((after - before)) KiB of memory"
run caps "$A/h1" "$A/h2"

# -- still whole ---------------------------------------------------------------------------------
scripts/alliance.sh start "$A/regulator"
wait_status "$A/h1" 60 "s['wire']['opening'] == 0"
expect 0 --home "$A/h1" --json lookup --patient "RI:$(card 1)" --item LAB.K
kill -0 "$(cat "$A/h1/serve.pid")" || fail "h1 did not survive"
lines=$(wc -l <"$A/h1/serve.log")
[ "$lines" -lt 200 ] || fail "h1 wrote $lines lines about what came over the wire"

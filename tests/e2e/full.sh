#!/usr/bin/env bash
# Goal: a store that is full, by its disk or by store_bytes_max, refuses publications in words and loses
# nothing; the reserve keeps look-ups, answers and receipts going; when it is used up these are refused
# in words, too, and what reads goes on; nothing spins or fills a log; with room again all goes on
# within a minute without a restart (F4, F5; DESIGN 10).
# Method: two real daemons, the small one on a tmpfs that ballast fills, then one under a cap.
# Then LMDB refuses single writes (lib/map_full.py, tests/inject/fail_store.c), a sample that differs
# from day to day.  HR_FAULTS=all fills and frees the disk 100 times and refuses every write;
# HR_RANDOM=N adds N at random.
. tests/e2e/lib/common.sh
. tests/e2e/lib/small_network.sh
export HR_REPLICATION=index
fills=1
[ "${HR_FAULTS:-}" = all ] && fills=${HR_FILLS:-100}
h1=
h2=

declare -A pid
start() { # HOME: until it is ready
    local before i
    before=$(grep -c ' ready$' "$1.log" 2>/dev/null || true)
    "$HUREN" --home "$1" serve </dev/null 2>>"$1.log" >&2 &
    pid[$1]=$!
    started+=($!)
    for i in $(seq 400); do
        [ "$(grep -c ' ready$' "$1.log" || true)" -gt "${before:-0}" ] && return 0
        kill -0 "${pid[$1]}" 2>/dev/null || break
        sleep 0.05
    done
    fail "$1 did not start: $(tail -2 "$1.log")"
    return 0
}
stop() { kill "${pid[$1]}" && wait "${pid[$1]}" || fail "$1 ended with $?"; }
alive() { kill -0 "${pid[$1]}" 2>/dev/null || fail "the daemon of $1 died: $(tail -3 "$1.log")"; }
entries() { # HOME LOG: size, as `status` of the home says
    "$HUREN" --home "$1" --json status | python3 -c '
import json, sys
print(sum(l["size"] for l in json.load(sys.stdin)["networks"][0]["logs"] if sys.argv[1] in l["origin"]))' "$2"
}
lookup() { # HOME PATIENT: out and err; the exit code is in $code
    code=0
    "$HUREN" --home "$1" --json lookup --patient "RI:$(card "$2")" --item LAB.K >"$work/out" 2>"$work/err" || code=$?
}
# A look-up that finds what this institution published: on a slow machine an answer may come too late.
finds() { # WHAT HOME PATIENT INSTITUTION
    local i
    for i in $(seq 40); do
        lookup "$2" "$3"
        grep -q '"silent":\[\]' "$work/out" && break
        sleep 0.2
    done
    json "$1" "[r['issuer'] for r in o['results']] == ['$4'] and o['silent'] == []" <"$work/out"
}
# Ask, from both sides, until h2 can log nothing more: an answer takes less than a decision.
ask_until_nothing_is_logged() {
    local i a b asking
    a=$(card 100)
    b=$(card 0)
    for i in $(seq 500); do
        asking=()
        for _ in 1 2 3; do
            "$HUREN" --home "$h1" lookup --patient "RI:$a" --item LAB.K >/dev/null 2>&1 &
            asking+=($!)
        done
        "$HUREN" --home "$h2" lookup --patient "RI:$b" --item LAB.K >/dev/null 2>&1 || true
        wait "${asking[@]}" || true
        "$HUREN" --home "$h1" lookup --patient "RI:$a" --item LAB.K >/dev/null 2>"$work/err" || true
        grep -q "refuses: its store is full" "$work/err" && { echo "the reserve took $((5 * i)) look-ups"; return 0; }
    done
    fail "the reserve of $h2 has no end"
}
quiet() { # HOME: that it is full costs no processor, no traffic, no log
    local a b lines bytes
    a=$(awk '{print $14 + $15}' "/proc/${pid[$1]}/stat")
    lines=$(wc -l <"$1.log")
    bytes=$("$HUREN" --home "$1" --json status | python3 -c 'import json, sys; print(json.load(sys.stdin)["wire"]["bytes_in"])')
    sleep 12
    b=$(awk '{print $14 + $15}' "/proc/${pid[$1]}/stat")
    [ $((b - a)) -le $(($(getconf CLK_TCK) * 12 / 10)) ] || fail "$1: $((b - a)) ticks of processor in 12 s of being full"
    lines=$(($(wc -l <"$1.log") - lines))
    [ "$lines" -le 2 ] || { fail "$1: $lines lines in 12 s of being full"; tail -"$lines" "$1.log" | head -5; }
    bytes=$(($("$HUREN" --home "$1" --json status | python3 -c 'import json, sys; print(json.load(sys.stdin)["wire"]["bytes_in"])') - bytes))
    [ "$bytes" -le 200000 ] || fail "$1: took $bytes bytes from peers in 12 s of being full"
}
# Everything that writes is refused in one line that says what to do; what reads is not.
nothing_is_logged() { # WHAT TO DO
    lookup "$h2" 0
    [ "$code" = 2 ] && [ ! -s "$work/out" ] || fail "a look-up at a node that can log nothing: exit $code, $(head -c 200 "$work/out")"
    err_has "exchange log.*store is full.*$1|store is full.*$1"
    err_lines 1
    lookup "$h1" 100
    json "who is silent" "o['silent'] == ['h2'] and any('h2 refuses: its store is full' in w for w in o['warnings'])" <"$work/out"
    expect 2 --home "$h2" import "$work/refused.hl7"
    err_has "nothing of this part was stored: store is full.*$1.*import the file again"
    expect 0 --home "$h2" status
    out_has "ALARM: the store is full and its reserve used up"
    grep -qE -- "$1" "$work/out" || fail "status does not say what to do: $1"
    expect 0 --home "$h2" audit verify
    alive "$h2"
}
network() { # DIR: two hospitals that know of nothing yet
    local h
    small_network "$1" || exit 1
    h1=$1/h1
    h2=$1/h2
    for h in "$h1" "$h2"; do expect 0 --home "$h" charter adopt "$1"/charter/*.charter; done
}
messages 0 3 --tag A >"$work/a.hl7"
messages 100 3 --tag B >"$work/b.hl7"
messages 9900 20 --tag E >"$work/refused.hl7"
messages 9950 1 --tag Q | sed 's/UNICODE UTF-8//; s/LIS/OLD/; s/欧阳测试/René Test/; s/钾/K/; s/电解质/E/' | iconv -f utf-8 -t latin1 >"$work/bad.hl7"

# ---- the disk ------------------------------------------------------------------------------

# Put ballast on the disk of h2 until publications have BYTES left, or with `all` everything has.
leave() { # BYTES [all]
    "$HUREN" --home "$h2" --json status | python3 -c '
import json, os, sys
space, room = json.load(sys.stdin)["space"], int(sys.argv[2])
free = 64 * 4096 + room  # what every commit leaves, ...
if sys.argv[3:] != ["all"]:  # ... and a fifth of all
    free = (space["used_bytes"] // 5 + free) * 5 // 4
with open(sys.argv[1], "ab") as f:
    f.write(bytes(max(0, min(space["free_bytes"] - free, space["disk_free_bytes"]))))' "$h2/ballast" "$@"
}
# One fill: publications and entries of others until refused, then room again.
fill() { # NUMBER REPORTS ROOM DURING
    local acked before seconds there
    messages $((10000 * $1)) "$2" --tag "C$1" >"$work/c.hl7"
    messages $((10000 * $1 + 5000)) 30 --tag "D$1" >"$work/d.hl7"
    before=$(entries "$h2" h2/pub)
    leave "$3"
    expect 2 --home "$h2" import "$work/c.hl7"
    err_has "nothing of this part was stored: store is full, .* used and .* kept for look-ups and answers: make room on the disk of .*import the file again"
    acked=$(grep -c ": published$" "$work/out" || true)
    [ "$acked" -gt 0 ] || [ "$1" -gt 1 ] || fail "nothing was taken before the disk was full"
    [ "$(entries "$h2" h2/pub)" = $((before + acked)) ] || fail "$acked reports were acknowledged; the log went from $before to $(entries "$h2" h2/pub)"
    leave 0
    expect 0 --home "$h1" import "$work/d.hl7"
    finds "h2 answers out of its reserve" "$h1" 100 h2
    $4
    rm "$h2/ballast"
    seconds=$SECONDS
    wait_status "$h2" 20 "log['h1/pub']['size'] == $((3 + 30 * $1))"
    expect 0 --home "$h2" import "$work/c.hl7"
    there=$(grep -c ": report .*there already" "$work/out" || true)
    [ "$there" = "$acked" ] || fail "of $acked acknowledged reports $there are there"
    finds "h2 asks again" "$h2" 0 h1
    finds "h2 answers again" "$h1" 100 h2
    [ $((SECONDS - seconds)) -le 60 ] || fail "it took $((SECONDS - seconds)) s to go on"
    alive "$h2"
}
# What holds while the disk is full.
while_full() {
    local answered
    expect 0 --home "$h2" status
    out_has "ALARM: the store is full: nothing more is published or taken from other hospitals; look-ups and answers go on"
    [ "$(grep -c 'space: the store is full: nothing more' "$h2.log")" = 1 ] || fail "the log says $(grep -c 'space: ' "$h2.log") times that the store is full"
    answered=$(entries "$h2" h2/exch)
    finds "h2 answers" "$h1" 101 h2
    [ "$(entries "$h2" h2/exch)" -gt "$answered" ] || fail "an answer out of the reserve is not logged"
    finds "h2 asks" "$h2" 1 h1
    wait_status "$h1" 20 "[p['receipts_due'] for p in n['peers']] == [0]"
    wait_status "$h2" 20 "[p['receipts_due'] for p in n['peers']] == [0] and log['h1/pub']['size'] == 3"
    expect 2 --home "$h2" import "$work/bad.hl7"
    err_has "quarantine: store is full, .*make room on the disk"
    out_has "0 records in quarantine"
    leave 60000 all
    ask_until_nothing_is_logged
    nothing_is_logged "make room on the disk of "
    leave 0 all
    quiet "$h2"
}
disk() {
    local n
    network "$work/net"
    mv "$h2" "$work/roomy"
    mkdir "$h2"
    mount -t tmpfs -o "size=$((24 + 2 * fills))m" tmpfs "$h2" 2>/dev/null || return 1
    cp -a "$work/roomy/." "$h2"
    python3 "$lib/trial.py" "$h2"
    start "$h1"
    start "$h2"
    expect 0 --home "$h1" import "$work/a.hl7"
    expect 0 --home "$h2" import "$work/b.hl7"
    wait_status "$h2" 20 "log['h1/pub']['size'] == 3"
    wait_status "$h1" 20 "log['h2/pub']['size'] == 3"
    "$HUREN" --home "$h2" --json status >"$work/out"
    json "there is room" "o['space']['alarm'] is None and o['space']['bound'] == 'disk' and not o['space']['publishing_stops']" <"$work/out"
    fill 1 2500 3500000 while_full
    wait_status "$h2" 20 "s['space']['alarm'] is None"
    sleep 2
    grep -q 'space: there is room again' "$h2.log" || fail "the log does not say that there is room again"
    for n in $(seq 2 "$fills"); do fill "$n" 1000 1950000 true; done
    wait_status "$h1" 30 "log['h2/pub']['size'] == $(entries "$h2" h2/pub)"
    expect 0 --home "$h2" audit verify
    echo "disk: filled $fills times; the log has $(wc -l <"$h2.log") lines"
    # It starts as full as it is, and says what is the matter.
    leave 0 all
    stop "$h2"
    start "$h2"
    expect 0 --home "$h2" status
    out_has "ALARM: the store is full"
    stop "$h2"
    # A home that came without the file of its locks must not end in a SIGBUS.
    rm "$h2/store/lock.mdb"
    head -c 100000000 /dev/zero >>"$h2/ballast" 2>/dev/null || true
    expect 2 --home "$h2" status
    err_has "store is full"
    rm "$h2/ballast"
    expect 0 --home "$h2" status
    stop "$h1"
    umount "$h2"
}

# ---- the cap ---------------------------------------------------------------------------------
cap() {
    local size
    network "$work/capped"
    echo "store_bytes_max: 1572864" >>"$h2/config.yaml"
    start "$h1"
    start "$h2"
    messages 300000 6000 --tag F >"$work/f.hl7"
    expect 0 --home "$h1" import "$work/a.hl7"
    wait_status "$h2" 20 "log['h1/pub']['size'] >= 3"
    expect 0 --home "$h2" import "$work/b.hl7"
    expect 0 --home "$h1" import "$work/f.hl7"
    size=$(entries "$h1" h1/pub)
    wait_status "$h2" 30 "s['space']['publishing_stops'] and s['space']['bound'] == 'store_bytes_max' and 3 <= log['h1/pub']['size'] < $size"
    wait_status "$h1" 30 "log['h2/pub']['size'] == 3"
    finds "h2 answers out of its reserve" "$h1" 100 h2
    finds "h2 asks out of its reserve" "$h2" 0 h1
    quiet "$h2"
    expect 0 --home "$h2" status
    out_has "ALARM: the store is full"
    out_has "raise store_bytes_max (1572864) in $h2/config.yaml and restart huren serve"
    if [ "${HR_FAULTS:-}" = all ]; then
        ask_until_nothing_is_logged
        nothing_is_logged "raise store_bytes_max .1572864. in .*config.yaml and restart"
    fi
    stop "$h2"
    start "$h2" # full as it is
    wait_status "$h2" 20 "s['space']['publishing_stops']"
    stop "$h2"
    sed -i 's/^store_bytes_max: .*/store_bytes_max: 33554432/' "$h2/config.yaml"
    start "$h2"
    SECONDS=0
    wait_status "$h2" 20 "log['h1/pub']['size'] == $size"
    expect 0 --home "$h2" import "$work/b.hl7"
    out_has "3 there already"
    expect 0 --home "$h2" import "$work/refused.hl7"
    finds "h2 asks again" "$h2" 0 h1
    finds "h2 answers again" "$h1" 100 h2
    expect 0 --home "$h2" audit verify
    echo "cap: all goes on $SECONDS s after it was raised"
    stop "$h2"
    stop "$h1"
}

# ---- the map, at each write -----------------------------------------------------------------
each_write() {
    local paths=(publish adopt receive lookup answer outcome correct quarantine release told) day=$((10#$(date -u +%j)))
    local args=("$HUREN" "$(dirname "$HUREN")/fail_store.so" "$work/each" "$work/runs" "$work/m.hl7")
    small_network "$work/each" || exit 1
    messages 1 3 --tag A >"$work/m.hl7"
    mkdir "$work/runs"
    if [ "${HR_FAULTS:-}" = all ]; then
        python3 "$lib/map_full.py" "${args[@]}" || fail "some write that was refused lost, doubled or halved something"
        [ "${HR_RANDOM:-0}" = 0 ] || python3 "$lib/map_full.py" "${args[@]}" --random "$HR_RANDOM" --seed "${HR_SEED:-1}" ||
            fail "some write that was refused at random"
    else # two paths a day, some writes of each
        python3 "$lib/map_full.py" "${args[@]}" --scenario "${paths[day % 10]}" --scenario "${paths[(day + 3) % 10]}" \
            --random 8 --seed "$day" || fail "some write that was refused lost, doubled or halved something"
    fi
}

disk || echo "SKIPPED: no tmpfs may be mounted here: NO DISK WAS FILLED"
cap
each_write

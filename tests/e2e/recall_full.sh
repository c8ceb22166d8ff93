#!/usr/bin/env bash
# Goal: where records are replicated, a hospital decides on a copy that it has from
# somebody else: its reliance still reaches the issuer, whom it never spoke to, and the
# recall comes back; SIGKILL of either side at any moment loses none and doubles no
# entry of a log.
# Method: real daemons; h3 gossips with h2 alone; h1 and h3 are killed again and again
# while results are used and replaced; then the exchange logs are read.
. tests/e2e/lib/common.sh
export HR_REPLICATION=full
HR_PEERS_h3=h2 up 3
COUNT=9

start() { # and wait, without opening the home ourselves
    local i before
    before=$(grep -c ' ready$' "$A/$1/serve.log" || true)
    "$HUREN" --home "$A/$1" serve </dev/null >>"$A/$1/serve.log" 2>&1 &
    echo $! >"$A/$1/serve.pid"
    for i in $(seq 1200); do
        [ "$(grep -c ' ready$' "$A/$1/serve.log")" -gt "$before" ] && return 0
        sleep 0.05
    done
    fail "$1 did not start"
}
end() { # SIGKILL
    kill -9 "$(cat "$A/$1/serve.pid")"
    while kill -0 "$(cat "$A/$1/serve.pid")" 2>/dev/null; do sleep 0.02; done 2>/dev/null
}
lookup() { # PATIENT: until it is found with its record
    local i
    for i in $(seq 300); do
        "$HUREN" --home "$A/h3" --json lookup --patient "RI:$(card "$1")" --item LAB.K >"$work/out" 2>"$work/err" && return 0
        sleep 0.1
    done
    fail "look-up of $1"
    head -c 800 "$work/out" "$work/err"
}

messages 0 $COUNT --tag F >"$work/f.hl7"
expect 0 --home "$A/h1" import "$work/f.hl7"
wait_index "$A/h3" h1 $COUNT 2
lookup 0
wait_status "$A/h3" 40 "n['recalls']['relies_open'] == 0"
expect 0 --home "$A/h1" log tiles exch "$work/before"
grep -rqa "F-0" "$work/before" && fail "the exchange log shows a report"

for i in $(seq 1 $((COUNT - 1))); do
    lookup "$i"
    if [ $((i % 3)) = 1 ]; then
        end h1
        start h1
    fi
    messages "$i" 1 --tag F --value 5.00 --status C >"$work/c.hl7"
    expect 0 --home "$A/h1" import "$work/c.hl7"
    if [ $((i % 4)) = 2 ]; then
        end h3
        start h3
    fi
done
wait_status "$A/h3" 60 "n['recalls']['heard'] == $((COUNT - 1)) and n['recalls']['relies_open'] == 0"
wait_status "$A/h1" 60 "n['recalls']['outstanding'] == 0"
expect 0 --home "$A/h1" --json recall list
json "each was told and acknowledged" "sorted(r['leaf'] for r in o) == list(range(1, $COUNT)) and
    all((r['side'], r['institution'], r['what']) == ('told', 'h3', 'corrected') and r['acknowledged_at'] for r in o)" <"$work/out"

# The exchange logs, read by somebody who knows protobuf and nothing of us.
expect 0 --home "$A/h1" log tiles exch "$work/h1"
expect 0 --home "$A/h3" log tiles exch "$work/h3"
python3 - "$work/h1" "$work/h3" $COUNT <<'PY' || fail "the exchange logs"
import collections, os, struct, sys
def fields(b):
    at, out = 0, []
    def varint():
        nonlocal at
        v = s = 0
        while True:
            c = b[at]; at += 1
            v |= (c & 127) << s; s += 7
            if c < 128: return v
    while at < len(b):
        key = varint()
        if key & 7 == 0: out.append((key >> 3, varint()))
        else:
            n = varint(); out.append((key >> 3, b[at:at + n])); at += n
    return out
def entries(folder):
    for d, _, files in sorted(os.walk(folder + "/tile/entries")):
        for f in sorted(files):
            data, at = open(os.path.join(d, f), "rb").read(), 0
            while at < len(data):
                n = struct.unpack(">H", data[at:at + 2])[0]
                yield data[at + 2:at + 2 + n]
                at += 2 + n
def seen(folder):
    c = collections.Counter()
    for e in entries(folder):
        for number, body in fields(e):
            if number in (7, 13): # Recalled, Relied
                m = dict(fields(body))
                leaf = dict(fields(m[2]))
                c[number, m.get(5 if number == 7 else 4), m[4 if number == 7 else 3].decode(), leaf.get(2, 0)] += 1
    return c
h1, h3, n = seen(sys.argv[1]), seen(sys.argv[2]), int(sys.argv[3])
want1 = {(13, 2, "h3", i): 1 for i in range(n)} | {(7, s, "h3", i): 1 for s in (1, 3) for i in range(1, n)}
want3 = {(13, 1, "h1", i): 1 for i in range(n)} | {(7, 2, "h1", i): 1 for i in range(1, n)}
for got, want in ((h1, want1), (h3, want3)):
    if dict(got) != want:
        print({k: v for k, v in got.items() if want.get(k) != v}, {k for k in want if k not in got})
        sys.exit(1)
PY

#!/usr/bin/env bash
# Goal: a pack that a policy document names by hash reaches every member as data
# and is used there; not before 48 hours; a pack of which a vector fails is used
# nowhere; and a draft is tried on recorded decisions before it is signed.
# Method: a real alliance on loopback; packs made of a shipped one; the pack file
# is given to the authority alone; a log is altered.
. tests/e2e/lib/common.sh
up 3
auth=$A/authority

# -- made-up packs ----------------------------------------------------------------------
draft() { # DIR ID VECTORS-TAG: the rules of Hubei under another name, with own vectors
    mkdir "$1"
    cp policy/packs/hubei-2023/items.csv "$1/"
    sed "s/^pack: .*/pack: $2/" policy/packs/hubei-2023/pack.yaml >"$1/pack.yaml"
    for i in $(seq 120); do
        echo "{\"input\":{\"item\":\"LAB.CL\",\"$3\":$i},\"expect\":{\"verdict\":\"may\"}}"
    done >"$1/vectors.jsonl"
}
build() { # DIR FILE: the address goes to $address
    expect 0 --json policy build "$1" -o "$2"
    address=$(grep -oP '"address":"\K[0-9a-f]{64}' "$work/out")
}
draft "$work/made" made-up-2027 n
build "$work/made" "$work/made.hrpack"
made=$address
draft "$work/other" made-up-2027 m
build "$work/other" "$work/other.hrpack"
draft "$work/wrong" wrong-2027 n
build "$work/wrong" "$work/right.hrpack"
# One vector that does not hold: build refuses it, so the file is put together here.
wrong=$(python3 - "$work/right.hrpack" "$work/wrong.hrpack" <<'P'
import base64, hashlib, sys
data = open(sys.argv[1], "rb").read()
head, rest = data.split(b"\n\n", 1)
lines = head.split(b"\n")
size = int(lines[3].split()[1])
rules, vectors = rest[:size], rest[size:].replace(b'"n":77},"expect":{"verdict":"may"}', b'"n":77},"expect":{"verdict":"must"}')
assert len(vectors) == len(rest) - size + 1
lines[4] = b"vectors %d %s" % (len(vectors), base64.b64encode(hashlib.sha256(vectors).digest()))
head = b"\n".join(lines) + b"\n"
open(sys.argv[2], "wb").write(head + b"\n" + rules + vectors)
print(hashlib.sha256(head).hexdigest())
P
)
policy() { # VERSION ROW...: build and sign policy-VERSION.charter
    local v=$1
    shift
    {
        sed "s/^version: .*/version: $v/; /^settings:/,\$d" "$auth/policy.yaml"
        printf '%s\n' "$@"
        sed -n '/^settings:/,$p' "$auth/policy.yaml"
    } >"$auth/policy-$v.yaml"
    expect 0 --home "$auth" charter build policy "$auth/policy-$v.yaml" -o "$auth/policy-$v.charter"
    expect 0 --home "$auth" charter sign "$auth/policy-$v.charter" --key "$auth/li.key"
}
day() { TZ=Asia/Shanghai date -d "$1 days" +%F; }
state() { # PACK STATE: for wait_status
    echo "[p['state'] for p in n['packs'] if p['pack'] == '$1'] == ['$2']"
}

# -- 48 hours -----------------------------------------------------------------------------
policy 2 "  - {id: made-up-2027, hash: $made, in_force_from: $(day 1)}"
expect 1 --home "$auth" charter adopt "$auth/policy-2.charter"
err_has "policy 2 of $NET: the row of made-up-2027 is new or changed and in force from $(day 1), less than 48 hours"
err_has "set in_force_from to $(day 3) or later"
rm "$auth/policy-2.charter"

# -- a pack by gossip ---------------------------------------------------------------------
expect 1 --home "$auth" policy adopt "$work/made/pack.yaml"
err_has "not a pack that huren policy build wrote"
policy 2 "  - {id: made-up-2027, hash: $made, in_force_from: $(day 3)}"
expect 0 --home "$auth" charter adopt "$auth/policy-2.charter"
wait_status "$A/h1" 30 "n['charter']['policy']['version'] == 2 and $(state made-up-2027 missing)"
expect 0 --home "$A/h1" status
out_has "pack made-up-2027: missing"
expect 0 --home "$auth" --json policy adopt "$work/made.hrpack"
json "adopt --json" "o['result'] == 'adopted' and o['address'] == '$made' and o['pack'] == 'made-up-2027'" <"$work/out"
for h in h1 h3; do
    wait_status "$A/$h" 60 "$(state made-up-2027 held) and $(state hubei-2023 held)"
done
grep -q 'pack made-up-2027 version 1 of the charter is in hand, its vectors passed' "$A/h1/serve.log" || fail "the log of h1 does not say it"
messages 0 3 --tag A >"$work/a.hl7"
expect 0 --home "$A/h1" import "$work/a.hl7"
wait_index "$A/h3" h1 3 2
expect 0 --home "$A/h3" --json lookup --patient "RI:$(card 0)" --item LAB.K --evidence "$work/evidence"
json "both packs decide" "{d['pack']: d['verdict'] for d in o['results'][0]['decisions']} == {'hubei-2023': 'must', 'made-up-2027': 'no_rule'}" <"$work/out"
# The commands of a home use it, too: beside the daemon, by id.
echo '{"pack":"made-up-2027","at":"2026-11-22T09:00:00+08:00","item":"LAB.CL"}' >"$work/input"
for verb in decide mark explain; do
    expect 0 --home "$A/h1" policy $verb "$work/input"
    expect 2 --home "$work/none" policy $verb "$work/input"
done
expect 0 --home "$A/h1" --json policy list
json "policy list of a home" "[p['address'] for p in o if p.get('pack') == 'made-up-2027'] == ['$made'] and len(o) == 6" <"$work/out"
# Evidence with a decision of a pack that is not in the binary.
expect 0 --home "$A/h1" verify "$work/evidence"
[ "$(grep -c 'recomputed and the same' "$work/out")" = 2 ] || fail "a decision was not recomputed"
expect 2 --home "$work/none" verify --root "$auth/root-1.charter" "$work/evidence"
err_has "could not tell whether a decision is right: not here: pack made-up-2027 \\($made\\)"
expect 0 --home "$work/none" verify --root "$auth/root-1.charter" --pack "$work/made.hrpack" "$work/evidence"
# It is the home's own now: there after a restart, and without a daemon.
scripts/alliance.sh stop "$A/h1"
expect 0 --home "$A/h1" --json status
json "after the end of the daemon" "[p['state'] for p in o['networks'][0]['packs']] == ['held', 'held'] and not o['running']" <"$work/out"
# Another text of one id and version.
expect 1 --home "$A/h1" policy adopt "$work/other.hrpack"
err_has "made-up-2027 version 1: another text of this version is in hand; kept as evidence"
scripts/alliance.sh start "$A/h1"

# -- a vector that fails --------------------------------------------------------------------
expect 1 policy check "$work/wrong.hrpack"
expect 1 --home "$auth" policy adopt "$work/wrong.hrpack"
err_has 'refused: wrong-2027:77: .*; kept as evidence, not used'
policy 3 "  - {id: made-up-2027, hash: $made, in_force_from: $(day 3)}" \
    "  - {id: wrong-2027, hash: $wrong, in_force_from: $(day 3)}"
expect 0 --home "$auth" charter adopt "$auth/policy-3.charter"
for h in authority h1 h3; do
    wait_status "$A/$h" 60 "$(state wrong-2027 refused) and $(state made-up-2027 held)"
done
wait_status "$A/h1" 1 "[p['reason'].startswith('wrong-2027:77: ') for p in n['packs'] if p['pack'] == 'wrong-2027'] == [True]"
grep -q 'pack wrong-2027 of the charter is REFUSED and not used: wrong-2027:77: ' "$A/h1/serve.log" || fail "the log of h1 does not say it"
expect 0 --home "$A/h3" --json lookup --patient "RI:$(card 1)" --item LAB.K
json "a warning" "any('not used by this node' in w for w in o['warnings']) and
    sorted(d['pack'] for d in o['results'][0]['decisions']) == ['hubei-2023', 'made-up-2027']" <"$work/out"

# -- simulate --------------------------------------------------------------------------------
wait_status "$A/h3" 20 "log['h3/exch']['head'] == log['h3/exch']['size'] > 4"
expect 0 --home "$A/h3" log tiles exch "$work/exch"
expect 0 --home "$A/h3" log vkey exch
vkey=$(cat "$work/out")
# The same rules under another name flip nothing.
expect 0 policy simulate --pack "$work/made.hrpack" --log "$work/exch" --was hubei-2023 --vkey "$vkey"
out_has "2 decisions made again under made-up-2027 version 1: 0 verdicts flip"
out_has "signature checked"
expect 0 --home "$A/h3" policy simulate --pack made-up-2027 --log "$work/exch" --was hubei-2023
out_has "made again under made-up-2027 version 1: 0 verdicts flip"
# Rules of another province flip both.
cp -r "$work/made" "$work/hunan"
sed -i 's/^territory: .*/territory: ["43"]/' "$work/hunan/pack.yaml"
expect 1 --json policy simulate --pack "$work/hunan" --log "$work/exch" --was hubei-2023
json "flips" "o['replayed'] == o['flipped'] == 2 and o['by_item'] == {'LAB.K': 2} and o['by_hospital'] == {'h1': 2} and
    o['other_packs'] == 2 and o['unreadable'] == o['recorded_otherwise'] == 0 and len(o['flips']) == 1 and
    o['flips'][0]['before'] == 'must' and o['flips'][0]['after'] == 'no_rule' and o['flips'][0]['decisions'] == 2 and
    'issuer_territory: true > false (at most must > no_rule)' in o['flips'][0]['reason']" <"$work/out"
expect 1 --home "$A/h3" policy simulate --pack "$work/hunan" --log home --was hubei-2023
out_has "2 verdicts flip"
out_has "must > no_rule"
# What is not the signed log is not used.
expect 2 policy simulate --pack "$work/hunan" --log "$work/exch" --vkey 'lab-a.example/results+7f7674ad+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4'
cp -r "$work/exch" "$work/altered"
python3 - "$work/altered" <<'P'
import pathlib, sys
f = next(p for p in pathlib.Path(sys.argv[1], "tile/entries").rglob("*") if p.is_file())
data = f.read_bytes()
assert b"must" in data
f.write_bytes(data.replace(b"must", b"mist", 1))
P
expect 2 policy simulate --pack "$work/hunan" --log "$work/altered"
err_has "do not hash to the root of its checkpoint"
[ ! -s "$work/out" ] || fail "an altered log gave results"
expect 0 --home "$A/h1" log tiles pub "$work/pub"
expect 2 policy simulate --pack "$work/hunan" --log "$work/pub"
err_has "not an exchange log"
expect 2 policy simulate --pack "$work/wrong.hrpack" --log "$work/exch"
err_has "wrong.hrpack:77: "

#!/usr/bin/env bash
# Goal: a node that was away for ten rotations of the root catches up by gossip; a roster
# that ran ahead under a stolen key is undone everywhere by a root that names it void;
# signatures of the new keys under the texts in force reach everybody from one member; a
# second text of one version is refused where it is shown and kept as evidence; what goes
# stale is an alarm, its facts are unknown in decisions and `at_best` says what a fresh copy
# would give; a clock behind a document is named in every decision.
# Method: a real alliance on loopback; every root has keys of its own.
. tests/e2e/lib/common.sh
up 3
auth=$A/authority
a() { expect "$1" --home "$auth" "${@:2}"; }
h() { expect "$2" --home "$A/$1" "${@:3}"; }
version() { echo "n['charter']['$1']['version'] == $2"; }
src=$PWD
trap 'status=$?; cd "$src"; (exit "$status"); finish' EXIT
lib=$PWD/$lib
scripts=$PWD/scripts
cd "$auth"
cp root-1.charter root.charter
for i in $(seq 0 12); do a 0 charter keygen "k$i" -o "k$i.key"; done
cp li.key k0.key && cp li.key.pub k0.key.pub
ROOT_V=1
root() { # KEY-NUMBER [EXTRA]: the next root, of the keys before and this one
    ROOT_V=$((ROOT_V + 1))
    local t=$((ROOT_V % 2 + 1)) before=k$(($1 - 1))
    [ "$before" = k0 ] && before=li
    {
        printf 'network: %s\nversion: %s\nvalid_days: 365\nprevious: %s\n%s' "$NET" $ROOT_V \
            "root-$((ROOT_V - 1)).charter" "${2:-}"
        printf 'thresholds: {root: %s, members: 1, quality: 1, policy: 1}\nkeys:\n' $t
        printf '  - {file: %s.key.pub, roles: [root]}\n' "$before"
        printf '  - {file: k%s.key.pub, roles: [root, members, quality, policy]}\n' "$1"
    } >"root-$ROOT_V.yaml"
    a 0 charter build root "root-$ROOT_V.yaml" -o "root-$ROOT_V.charter"
    a 0 charter sign "root-$ROOT_V.charter" --key "$before.key" --key "k$1.key"
    # Keys of the root before: two are needed after an odd version.
    local older=k$(($1 - 2))
    [ "$older" = k0 ] && older=li
    [ "$1" -lt 2 ] || a 0 charter sign "root-$ROOT_V.charter" --key "$older.key"
    a 0 charter adopt "root-$ROOT_V.charter"
}
next() { # KIND VERSION KEY [SED]: version VERSION of a source, signed and adopted
    sed "s/^version: .*/version: $2/; ${4:-}" "$1.yaml" >"$1-$2.yaml"
    [ "$1" != members ] || sed -i "s/^valid_days:/previous: members-$(($2 - 1)).charter\n&/" "$1-$2.yaml"
    a 0 charter build "$1" "$1-$2.yaml" -o "$1-$2.charter"
    a 0 charter sign "$1-$2.charter" --key "$3.key"
}

# -- ten rotations while h3 is away -------------------------------------------------------
"$scripts/alliance.sh" stop "$A/h3"
for i in $(seq 10); do root "$i"; done
next members 2 k10
next quality 2 k10
next policy 2 k10
a 0 charter adopt members-2.charter quality-2.charter policy-2.charter
caught="$(version root 11) and $(version members 2) and $(version quality 2) and $(version policy 2)"
wait_status "$A/h1" 60 "$caught"
"$scripts/alliance.sh" start "$A/h3"
wait_status "$A/h3" 60 "$caught"
h h3 0 --json charter show
json "complete" "[x['complete'] for x in o] == [True] * 4 and o[1]['needs'][0]['root'] == 11" <"$work/out"
h h3 0 charter diff root:1 root:11
out_has "li may no longer sign members"
h h3 0 charter export "$work/stick"
[ "$(ls "$work/stick" | grep -c root)" = 11 ] || fail "not all roots are kept"

# -- two texts of one version ---------------------------------------------------------------
sed 's/^version: .*/version: 2/; s/^valid_days: .*/valid_days: 99/' quality.yaml >other.yaml
a 0 charter build quality other.yaml -o other.charter
a 0 charter sign other.charter --key k10.key
h h1 1 charter adopt "$auth/other.charter"
err_has "another text with this version is in hand, and both are signed"
h h1 0 --json charter refused
json "evidence" "o['class'] == 'contradiction' and o['kind'] == 'quality' and o['version'] == 2 and o['signed_by'] == 'k10' and o['from'] == ''" <"$work/out"
h h1 0 charter refused -o "$work/proof"
[ "$(ls "$work/proof")" = "$(printf 'in-hand-1-quality-2.note\nrefused-1-quality-2.note')" ] || fail "both texts are not there: $(ls "$work/proof")"
grep -q "^kind quality" "$work/proof/refused-1-quality-2.note" || fail "no note"
h h1 0 status
out_has "ALARM: 1 charter document contradicts"
a 0 charter refused
out_has "no charter document of $NET was refused here"
# Too few signatures, an old version, keys of a root that is over: one line each, once.
next members 3 li
h h1 1 charter adopt "$auth/members-3.charter"
h h1 1 charter adopt "$auth/members-3.charter"
err_has "signed by nobody whom root 11 allows"
h h1 0 --json charter refused
json "once" "[(x['class'], x['version']) for x in o] == [('contradiction', 2), ('signed', 3)]" <"$work/out"

# -- a roster that ran ahead -------------------------------------------------------------------
sed "s/^version: .*/version: 9000000000000000000/; s/^valid_days:/previous: members-2.charter\n&/" members.yaml >far.yaml
a 0 charter build members far.yaml -o far.charter
a 0 charter sign far.charter --key k10.key
h h1 0 charter adopt "$auth/far.charter"
for x in h1 h2 h3 regulator; do wait_status "$A/$x" 60 "$(version members 9000000000000000000)"; done
a 0 --json charter show far.charter
hash=$(grep -oP '"hash":"\K[0-9a-f]{64}' "$work/out" | head -1)
root 11 "$(printf 'void:\n  - {kind: members, hash: %s}\n ' "$hash")
"
rm -f members-3.charter
next members 3 k11
a 0 charter adopt members-3.charter
for x in h1 h2 h3 regulator; do wait_status "$A/$x" 60 "$(version root 12) and $(version members 3)"; done
h h2 1 charter adopt "$auth/far.charter"
err_has "a root has declared this text void"

# -- documents in force are signed again, with the keys of the new root ------------------------
h h3 0 status
out_has "SIGNED under root 11 only"
cp quality-2.charter "$work/stripped.charter"
for x in quality policy; do a 0 charter sign $x-2.charter --key k11.key; done
h h1 0 charter adopt "$auth/quality-2.charter" "$auth/policy-2.charter" # one member, by hand
out_has "1 signature came new"
for x in h2 h3 regulator authority; do
    wait_status "$A/$x" 60 "[n['charter'][k]['signed_under'] for k in ('quality', 'policy')] == [12, 12]"
done
h h1 0 charter adopt "$work/stripped.charter" # a copy that lacks them takes none away
h h1 0 --json charter show quality
json "kept" "o['complete'] and o['needs'][0]['signed_by'] == 'k11'" <"$work/out"
h h3 0 charter export "$work/signed"
[ "$(grep -ac '^— .*/charter/k1[01] ' "$work"/signed/*quality-2*)" = 2 ] || fail "a signature got lost on the way"

# -- what goes stale ------------------------------------------------------------------------------
messages 0 2 --tag A >"$work/a.hl7"
h h1 0 import "$work/a.hl7"
wait_index "$A/h3" h1 2 1
h h3 0 --json lookup --patient "RI:$(card 0)" --item LAB.K
json "fresh" "o['results'][0]['decisions'][0]['verdict'] == 'must' and o['charter']['quality']['age_s'] >= 0 and not o['clock_wrong']" <"$work/out"
past=$(date -u -d '-2 days' +%Y-%m-%dT%H:%M:%SZ)
next quality 3 k11 "s/^valid_days: .*/valid_days: 1\nissued_at: $past/"
a 0 charter adopt quality-3.charter
out_has "has expired on"
wait_status "$A/h3" 60 "$(version quality 3) and n['charter']['quality']['stale'] and any('quality 3 is past its stale_after' in x for x in n['alarms'])"
h h3 0 status
out_has "ALARM: quality 3 is past its stale_after"
"$HUREN" --home "$A/h3" --json lookup --patient "RI:$(card 0)" --item LAB.K >"$work/out" || true
json "unknown" "[(d['verdict'], d['at_best'], d['checks']['quality']) for d in o['results'][0]['decisions']] == [('should', 'must', 'unknown')] and
    o['charter']['quality']['stale'] and any('quality' in w and 'stale_after' in w for w in o['warnings'])" <"$work/out"
"$HUREN" --home "$A/h3" lookup --patient "RI:$(card 0)" --item LAB.K >"$work/out" 2>"$work/err" || true
out_has "at best must"
out_has "quality 3, issued 2 days"
err_has "the charter's quality document is past its stale_after"

# -- a clock that is behind --------------------------------------------------------------------------
soon=$(date -u -d '+5 minutes' +%Y-%m-%dT%H:%M:%SZ)
next quality 4 k11 "s/^valid_days: .*/valid_days: 30\nissued_at: $soon/"
a 0 charter adopt quality-4.charter
wait_status "$A/h3" 60 "$(version quality 4) and n['clock_wrong'] and any('clock' in x for x in n['alarms'])"
h h3 0 --json lookup --patient "RI:$(card 0)" --item LAB.K
json "clock" "o['clock_wrong'] and o['results'][0]['decisions'][0]['clock_wrong'] and o['results'][0]['decisions'][0]['verdict'] == 'must' and any('clock' in w for w in o['warnings'])" <"$work/out"
h h3 0 lookup --patient "RI:$(card 0)" --item LAB.K
out_has "CLOCK WRONG"

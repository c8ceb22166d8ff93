#!/usr/bin/env bash
# Goal: a failure in `quality` that is dated before lists every recognition that leaned on
# it, where the document is adopted by hand and where it comes by gossip, with what the
# doctor did and without any patient; others are not listed; `status` counts them.  A recovery
# takes none off the list; an auditor lists over the logs of all.
# Method: a real alliance; two results of h1 and one of h2 are recognized; then
# the authority enters a failed round of the past for one hospital and item.
. tests/e2e/lib/common.sh
up 3
auth=$A/authority
messages 0 2 --tag A >"$work/a.hl7"
messages 2 1 --tag B >"$work/b.hl7"
expect 0 --home "$A/h1" import "$work/a.hl7"
expect 0 --home "$A/h2" import "$work/b.hl7"
wait_index "$A/h3" h1 2 1
wait_index "$A/h3" h2 1 1
expect 0 --home "$A/h3" charter impact
out_has "0 recorded decisions would be weaker today"
for i in 0 1; do
    expect 0 --home "$A/h3" --json lookup --patient "RI:$(card $i)" --item LAB.K
    json "recognized" "o['results'][0]['decisions'][0]['verdict'] == 'must'" <"$work/out"
done
leaf=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["results"][0]["leaf"])' "$work/out")
expect 0 --home "$A/h3" --json lookup --patient "RI:$(card 2)" --item LAB.K # of h2
json "of another hospital" "o['results'][0]['issuer'] == 'h2' and o['results'][0]['decisions'][0]['verdict'] == 'must'" <"$work/out"

# A round of last year turns out to be failed, of h1 and LAB.K.
year=$(($(TZ=Asia/Shanghai date +%Y) - 1))
sed "s/^h1,LAB.K,national,$year-\(..-..\),yes/h1,LAB.K,national,$year-\1,no/" "$auth/quality.csv" >"$auth/quality-2.csv"
cmp -s "$auth/quality.csv" "$auth/quality-2.csv" && fail "nothing was changed"
sed "s/^version: .*/version: 2/; s/quality.csv/quality-2.csv/" "$auth/quality.yaml" >"$auth/quality-2.yaml"
(cd "$auth" && "$HUREN" --home "$auth" charter build quality quality-2.yaml -o quality-2.charter) >/dev/null
expect 0 --home "$auth" charter sign "$auth/quality-2.charter" --key "$auth/li.key"
expect 0 --home "$A/h3" charter diff quality:1 "$auth/quality-2.charter"
out_has "! h1 LAB.K FAILED the national round of $year-03-10, before version 1 was issued"

# h3 adopts it by hand: the list comes at once.
expect 0 --home "$A/h3" charter adopt "$auth/quality-2.charter"
out_has "quality 2 of $NET: adopted"
out_has "by quality 2 of $NET, 2 recorded decisions would be weaker today, 0 of them recognized since"
out_has "h1 LAB.K decided $(TZ=Asia/Shanghai date +%Y-)"
expect 1 --home "$A/h3" --json charter impact
json "listed" "[x['item'] for x in o[:-1]] == ['LAB.K', 'LAB.K'] and {x['issuer'] for x in o[:-1]} == {'h1'} and
    o[1]['leaf'] == $leaf and o[1]['origin'] == '$NET/h1/pub' and o[0]['before'] == 'must' and o[0]['after'] in ('barred', 'may', 'should', 'no_rule') and
    'quality' in o[0]['reason'] and o[0]['outcome'] == 'none' and o[2]['count'] == 2 and o[2]['quality_version'] == 2" <"$work/out"
for i in 0 1 2; do ! grep -rqF "$(card $i)" "$work/out" "$A/h3/serve.log" || fail "a patient stands in the list or the log"; done
wait_status "$A/h3" 30 "n['impact']['count'] == 2 and any('2 recorded decisions leaned on quality facts' in x for x in n['alarms'])"

# The others get it by gossip; who leaned on nothing has nothing to list.
wait_status "$A/h2" 60 "n['charter']['quality']['version'] == 2 and n['impact']['quality_version'] == 2 and n['impact']['count'] == 0"
scripts/alliance.sh stop "$A/h3"
expect 0 --home "$A/h3" --json status
json "kept" "o['networks'][0]['impact']['count'] == 2 and not o['running']" <"$work/out"
expect 1 --home "$A/h3" charter impact # without a daemon, too
out_has "2 recorded decisions would be weaker today"

# By gossip, into the log of the daemon: the round stands again, then fails again.  Between
# the two h3 decides once more, its doctor recognizes the result, and h3 is put back from a
# copy of before: its list goes over both exchange logs.
cp -a "$A/h3" "$work/backup"
for v in 3 4; do
    csv=quality.csv
    [ $v = 3 ] || csv=quality-2.csv
    sed "s/^version: .*/version: $v/; s/quality.csv/$csv/" "$auth/quality.yaml" >"$auth/quality-$v.yaml"
    (cd "$auth" && "$HUREN" --home "$auth" charter build quality "quality-$v.yaml" -o "quality-$v.charter") >/dev/null
    expect 0 --home "$auth" charter sign "$auth/quality-$v.charter" --key "$auth/li.key"
done
expect 0 --home "$auth" charter adopt "$auth/quality-3.charter"
scripts/alliance.sh start "$A/h3"
wait_status "$A/h3" 60 "n['impact']['quality_version'] == 3 and n['impact']['count'] == 0 and n['alarms'] == []"
expect 0 --home "$A/h3" --json lookup --patient "RI:$(card 0)" --item LAB.K
json "stands again" "o['results'][0]['decisions'][0]['verdict'] == 'must'" <"$work/out"
decided=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["results"][0]["decisions"][0]["decided"])' "$work/out")
expect 0 --home "$A/h3" --json outcome "$decided" recognized
json "outcome" "o['outcome'] == 'recognized' and o['logged'].split('/')[0] == '$decided'.split('/')[0]" <"$work/out"
"$HUREN" --home "$A/h3" --json status >"$work/out"
read -r old size <<<"$(python3 -c '
import json, sys
n = json.load(open(sys.argv[1]))["networks"][0]
print(n["exch"], [l["size"] for l in n["logs"] if l["origin"] == n["exch"]][0])' "$work/out")"
wait_status "$A/regulator" 60 "any(l['origin'] == '$old' and l['size'] >= $size for l in n['logs'])"
scripts/alliance.sh stop "$A/h3"
rm -rf "$A/h3"
cp -a "$work/backup" "$A/h3"
scripts/alliance.sh start "$A/h3"
expect 0 --home "$auth" charter adopt "$auth/quality-4.charter"
wait_status "$A/h3" 60 "n['exch'] != '$old' and n['impact']['quality_version'] == 4"
for _ in $(seq 300); do # the auditor gives back what the copy lacked
    "$HUREN" --home "$A/h3" charter impact >"$work/out" || true
    grep -q "3 recorded" "$work/out" && break
    sleep 0.2
done
out_has "3 recorded decisions would be weaker today, 1 of them recognized since"
out_has "of 2 exchange logs)"
expect 1 --home "$A/h3" --json charter impact
json "both logs" "[(x['exch'], x['outcome']) for x in o[:-1]] == [('$old', 'none'), ('$old', 'none'), ('$old', 'recognized')] and o[-1]['logs'] == 2 and o[-1]['missing'] == []" <"$work/out"
# The regulator lists them of all members, with what the doctors did; of its own it has none.
wait_status "$A/regulator" 60 "n['impact']['quality_version'] == 4 and n['impact']['count'] == 0"
expect 0 --home "$A/regulator" charter impact
expect 1 --home "$A/regulator" charter impact --all
out_has "3 recorded decisions would be weaker today, 1 of them recognized since"
expect 1 --home "$A/regulator" --json charter impact --all
json "all" "[(x['exch'], x['outcome']) for x in o[:-1]] == [('$old', 'none'), ('$old', 'none'), ('$old', 'recognized')] and o[-1]['missing'] == []" <"$work/out"
[ "$(grep -c 'leaned on quality: h1 LAB.K decided' "$A/h3/serve.log")" -ge 2 ] || fail "the log of the daemon does not list them"

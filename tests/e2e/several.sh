#!/usr/bin/env bash
# Goal: two packs over one case are both shown, the strongest first, with their duties
# united; a city's window that is over lowers the province to may; a result that
# is critical, preliminary, corrected, or of a doubtful identity is never pre-selected.
# Method: an alliance of Taiyuan under the packs of the city and of Shanxi, with a
# made-up annex for the city.
. tests/e2e/lib/common.sh
cat >"$work/annex.csv" <<'END'
code,limit_days,citation
LAB.K,,made-up list 1
END
expect 0 --json policy build --annex "$work/annex.csv" --pack taiyuan-2024 --version 1 -o "$work/annex.hrpack"
annex=$(grep -oP '"address":"\K[0-9a-f]{64}' "$work/out")
export HR_PACK="taiyuan-2024=$annex shanxi-2021" HR_TERRITORY=140105
up 2
expect 0 --home "$A/authority" policy adopt "$work/annex.hrpack"
for h in h1 h2; do
    wait_status "$A/$h" 60 "[p['state'] for p in n['packs']] == ['held'] * 3"
done
lookup() { # PATIENT-NUMBER CODE [ARGS]: JSON in $work/out
    local n=$1 code=$2
    shift 2
    expect "$code" --home "$A/h2" "$@" lookup --patient "RI:$(card "$n")" --item LAB.K
}

# -- both packs ---------------------------------------------------------------------------
messages 1 1 --tag A >"$work/a.hl7"
messages 2 1 --tag B --days 40 >"$work/b.hl7"
expect 0 --home "$A/h1" import "$work/a.hl7" "$work/b.hl7"
wait_index "$A/h2" h1 2 1
lookup 1 0 --json
json "strongest first, all kept, united" "[(d['pack'], d['verdict']) for d in o['results'][0]['decisions']] ==
    [('shanxi-2021', 'must'), ('taiyuan-2024', 'should')] and sorted(o['results'][0]['marks']) == ['*', '并HR'] and
    o['results'][0]['obligations'] == {'if_recognized': ['record_in_detail', 'record_institution_date_file_no'],
        'if_repeated': ['sign_off', 'inform_purpose_and_need', 'record_basis']} and
    all(d['rules'] and d['document'] for d in o['results'][0]['decisions']) and o['results'][0]['preselected']" <"$work/out"
lookup 1 0
out_has "if recognized: record_in_detail: "
out_has "if repeated: record_basis: "
[ "$(grep -c 'if repeated: ' "$work/out")" = 3 ] || fail "a duty is missing or printed twice"
[ "$(grep -n 'shanxi-2021: must' "$work/out" | cut -d: -f1)" -lt "$(grep -n 'taiyuan-2024: should' "$work/out" | cut -d: -f1)" ] || fail "the weaker verdict comes first"
# -- the city's 30 days are over -------------------------------------------------------------
lookup 2 1 --json
json "the province is shown as may" "{d['pack']: (d['verdict'], d.get('shown')) for d in o['results'][0]['decisions']} ==
    {'shanxi-2021': ('must', 'may'), 'taiyuan-2024': ('may', None)} and not o['results'][0]['preselected']" <"$work/out"
lookup 2 1
out_has "shanxi-2021: must, shown as may"

# -- never pre-selected -----------------------------------------------------------------------
messages 3 1 --tag C --status P >"$work/p.hl7"
messages 4 1 --tag D | sed 's/3.5-5.3||||F/3.5-5.3|HH|||F/' >"$work/critical.hl7"
messages 5 1 --tag E | sed 's/欧阳测试/欧阳他人/' >"$work/name.hl7"
messages 6 1 --tag F --status C >"$work/corrected.hl7"
expect 0 --home "$A/h1" import "$work/p.hl7" "$work/critical.hl7" "$work/name.hl7" "$work/corrected.hl7"
wait_index "$A/h2" h1 6 1
lookup 3 1 --json
json "preliminary" "o['results'][0]['status'] == 'preliminary' and not o['results'][0]['preselected']" <"$work/out"
lookup 4 0 --json
json "critical" "o['results'][0]['critical'] and not o['results'][0]['preselected'] and
    all(d['default'] == 'ask' for d in o['results'][0]['decisions'])" <"$work/out"
expect 0 --home "$A/h2" --json lookup --patient "RI:$(card 5)" --name 欧阳测试 --item LAB.K
json "another name" "o['results'][0]['identity_in_doubt'] and not o['results'][0]['preselected']" <"$work/out"
lookup 6 0 --json
json "corrected" "o['results'][0]['status'] == 'corrected' and not o['results'][0]['preselected'] and
    all(d['default'] == 'ask' for d in o['results'][0]['decisions'])" <"$work/out"
# The same, final and undisputed: it would have been.
lookup 1 0 --json
json "control" "o['results'][0]['preselected']" <"$work/out"
# An unknown is named with what would settle it.
lookup 3 1
grep -A1 'not met final: ' "$work/out" | grep -q . || fail "the check that fails is not named"
echo '{"pack":"taiyuan-2024","at":"2026-11-22T09:00:00+08:00","item":"LAB.K"}' >"$work/bare"
expect 0 policy decide "$work/bare"
json "each unknown has what settles it" "len(o['unknown']) > 5 and set(o['settle']) == set(o['unknown']) and
    all(s['zh'] and s['en'] for s in o['settle'].values()) and o['default'] == 'ask'" <"$work/out"

# -- what a source claims ----------------------------------------------------------------------
messages 7 1 --tag G | sed 's/\^钾\^/^★*钾^/' >"$work/claim.hl7"
expect 0 --json import --dry-run "$work/claim.hl7"
json "dry run" "o['items'][0]['name'] == '钾' and o['items'][0]['claimed_marks'] == ['★', '*']" <"$work/out"
expect 0 import --dry-run "$work/claim.hl7"
out_has "claims the mark ★, *"
expect 0 --home "$A/h1" import "$work/claim.hl7"
wait_index "$A/h2" h1 7 1
lookup 7 0 --json
json "a claim that holds is a mark, the other stays a claim" "sorted(o['results'][0]['marks']) == ['*', '并HR'] and
    o['results'][0]['claimed_marks'] == ['★'] and o['results'][0]['name'] == '钾'" <"$work/out"
lookup 7 0
out_has "the source claims, not borne out by the rules: ★"
expect 0 --home "$A/h1" report --html "$work/claim.hl7" -o "$work/claim.html"
grep -q '来源自称的标识.*“★”' "$work/claim.html" || fail "the page does not show the claim as one"
! grep -q '“\*”。</p>' "$work/claim.html" || fail "a claim that holds is shown as a claim"

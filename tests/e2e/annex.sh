#!/usr/bin/env bash
# Goal: an item list that came later, as a signed annex, is used in marks, look-ups,
# decisions at the command line and the check of evidence; who has not got it says so
# and decides as if nothing were known.
# Method: an alliance under the pack of Hunan, whose list nobody has; a made-up annex that
# the charter names from the start and the authority gets last.
. tests/e2e/lib/common.sh
day() { TZ=Asia/Shanghai date -d "$1 days" +%F; }

# -- the annex, and a charter that names it ----------------------------------------------
cat >"$work/annex.csv" <<'END'
code,limit_days,citation
LAB.K,7,made-up list 1
LAB.NA,,made-up list 2
END
expect 0 --json policy build --annex "$work/annex.csv" --pack hunan-2025 --version 1 -o "$work/annex.hrpack"
annex=$(grep -oP '"address":"\K[0-9a-f]{64}' "$work/out")
{
    echo "institution,item,organiser,date,passed"
    for h in h1 h2; do
        echo "$h,LAB.K,provincial,$(day -200),yes"
        for y in 1 0; do
            for half in H1 H2; do echo "$h,,half_year,$(($(date +%Y) - y))$half,yes"; done
        done
    done | awk -F, -v now="$(TZ=Asia/Shanghai date +%Y)H$(( ($(TZ=Asia/Shanghai date +%-m) + 5) / 6 ))" '$3 != "half_year" || $4 < now'
} >"$work/quality.csv"
export HR_PACK=hunan-2025=$annex HR_TERRITORY=430102 HR_QUALITY=$work/quality.csv
up 2
root=$A/authority/root-1.charter

lookup() { # PATIENT-NUMBER: look-up at h2 of what h1 published; JSON in $work/out
    local code=0
    "$HUREN" --home "$A/h2" --json lookup --patient "RI:$(card "$1")" --item LAB.K \
        --evidence "$work/evidence-$1" >"$work/out" 2>"$work/err" || code=$?
    [ "$code" = "$2" ] || fail "look-up of patient $1: exit $code, expected $2: $(cat "$work/err")"
}

# -- without it ---------------------------------------------------------------------------
wait_status "$A/h2" 30 "[p['state'] for p in n['packs'] if p['annex']] == ['missing']"
messages 1 1 --tag A >"$work/a.hl7"
expect 0 --home "$A/h1" import "$work/a.hl7"
wait_index "$A/h2" h1 1 1
lookup 1 1
json "without the annex" "o['results'][0]['marks'] == [] and o['results'][0]['decisions'][0]['checks']['item_listed'] == 'unknown' and
    o['results'][0]['decisions'][0]['verdict'] == 'may' and 'item_listed' in o['results'][0]['decisions'][0]['unknown'] and
    any('annex' in w for w in o['warnings'])" <"$work/out"
echo '{"pack":"hunan-2025","at":"2026-11-22T09:00:00+08:00","item":"LAB.K"}' >"$work/input"
expect 0 --home "$A/h2" policy decide "$work/input"
json "decide without" "o['checks']['item_listed'] == 'unknown'" <"$work/out"

# -- it comes -------------------------------------------------------------------------------
expect 0 --home "$A/authority" policy adopt "$work/annex.hrpack"
for h in h1 h2; do
    wait_status "$A/$h" 60 "[p['state'] for p in n['packs'] if p['annex']] == ['held']"
done
messages 2 1 --tag B >"$work/b.hl7"
messages 3 1 --tag C --days 9 >"$work/c.hl7"
expect 0 --home "$A/h1" import "$work/b.hl7" "$work/c.hl7"
wait_index "$A/h2" h1 3 1
lookup 2 0
json "listed, marked, within its limit" "o['results'][0]['marks'] == ['互认'] and
    o['results'][0]['decisions'][0]['verdict'] == 'must' and o['results'][0]['decisions'][0]['checks']['item_listed'] == 'true' and
    o['results'][0]['decisions'][0]['checks']['window'] == 'true' and o['results'][0]['preselected'] and o['warnings'] == []" <"$work/out"
lookup 3 1
json "past the limit of the annex" "o['results'][0]['decisions'][0]['checks']['window'] == 'false' and
    o['results'][0]['decisions'][0]['verdict'] == 'barred'" <"$work/out"

# -- evidence ---------------------------------------------------------------------------------
expect 0 --home "$A/h1" verify "$work/evidence-2"
out_has "recomputed and the same"
expect 2 --home "$work/none" verify --root "$root" "$work/evidence-2"
err_has "could not tell whether a decision is right: not here: annex of hunan-2025 \\($annex\\)"
expect 2 --home "$work/none" --json verify --root "$root" "$work/evidence-2"
json "what is missing" "o['verified'] is None and o['missing'] == [{'what': 'annex', 'pack': 'hunan-2025', 'hash': '$annex'}] and
    o['decisions'][0]['annex'] == 'unknown' and o['decisions'][0]['replayed'] is None and o['opened']" <"$work/out"
expect 0 --home "$work/none" --json verify --root "$root" --pack "$work/annex.hrpack" "$work/evidence-2"
json "with the annex" "o['verified'] and o['decisions'][0]['annex'] == 'checked' and o['decisions'][0]['replayed']" <"$work/out"
# Another annex under the same name is not the one that the charter names.
sed 's/LAB.K,7/LAB.K,90/' "$work/annex.csv" >"$work/other.csv"
expect 0 policy build --annex "$work/other.csv" --pack hunan-2025 --version 1 -o "$work/other.hrpack"
expect 2 --home "$work/none" verify --root "$root" --pack "$work/other.hrpack" "$work/evidence-2"
# Made before the annex was here: it says so, wherever it is read.
expect 0 --home "$work/none" verify --root "$root" "$work/evidence-1"
out_has "without an annex that the charter names and its maker had not"
expect 0 --home "$A/h1" --json verify "$work/evidence-1"
json "not used" "o['decisions'][0]['annex'] == 'not_used' and o['decisions'][0]['verdict'] == 'may'" <"$work/out"

# -- the command line of a home has it, too ------------------------------------------------------
expect 0 --home "$A/h2" policy decide "$work/input"
json "decide with the home's annex" "o['checks']['item_listed'] == 'true'" <"$work/out"
echo '{"pack":"hunan-2025","at":"2026-11-22T09:00:00+08:00","item":"LAB.CL"}' >"$work/unlisted"
expect 0 --home "$A/h2" policy decide "$work/unlisted"
json "not on the list" "o['checks']['item_listed'] == 'false'" <"$work/out"
expect 0 --home "$work/none" policy decide "$work/input"
json "no home, no annex" "o['checks']['item_listed'] == 'unknown'" <"$work/out"
sed 's/}$/,"annex":null}/' "$work/input" >"$work/null"
expect 0 --home "$A/h2" policy decide "$work/null"
json "said not to be loaded" "o['checks']['item_listed'] == 'unknown'" <"$work/out"
expect 0 --home "$A/h2" policy explain --table --lang en "$work/input"
grep -qP '^item_listed\ttrue\t' "$work/out" || fail "explain does not use the annex"
expect 0 --home "$A/h2" --json policy list
json "listed" "[a['in_force'] for a in o if a.get('annex_of') == 'hunan-2025' and a['address'] == '$annex' and a['items'] == 2] == [True]" <"$work/out"
# A report printed from a file bears the mark that import would derive.
expect 0 --home "$A/h1" report --html "$work/b.hl7" -o "$work/b.html"
grep -q '互认' "$work/b.html" || fail "the page bears no mark"
# The homes keep it over a restart, without a daemon too.
scripts/alliance.sh stop "$A/h2"
expect 0 --home "$A/h2" policy decide "$work/input"
json "after the end of the daemon" "o['checks']['item_listed'] == 'true'" <"$work/out"
lookup 2 0

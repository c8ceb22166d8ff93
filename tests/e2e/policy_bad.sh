#!/usr/bin/env bash
# Goal: every pack that must not be used is refused with file, line and reason, and
# nothing is written; a pack is signed with an open or a locked key, and a signature that
# does not hold is refused.
# Method: copies of a shipped pack, each with one thing wrong.
set -euo pipefail
huren=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "$1"; exit 1; }
expect() { # CODE ARGS...
    local code=$1 got=0
    shift
    env HUREN_HOME="$work/none" "$huren" "$@" >"$work/out" 2>"$work/err" || got=$?
    [ "$got" = "$code" ] || fail "exit $got where $code is expected: $* $(cat "$work/err")"
}
P=policy/packs/hubei-2023
bad=$work/bad
refused() { # WHAT REGEX: check and build refuse $bad so, in one line
    expect 1 policy check "$bad"
    [ "$(wc -l <"$work/err")" = 1 ] || fail "$1: not one line: $(cat "$work/err")"
    grep -qE "^huren: policy check: $bad/$2" "$work/err" || fail "$1: $(cat "$work/err")"
    expect 1 policy build "$bad" -o "$work/bad.hrpack"
    grep -qE "^huren: policy build: $bad/$2" "$work/err" || fail "$1, build: $(cat "$work/err")"
    [ ! -e "$work/bad.hrpack" ] || fail "$1: a refused pack was written"
}
fresh() { rm -rf "$bad"; cp -r $P "$bad"; }
line() { grep -n -m1 -- "$1" "$bad/$2" | cut -d: -f1; }

# -- one thing wrong -------------------------------------------------------------------------
fresh; sed -i '0,/check: marked/s//check: marcked/' "$bad/pack.yaml"
refused "unknown rule" "pack.yaml:$(line 'check: marcked' pack.yaml): check is not one that is known"
fresh; sed -i '0,/if_false: /s//if_falsch: /' "$bad/pack.yaml"
refused "unknown setting" "pack.yaml:[0-9]+: Unexpected key: if_falsch"
fresh; sed -n 2p "$bad/items.csv" >>"$bad/items.csv"
refused "duplicate item" "items.csv:$(wc -l <"$bad/items.csv"): an item stands twice"
fresh; sed -i '3s/LAB\.[A-Z0-9]*/LAB.NOSUCH/' "$bad/items.csv"
refused "item not in the catalog" 'items.csv:3: item LAB.NOSUCH: is not in the catalog'
fresh; sed -i '0,/^ *clause: .*/{//d}' "$bad/pack.yaml"
refused "no clause" 'pack.yaml:[0-9]+: Missing required mapping field: clause'
fresh; sed -i '0,/clause: .*/s//clause: ""/' "$bad/pack.yaml"
refused "empty clause" "pack.yaml:$(line 'clause: ""' pack.yaml): "
fresh; sed -i '3s/"expect":{/"expect":{"repeat":"never",/' "$bad/vectors.jsonl"
refused "a vector that fails" 'vectors.jsonl:3: '
fresh; sed -i '5s/^/{/' "$bad/vectors.jsonl"
refused "a vector that is none" 'vectors.jsonl:5: '

# -- together: validity, parents -----------------------------------------------------------------
fresh
expect 1 policy check $P "$bad"
grep -qE "$bad/pack.yaml:[0-9]+: validity overlaps that of the same pack in $P" "$work/err" || fail "overlap: $(cat "$work/err")"
for id in one two; do
    cp -r $P "$work/$id"
    other=$([ $id = one ] && echo two || echo one)
    sed -i "s/^pack: .*/pack: $id\\nparent: $other/" "$work/$id/pack.yaml"
    sed -i "s/\"pack\":\"hubei-2023\"/\"pack\":\"$id\"/g" "$work/$id/vectors.jsonl"
done
expect 1 policy check "$work/one" "$work/two"
grep -qE "(one|two)/pack.yaml:[0-9]+: parent leads back to the pack" "$work/err" || fail "cycle: $(cat "$work/err")"
sed -i '/^parent: /d' "$work/two/pack.yaml"
expect 0 policy check "$work/one" "$work/two"

# -- an annex ----------------------------------------------------------------------------------------
annex() { # REGEX: the annex in $work/annex.csv is refused so
    expect 1 policy build --annex "$work/annex.csv" --pack hunan-2025 --version 1 -o "$work/annex.hrpack"
    grep -qE "annex.csv:$1" "$work/err" || fail "annex: $(cat "$work/err")"
    [ ! -e "$work/annex.hrpack" ] || fail "a refused annex was written"
}
printf 'code,limit_days,citation\nLAB.K,7,x\nLAB.NOSUCH,7,x\n' >"$work/annex.csv"; annex '3: item is not in the catalog'
printf 'code,limit_days,citation\nLAB.K,7,x\nLAB.NA,7,x\nLAB.K,9,x\n' >"$work/annex.csv"; annex '4: an item stands twice'
printf 'code,limit_days,citation\nLAB.K,007,x\n' >"$work/annex.csv"; annex '2: limit_days is not a plain number'
printf 'code,limit_days,citation\nLAB.K,7,\n' >"$work/annex.csv"; annex '2: item has no citation'

# -- signatures --------------------------------------------------------------------------------------
(cd "$work" && "$huren" charter keygen li -o li.key && printf 'open sesame\n' >pass && printf 'wrong\n' >wrong && chmod 600 pass wrong &&
    "$huren" charter keygen wang -o wang.key --passphrase-file pass) >"$work/out" 2>&1 || fail "keygen: $(cat "$work/out")"
expect 0 policy build --json $P -o "$work/plain.hrpack"
plain=$(grep -oP '"address":"\K[0-9a-f]{64}' "$work/out")
expect 2 policy build $P -o "$work/wang.hrpack" --key "$work/wang.key"
grep -q 'it needs a passphrase' "$work/err" || fail "no passphrase: $(cat "$work/err")"
expect 2 policy build $P -o "$work/wang.hrpack" --key "$work/wang.key" --passphrase-file "$work/wrong"
grep -q 'this is not its passphrase' "$work/err" || fail "wrong passphrase: $(cat "$work/err")"
expect 2 policy build $P -o "$work/wang.hrpack" --passphrase-file "$work/pass"
chmod 644 "$work/pass"
expect 2 policy build $P -o "$work/wang.hrpack" --key "$work/wang.key" --passphrase-file "$work/pass"
grep -q 'others may read it' "$work/err" || fail "an open passphrase file: $(cat "$work/err")"
chmod 600 "$work/pass"
[ ! -e "$work/wang.hrpack" ] || fail "written without a good key"
for who in li wang; do
    # The locked key by its passphrase, the open one without.
    expect 0 policy build --json $P -o "$work/$who.hrpack" --key "$work/$who.key" $([ $who = wang ] && echo --passphrase-file "$work/pass")
    grep -q '"signed":true' "$work/out" || fail "$who: not signed"
    grep -q "$plain" "$work/out" || fail "$who: signing changed the address"
    declare "$who=$(grep -oP '"vkey":"\K[^"]*' "$work/out")"
    expect 0 policy check --vkey "${!who}" "$work/$who.hrpack"
done
expect 1 policy check --vkey "$li" "$work/wang.hrpack"
expect 1 policy check --vkey "$li" "$work/plain.hrpack"
python3 - "$work/li.hrpack" "$work/broken.hrpack" <<'P'
import base64, re, sys
data = open(sys.argv[1], "rb").read()
m = re.search("— li ([A-Za-z0-9+/=]+)\n".encode(), data)
raw = bytearray(base64.b64decode(m[1]))
raw[20] ^= 1
open(sys.argv[2], "wb").write(data[:m.start(1)] + base64.b64encode(raw) + data[m.end(1):])
P
expect 1 policy check --vkey "$li" "$work/broken.hrpack"
grep -qE "broken.hrpack: pack hubei-2023 version 1: .*signature" "$work/err" || fail "broken signature: $(cat "$work/err")"
# A rule that this version does not know, in a built file.
python3 - "$work/plain.hrpack" "$work/unknown.hrpack" <<'P'
import base64, hashlib, sys
head, rest = open(sys.argv[1], "rb").read().split(b"\n\n", 1)
lines = head.split(b"\n")
size = int(lines[3].split()[1])
rules = rest[:size].replace(b"\tmarked\t", b"\tmarcked\t", 1)
assert len(rules) == size + 1
lines[3] = b"rules %d %s" % (len(rules), base64.b64encode(hashlib.sha256(rules).digest()))
open(sys.argv[2], "wb").write(b"\n".join(lines) + b"\n\n" + rules + rest[size:])
P
expect 1 policy check "$work/unknown.hrpack"
grep -qE 'unknown.hrpack: .*[0-9]+: ' "$work/err" || fail "an unknown rule in a built file: $(cat "$work/err")"
echo "policy_bad: ok"

#!/usr/bin/env bash
# Goal: truncated, oversized and hostile files, homes and charters give one clear line, the
# right exit code, no crash and nothing lost; no message, log or file shows a patient.
# Method: the command line with files made for the purpose, a small disk, a full home.
. tests/e2e/lib/common.sh
up 2
messages 1 3 --tag A >"$work/a.hl7"
expect 0 --home "$A/h1" import "$work/a.hl7"
wait_index "$A/h2" h1 3 1
expect 0 --home "$A/h2" lookup --patient "RI:$(card 1)" --item LAB.K --evidence "$work/k.hre"

# -- files -----------------------------------------------------------------------------------
python3 - "$work" <<'PY'
import os, random, sys
work = sys.argv[1]
rng = random.Random(1)
def put(name, data):
    open(f"{work}/{name}", "wb").write(data)
good = open(f"{work}/a.hl7", "rb").read()
put("empty.hl7", b"")
put("nul.hl7", b"\0" * 5000)
put("noise.hl7", rng.randbytes(20000))
put("onlymsh.hl7", b"MSH|^~\\&|")
put("delimiters.hl7", b"MSH|||||||||||\r" + b"|" * 100000)
put("repeat.hl7", b"MSH|^~\\&|A|B|C|D|1||ORU^R01|1|P|2.5\r" + b"OBX|1\r" * 60000)
put("long.hl7", good.replace(b"4.10", b"9" * 3000000, 1))
put("cut.hl7", good[: len(good) // 2 + 7])
put("header.csv", b"a,b,c\n1,2,3\n")
put("quote.csv", b'report_id,resident_card,item,value,examined_at\n"unclosed')
with open(f"{work}/huge.hl7", "wb") as f:
    f.truncate(3 << 30)
PY
for f in empty nul noise onlymsh delimiters repeat cut long; do
    code=0
    timeout 20 "$HUREN" --home "$A/h1" import "$work/$f.hl7" >"$work/out" 2>"$work/err" || code=$?
    [ "$code" = 1 ] || [ "$code" = 2 ] || { [ $f = long ] || [ $f = cut ] && [ "$code" = 0 ]; } || fail "import of $f.hl7: exit $code"
    [ -s "$work/err" ] || [ "$code" = 0 ] || grep -q ": report .*: " "$work/out" || fail "import of $f.hl7: no message"
    cat "$work/err" >>"$work/messages"
done
expect 2 --home "$A/h1" import "$work/huge.hl7"
err_lines 1
for f in header quote; do
    code=0
    "$HUREN" --home "$A/h1" import "$work/$f.csv" >"$work/out" 2>"$work/err" || code=$?
    [ "$code" = 1 ] || [ "$code" = 2 ] || fail "import of $f.csv: exit $code"
    cat "$work/err" >>"$work/messages"
done
one() { # CODE PATTERN ARGS...: refused in one line
    local want=$1 pattern=$2
    shift 2
    expect "$want" "$@"
    err_lines 1
    err_has "$pattern"
    cat "$work/err" >>"$work/messages"
}
one 2 "No such file" --home "$A/h1" import "$work/missing.hl7"
one 2 "." --home "$A/h1" import "$A"
one 2 "there is none" --home "$work/nowhere" import "$work/a.hl7"
one 2 "evidence" --home "$A/h1" verify "$work/a.hl7"
one 2 "." --home "$A/h1" verify "$work/huge.hl7"
one 2 "." --home "$A/h1" verify "$work/k.hre" --root "$work/a.hl7"
# Another network's root: not verified by it.
expect 0 --home "$work/other" init --institution other --name Other --network "$NET"
(
    cd "$work"
    "$HUREN" --home "$work/other" charter keygen mallory -o mallory.key
    cat >other.yaml <<END
network: $NET
version: 1
valid_days: 365
thresholds: {root: 1, members: 1, quality: 1, policy: 1}
keys:
  - {file: mallory.key.pub, roles: [root, members, quality, policy]}
END
    "$HUREN" --home "$work/other" charter build root other.yaml -o other.charter
    "$HUREN" --home "$work/other" charter sign other.charter --key mallory.key
) >/dev/null 2>&1
one 1 "NOT VERIFIED" --home "$A/h1" verify "$work/k.hre" --root "$work/other.charter"
for f in noise nul empty; do
    code=0
    "$HUREN" --home "$A/h1" charter adopt "$work/$f.hl7" >"$work/out" 2>"$work/err" || code=$?
    [ "$code" = 1 ] || [ "$code" = 2 ] || fail "charter adopt of $f: exit $code"
    err_lines 1
done
code=0
"$HUREN" --home "$A/h1" charter adopt "$work/other.charter" >"$work/out" 2>"$work/err" || code=$?
[ "$code" = 1 ] || fail "another root of the same network and version: exit $code, expected 1"
err_lines 1

# -- look-ups ----------------------------------------------------------------------------------
bad_card=$(card 1 | sed 's/0$/1/')
for p in "RI:$bad_card" "RI" ":" "RI:" "QQ:123" "RI:$(head -c 3000 /dev/zero | tr '\0' 1)"; do
    code=0
    "$HUREN" --home "$A/h1" lookup --patient "$p" --item LAB.K >"$work/out" 2>"$work/err" || code=$?
    [ "$code" = 2 ] || fail "a look-up of a patient that is none: exit $code, expected 2"
    err_lines 1
    cat "$work/err" >>"$work/messages"
done
one 2 "." --home "$A/h1" lookup --patient "RI:$(card 1)" --item NO.SUCH
one 2 "at wants" --home "$A/h1" lookup --patient "RI:$(card 1)" --item LAB.K --at yesterday

# -- not a member, out of time -------------------------------------------------------------------
one 2 "network key|member|charter" --home "$work/other" import "$work/a.hl7"
(
    cd "$A/authority"
    sed -i "s/^version: 1/version: 2/; s/^valid_days:.*/valid_days: 30\nissued_at: $(date -u -d '-90 days' +%Y-%m-%dT%H:%M:%SZ)/" quality.yaml
    "$HUREN" --home . charter build quality quality.yaml -o quality-2.charter >/dev/null
    "$HUREN" --home . charter sign quality-2.charter --key li.key >/dev/null
) || fail "an old quality document could not be made"
code=0
"$HUREN" --home "$A/h2" charter adopt "$A/authority/quality-2.charter" >"$work/out" 2>"$work/err" || code=$?
if [ "$code" = 0 ]; then # expired: facts count as unknown, and it is said
    "$HUREN" --home "$A/h2" lookup --patient "RI:$(card 1)" --item LAB.K >"$work/out" 2>"$work/err" || true
    grep -q "must" "$work/out" && ! grep -q "stale_after" "$work/err" && fail "an expired quality document decides as if it were fresh" || true
    err_has "stale_after"
fi

# -- a home in use, a full disk -------------------------------------------------------------------
one 2 "already in use by process" --home "$A/h1" serve
scripts/alliance.sh stop "$A/h1"
mv "$A/h1" "$work/roomy"
mkdir "$A/h1"
if mount -t tmpfs -o size=14m tmpfs "$A/h1" 2>/dev/null; then
    cp -a "$work/roomy/." "$A/h1"
    scripts/alliance.sh start "$A/h1"
    wait_status "$A/h1" 20 "n['signing']['pub']['state'] == 'open'"
    messages 1000 12000 --tag F >"$work/f.hl7"
    code=0
    timeout 60 "$HUREN" --home "$A/h1" import "$work/f.hl7" >"$work/out" 2>"$work/err" || code=$?
    [ "$code" = 2 ] || { fail "an import on a full disk: exit $code, expected 2"; tail -1 "$work/out"; }
    err_has "full|room|space"
    cat "$work/err" >>"$work/messages"
    acked=$(grep -c ": published$" "$work/out" || true)
    expect 0 --home "$A/h2" lookup --patient "RI:$(card 1)" --item LAB.K # h1 still answers
    scripts/alliance.sh stop "$A/h1"
    rm -rf "$work/roomy"
    cp -a "$A/h1" "$work/roomy"
    umount "$A/h1"
    rmdir "$A/h1"
    mv "$work/roomy" "$A/h1"
    scripts/alliance.sh start "$A/h1"
    wait_status "$A/h1" 20 "n['signing']['pub']['state'] == 'open'"
    expect 0 --home "$A/h1" import "$work/f.hl7"
    again=$(grep -c ": report .*there already" "$work/out" || true)
    [ "$again" = "$acked" ] || fail "of $acked acknowledged before the disk was full, $again were found again"
    [ "$acked" -gt 0 ] || fail "the disk was full before anything was acknowledged"
    echo "full disk: $acked acknowledged before, all there with more room"
    scripts/alliance.sh stop "$A/h1"
else
    echo "SKIPPED: a full disk: no tmpfs may be mounted here"
    rmdir "$A/h1"
    mv "$work/roomy" "$A/h1"
fi
scripts/alliance.sh start "$A/h1"
wait_status "$A/h1" 30 "n['signing']['pub']['state'] == 'open'" # it was copied
expect 0 --home "$A/h1" import "$work/a.hl7"
out_has "3 there already"

# -- nobody's name or number anywhere ---------------------------------------------------------------
for secret in "$(card 1)" "$(card 2)" "$bad_card" 欧阳; do
    grep -qaF "$secret" "$work/messages" && { fail "a message shows a patient:"; grep -aF "$secret" "$work/messages" | cut -c1-200 | head -3; } || true
    for h in "$A"/*/; do
        found=$(grep -rlaF --exclude=control "$secret" "$h" 2>/dev/null || true)
        [ -z "$found" ] || fail "a patient's name or number stands in $found"
    done
done
expect 0 --home "$A/h2" --json status
for secret in "$(card 1)" 欧阳; do grep -qF "$secret" "$work/out" && fail "status shows a patient" || true; done

#!/usr/bin/env bash
# Goal: a root of 2 of 3 is adopted with two signatures, refused with one, and with one
# signer twice; documents out of time or of another key are refused with the reason.
# Method: the command line alone, three signers and a stranger.
. tests/e2e/lib/common.sh
h() { expect "$1" --home "$work/h" "${@:2}"; }
h 0 init --institution wjw --name Authority --network "$NET"
cd "$work"
for who in li wang zhao stranger; do h 0 charter keygen $who -o $who.key; done
root() { # VERSION EXTRA-LINES
    cat <<END
network: $NET
version: $1
valid_days: 365
$2
thresholds: {root: 2, members: 2, quality: 1, policy: 1}
keys:
  - {file: li.key.pub, roles: [root, members, quality, policy]}
  - {file: wang.key.pub, roles: [root, members]}
  - {file: zhao.key.pub, roles: [root, members]}
END
}
root 1 "" >root.yaml
h 0 charter build root root.yaml -o root.charter
cp root.charter one.charter
cp root.charter strange.charter
h 1 charter adopt root.charter
h 0 charter sign one.charter --key li.key
h 1 charter adopt one.charter
err_has "[12] of 2|2 .*signatures|sign"
h 1 --home "$work/h" charter adopt one.charter one.charter
# The same signer twice: one line, however often.
"$HUREN" --home "$work/h" charter sign one.charter --key li.key >out 2>err || true
h 1 charter adopt one.charter
python3 - one.charter twice.charter <<'PY'
import sys
data = open(sys.argv[1], "rb").read()
line = next(l for l in data.split(b"\n") if l.startswith("\u2014".encode()))
open(sys.argv[2], "wb").write(data.replace(line + b"\n", line + b"\n" + line + b"\n", 1))
PY
"$HUREN" --home "$work/h" charter adopt twice.charter >out 2>err && fail "one signer twice was taken for two" || true
h 0 charter sign strange.charter --key li.key
"$HUREN" --home "$work/h" charter sign strange.charter --key stranger.key >out 2>err || true
h 1 charter adopt strange.charter
h 1 charter show # nothing was adopted so far
# Two people sign copies of their own; adopt merges them.
cp root.charter copy1.charter
cp root.charter copy2.charter
h 0 charter sign copy1.charter --key wang.key
h 0 charter sign copy2.charter --key zhao.key
h 0 charter sign copy2.charter --key li.key
h 0 charter adopt copy2.charter
h 0 charter show
out_has "root"
# Altered, cut, older, ahead of its time.
python3 - copy2.charter bad.charter <<'PY'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
at = data.index(b"valid_from ") + 12
data[at] ^= 1
open(sys.argv[2], "wb").write(data)
PY
"$HUREN" --home "$work/h" charter adopt bad.charter >out 2>err && fail "an altered root was adopted" || true
head -c 200 copy2.charter >cut.charter
"$HUREN" --home "$work/h" charter adopt cut.charter >out 2>err && fail "half a root was adopted" || true
err_lines 1
root 2 "issued_at: $(date -u -d '+3 days' +%Y-%m-%dT%H:%M:%SZ)
previous: copy2.charter" >future.yaml
h 0 charter build root future.yaml -o future.charter
h 0 charter sign future.charter --key li.key
h 0 charter sign future.charter --key wang.key
"$HUREN" --home "$work/h" charter adopt future.charter >out 2>err && code=0 || code=$?
[ "$code" = 1 ] || { fail "a root of the day after tomorrow: exit $code, expected 1"; cat err; }
err_has "clock|future|ahead"
root 3 "previous: copy2.charter" >gap.yaml
"$HUREN" --home "$work/h" charter build root gap.yaml -o gap.charter >out 2>err && {
    h 0 charter sign gap.charter --key li.key
    h 0 charter sign gap.charter --key wang.key
    "$HUREN" --home "$work/h" charter adopt gap.charter >out 2>err && fail "a gap in the root was adopted" || true
}
root 2 "previous: copy2.charter" >next.yaml
h 0 charter build root next.yaml -o next.charter
h 0 charter sign next.charter --key wang.key
h 1 charter adopt next.charter
h 0 charter sign next.charter --key zhao.key
h 0 charter adopt next.charter
h 0 charter show
cd - >/dev/null

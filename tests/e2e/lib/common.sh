# shellcheck shell=bash
# Shared by the scenarios: sourced as `. tests/e2e/lib/common.sh`, with the binary
# as the scenario's first argument.  Gives $HUREN, an own folder $work, and ends
# the daemons that the scenario started, by their process ids, when it ends.
set -euo pipefail
export PATH=/usr/bin:/bin:$PATH # a version manager's python3 takes ten times as long to start
HUREN=$(realpath "${1:?usage: bash tests/e2e/x.sh BINARY}")
export HUREN
lib=tests/e2e/lib
scenario=$(basename "$0" .sh)
work=$(mktemp -d "${TMPDIR:-/tmp}/huren-e2e.XXXXXX")
A=$work/a      # the alliance, when there is one
NET=yx-county.hb.cn
failed=0
started=()     # daemons beside the alliance: process ids
# A binary built with a sanitizer says what it finds in a file of its own, whoever started it
# and whatever became of its output; finish() looks for these.
export ASAN_OPTIONS="log_path=$work/sanitizer" UBSAN_OPTIONS="log_path=$work/sanitizer:print_stacktrace=1"
export TSAN_OPTIONS="log_path=$work/sanitizer:exitcode=0"

finish() {
    local status=$? pid small
    set +e
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null; done
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null; done
    [ -d "$A" ] && scripts/alliance.sh down "$A" 2>/dev/null
    local found=("$work"/sanitizer.*)
    if [ -f "${found[0]}" ] && ! python3 "$lib/sanitizer.py" "${found[@]}"; then
        fail "a sanitizer reports what stands above"
    fi
    if [ "$status" != 0 ] || [ "$failed" != 0 ]; then
        for log in "$A"/*/serve.log; do
            [ -f "$log" ] && { echo "--- $log"; tail -5 "$log"; }
        done
        echo "$scenario: FAILED (exit $status, $failed failures)"
        [ "$status" != 0 ] || status=1
    else
        echo "$scenario: ok"
    fi
    for small in "$A/h1" "$work/net/h2"; do mountpoint -q "$small" 2>/dev/null && umount "$small"; done
    # The folder is kept for a look when asked for.
    [ -n "${HR_KEEP:-}" ] && echo "kept: $work" || rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'echo "$scenario: line $LINENO: $BASH_COMMAND" >&2' ERR

fail() { echo "FAILED: $*"; failed=$((failed + 1)); }

# Run huren; check the exit code; what it printed is in $work/out and $work/err.
# An expected refusal must come as one line on standard error, without a patient.
expect() { # CODE ARGS...
    local want=$1 code=0
    shift
    "$HUREN" "$@" >"$work/out" 2>"$work/err" || code=$?
    if [ "$code" != "$want" ]; then
        fail "huren $*: exit $code, expected $want"
        head -c 2000 "$work/out" "$work/err"
    fi
}
# The last command's words.
out_has() { grep -qF -- "$1" "$work/out" || { fail "the output lacks: $1"; head -c 1500 "$work/out"; }; }
err_has() { grep -qE -- "$1" "$work/err" || { fail "the message lacks: $1"; head -c 1500 "$work/err"; }; }
err_lines() { # N: so many lines of message, none that names no cause
    local n
    n=$(wc -l <"$work/err")
    [ "$n" = "$1" ] || { fail "$n lines of message, expected $1:"; head -c 1500 "$work/err"; }
}

# Check JSON on standard input: python's expression over `o` must be true.
json() { # WHAT EXPRESSION <JSON
    python3 -c '
import json, sys
text = sys.stdin.read()
try:
    o = json.loads(text)
except ValueError:
    o = [json.loads(line) for line in text.splitlines()]
try:
    good = eval("(" + sys.argv[1] + ")")
except Exception as error:
    good = False
    print(repr(error))
if not good:
    print(json.dumps(o, ensure_ascii=False)[:2000])
    sys.exit(1)' "$2" || fail "$1: not so: $2"
}

# Wait until an expression over the status of a home (s, and n for its only
# network) holds, at most so many seconds.
wait_status() { # HOME SECONDS EXPRESSION
    local until=$((SECONDS + 3 * $2)) # a loaded machine gets three times as long
    while :; do
        if "$HUREN" --home "$1" --json status 2>/dev/null | python3 -c '
import json, sys
s = json.load(sys.stdin)
n = s["networks"][0]
log = {l["origin"].split("/", 1)[1].split("/")[0] + "/" + l["origin"].split("/")[2]: l for l in n["logs"]}
sys.exit(0 if eval("(" + sys.argv[1] + ")") else 1)' "$3" 2>/dev/null; then
            return 0
        fi
        [ $SECONDS -lt $until ] || break
        sleep 0.25
    done
    fail "$1 did not come to: $3"
    "$HUREN" --home "$1" --json status | head -c 3000
    return 0
}
# Until the index of h's pub log stands at SIZE in a home, cosigned by BY.
wait_index() { # HOME h SIZE BY
    wait_status "$1" 90 "log['$2/pub']['size'] >= $3 and log['$2/pub']['cosigned_size'] >= $3 and log['$2/pub']['cosigned_by'] >= $4"
}
card() { python3 "$lib/messages.py" --card "$1"; }
messages() { python3 "$lib/messages.py" "$@"; }
up() { scripts/alliance.sh up "$A" "$@" 2>"$work/up.log" || { cat "$work/up.log"; exit 1; }; }
# No home, no network, no environment of ours.
alone() { env -i HOME=/nonexistent PATH=/usr/bin:/bin HUREN_HOME=/nonexistent/home LC_ALL=C "$HUREN" "$@"; }

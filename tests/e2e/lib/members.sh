# shellcheck shell=bash
# For scenarios in which the authority writes further versions of `members`, and daemons are
# stopped and started with all that they say kept: sourced after `up`.
a=$A/authority
h() { expect "$1" --home "$A/$2" "${@:3}"; }
start() { # HOME, and wait, without opening it ourselves
    local before
    before=$(grep -c ' ready$' "$1/serve.log" 2>/dev/null || true)
    before=${before:-0}
    "$HUREN" --home "$1" serve </dev/null >>"$1/serve.log" 2>&1 &
    echo $! >"$1/serve.pid"
    started+=($!)
    for _ in $(seq 1200); do
        [ "$(grep -c ' ready$' "$1/serve.log")" -gt "$before" ] && return 0
        sleep 0.05
    done
    fail "the daemon of $1 does not start"
}
stop() { # HOME
    local pid
    pid=$(cat "$1/serve.pid")
    kill "$pid"
    for _ in $(seq 600); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.05; done
    fail "the daemon of $1 does not end"
}
version=1
members() { # the next version of members, from members.yaml as it stands, adopted by the authority
    local before=$version
    version=$((version + 1))
    sed -i "s/^version: .*/version: $version/; /^previous:/d" "$a/members.yaml"
    sed -i "/^version:/a previous: members-$before.charter" "$a/members.yaml"
    (cd "$a" && h 0 authority charter build members members.yaml -o members-$version.charter &&
        h 0 authority charter sign members-$version.charter --key li.key &&
        h 0 authority charter adopt members-$version.charter)
}
field() { # INSTITUTION LINE: a line more in its row
    sed -i "/joins\/$1.join/a \ \ \ \ $2" "$a/members.yaml"
}
look() { # HOME CARD -> $work/out
    local code=0
    "$HUREN" --home "$A/$1" --json lookup --patient "RI:$(card "$2")" --item LAB.K "${@:3}" >"$work/out" 2>"$work/err" || code=$?
    [ "$code" -le 1 ] || { fail "look-up at $1: exit $code"; cat "$work/err"; }
}
verify() { # FILE: what anybody says of it, from the root alone
    alone --json verify "$1" --root "$a/root-1.charter" >"$work/verified" 2>"$work/err" || { fail "$1 does not verify: $(cat "$work/err")"; }
}

#!/usr/bin/env bash
# An alliance of hospitals on this machine, for tests and trials.
#
#   scripts/alliance.sh up DIR [N]    N hospitals (default 3) with homes DIR/h1 ..., an authority
#                                     (DIR/authority) and a regulator (DIR/regulator), all running
#                                     on loopback, ready when this returns
#   scripts/alliance.sh down DIR      stop them by their own process ids
#
# Everything is made as real institutions would: init, join files, charter commands, sessions.
# Settings, from the environment:
#   HUREN         the binary                         default build/huren
#   HR_NETWORK    name of the network                default yx-county.hb.cn
#   HR_PORT       first port                         default: free ones are looked for
#   HR_REPLICATION index or full                     default index
#   HR_PEERS_<h>  whom a hospital's gossip dials, e.g. HR_PEERS_h3=h2
#   HR_PACK       packs in force, each ID or ID=ADDRESS of its annex   default hubei-2023
#   HR_TERRITORY  of all hospitals, GB/T 2260        default 420581
#   HR_QUALITY    a quality.csv to use instead of the default (all hospitals passed all rounds)
set -euo pipefail
export PATH=/usr/bin:/bin:$PATH # a version manager's python3 takes ten times as long to start
here=$(cd "$(dirname "$0")/.." && pwd)
HUREN=${HUREN:-$here/build/huren}
NETWORK=${HR_NETWORK:-yx-county.hb.cn}
say() { printf '%s\n' "$*" >&2; }
usage() { sed -n '2,22p' "$0" | sed 's/^# \{0,1\}//' >&2; exit 2; }

free_ports() { # COUNT -> that many loopback ports nobody listens on
    python3 - "$1" <<'PY'
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in held:
    s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in held])
PY
}

# Run huren; show what it printed only if it failed.
quiet() {
    local log
    log=$("$HUREN" "$@" 2>&1) || { say "alliance.sh: huren $*"; say "$log"; exit 1; }
}

start() { # HOME: run the daemon and wait until it is ready
    local home=$1 pid
    "$HUREN" --home "$home" serve </dev/null >"$home/serve.log" 2>&1 &
    pid=$!
    echo "$pid" >"$home/serve.pid"
    for _ in $(seq 1200); do
        grep -q ' ready$' "$home/serve.log" && return 0
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.05
    done
    say "alliance.sh: the daemon of $home did not start:"; cat "$home/serve.log" >&2
    return 1
}

stop() { # HOME: end the daemon that start began, if it still runs
    local home=$1 pid
    [ -f "$home/serve.pid" ] || return 0
    pid=$(cat "$home/serve.pid")
    rm -f "$home/serve.pid"
    # The process id must still be that of this home's daemon.
    if [ -r "/proc/$pid/cmdline" ] && tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF -- "--home $home serve"; then
        kill "$pid" 2>/dev/null || return 0
        for _ in $(seq 200); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.05; done
        kill -9 "$pid" 2>/dev/null || return 0
    fi
}

make_sources() { # DIR N: the authority's sources, as an official would write them
    local dir=$1 n=$2 a=$1/authority i h
    cat >"$a/root.yaml" <<END
network: $NETWORK
version: 1
valid_days: 365
thresholds: {root: 1, members: 1, quality: 1, policy: 1}
keys:
  - file: li.key.pub
    roles: [root, members, quality, policy]
END
    {
        echo "network: $NETWORK"
        echo "version: 1"
        echo "valid_days: 30"
        echo "members:"
        for i in $(seq "$n"); do
            h=h$i
            cat <<END
  - join: joins/$h.join
    level: $([ "$i" = 1 ] && echo tertiary || echo secondary)
    grade: A
    ownership: public
    assessed: yes
    territory: ${HR_TERRITORY:-420581}
    alliances:
      - {id: yx-yigongti, kind: county_group}
    roles: [hospital, witness]
    listings:
$(for p in ${HR_PACK:-hubei-2023}; do echo "      - {pack: ${p%%=*}, status: listed, from: 2024-01-01}"; done)
END
        done
        cat <<END
  - join: joins/authority.join
    level: none
    ownership: public
    alliances_known: yes
    listings_known: yes
    roles: [authority]
  - join: joins/regulator.join
    level: none
    ownership: public
    alliances_known: yes
    listings_known: yes
    roles: [witness, auditor]
END
    } >"$a/members.yaml"
    if [ -n "${HR_QUALITY:-}" ]; then
        cp "$HR_QUALITY" "$a/quality.csv"
    else
        python3 - "$n" "$here/policy/catalog/catalog.csv" >"$a/quality.csv" <<'PY'
import csv, datetime, sys
year = datetime.date.today().year
print("institution,item,organiser,date,passed")
with open(sys.argv[2], encoding="utf-8") as f:
    items = [row["code"] for row in csv.DictReader(f)]
for i in range(1, int(sys.argv[1]) + 1):
    for item in items:
        for y in range(year - 3, year + 1):
            for day in (f"{y}-03-10", f"{y}-09-10"):
                if day <= str(datetime.date.today()):
                    print(f"h{i},{item},national,{day},yes")
PY
    fi
    cat >"$a/quality.yaml" <<END
network: $NETWORK
version: 1
valid_days: 190
csv: quality.csv
END
    cat >"$a/policy.yaml" <<END
network: $NETWORK
version: 1
valid_days: 365
packs:
$(for p in ${HR_PACK:-hubei-2023}; do
        a=
        case $p in *=*) a=", annexes: [${p#*=}]" ;; esac
        echo "  - {id: ${p%%=*}, hash: embedded, in_force_from: 2024-01-01$a}"
    done)
settings:
  look_back_days: 400
  cosign_s: 1
  replication: ${HR_REPLICATION:-index}
END
}

up() {
    local dir=$1 n=$2 i h ports names a
    [ -e "$dir" ] && [ -n "$(ls -A "$dir" 2>/dev/null)" ] && { say "alliance.sh: $dir is not empty"; exit 2; }
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    a=$dir/authority
    names=()
    for i in $(seq "$n"); do names+=("h$i"); done
    names+=(authority regulator)
    if [ -n "${HR_PORT:-}" ]; then
        ports=($(seq "$HR_PORT" $((HR_PORT + n + 1))))
    else
        ports=($(free_ports $((n + 2))))
    fi
    i=0
    for h in "${names[@]}"; do
        local title="Hospital ${h#h}"
        [ "$h" = authority ] && title="Health Commission"
        [ "$h" = regulator ] && title="Quality Control Centre"
        quiet --home "$dir/$h" init --institution "$h" --name "$title" --network "$NETWORK" \
            --listen "tcp://127.0.0.1:${ports[$i]}"
        i=$((i + 1))
    done
    # whom a hospital knows, for trials of hubs
    for h in "${names[@]}"; do
        local peers="HR_PEERS_$h"
        [ -n "${!peers:-}" ] && sed -i "s/^\( *\)\(# \)\{0,1\}peers: .*/\1peers: [${!peers}]/" "$dir/$h/config.yaml"
    done
    # the authority collects the join files and writes the charter
    mkdir -p "$a/joins"
    for h in "${names[@]}"; do cp "$dir/$h/join" "$a/joins/$h.join"; done
    make_sources "$dir" "$n"
    (
        cd "$a"
        quiet --home "$a" charter keygen li -o li.key
        quiet --home "$a" charter build root root.yaml -o root-1.charter
        quiet --home "$a" charter sign root-1.charter --key li.key
        quiet --home "$a" charter adopt root-1.charter
        for kind in members quality policy; do
            quiet --home "$a" charter build $kind $kind.yaml -o $kind-1.charter
            quiet --home "$a" charter sign $kind-1.charter --key li.key
        done
        quiet --home "$a" charter adopt members-1.charter quality-1.charter policy-1.charter
    )
    # the others get root and members by hand, the rest by gossip
    for h in "${names[@]}"; do
        [ "$h" = authority ] || quiet --home "$dir/$h" charter adopt "$a/root-1.charter" "$a/members-1.charter"
    done
    for h in "${names[@]}"; do start "$dir/$h"; done
    wait_ready "$dir" "${names[@]}"
    say "$n hospitals, an authority and a regulator run in $dir (network $NETWORK); stop them with"
    say "  scripts/alliance.sh down $dir"
}

# Ready: everybody has all four documents and may sign.
wait_ready() {
    local dir=$1 h
    shift
    for _ in $(seq 600); do
        local waiting=
        for h in "$@"; do
            "$HUREN" --home "$dir/$h" --json status 2>/dev/null | python3 -c '
import json, sys
s = json.load(sys.stdin)["networks"][0]
ok = len(s["charter"]) == 4 and all(g["state"] == "open" for g in s["signing"].values())
sys.exit(0 if ok else 1)' || waiting="$waiting $h"
        done
        [ -z "$waiting" ] && return 0
        sleep 0.1
    done
    say "alliance.sh: not ready after a minute:$waiting"
    for h in $waiting; do say "--- $h"; tail -5 "$dir/$h/serve.log" >&2; done
    return 1
}

down() {
    local home
    [ -d "$1" ] || { say "alliance.sh: no such folder: $1"; exit 2; }
    dir=$(cd "$1" && pwd)
    for home in "$dir"/*/; do stop "${home%/}" & done
    wait
}

case "${1:-}" in
    up) [ $# -ge 2 ] || usage; up "$2" "${3:-3}" ;;
    down) [ $# = 2 ] || usage; down "$2" ;;
    start) [ $# = 2 ] || usage; start "$(cd "$2" && pwd)" ;;
    stop) [ $# = 2 ] || usage; stop "$(cd "$2" && pwd)" ;;
    *) usage ;;
esac

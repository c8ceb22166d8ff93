#!/usr/bin/env bash
# How fast Huren is beside PostgreSQL and Redis, on this machine, in one run.
#
#   scripts/bench.sh [--quick]
#
# Builds, installs PostgreSQL and Redis if they are missing (scripts/setup.sh bench), starts both on
# loopback with TLS in a temporary folder, makes an alliance of hospitals beside them, and measures
# row by row, ours and theirs in turn.  While one is measured the others sleep.  Prints for
# each row the median of the ratios of all rounds, and their range: only ratios mean anything
# on a machine that does other work as well.  Nothing here passes or fails.
#
#   --quick       a tenth of the size or less, three rounds
#   HR_ROUNDS     rounds (default 5, quick 3)
#   HR_ROWS       which rows, of: publish insert lookup entries (default all)
#   HR_BENCH_DIR  where to put data (default: a temporary folder; some 10 GB for the whole size)
set -euo pipefail
cd "$(dirname "$0")/.."
here=$PWD
quick=
case "${1:-}" in
    '') ;;
    --quick) quick=1 ;;
    *) sed -n '2,17p' "$0" | sed 's/^# \{0,1\}//' >&2; exit 2 ;;
esac
ROUNDS=${HR_ROUNDS:-${quick:+3}}; ROUNDS=${ROUNDS:-5}
ROWS=" ${HR_ROWS:-publish insert lookup entries} "
if [ -n "$quick" ]; then
    RESULTS=50000 INSERTS_8=1500 INSERTS_64=6000 LOOKUPS_1=300 LOOKUPS_8=1500 LOOKUPS_64=5000 PATIENTS=5000 ENTRIES=200000
else
    RESULTS=1000000 INSERTS_8=10000 INSERTS_64=50000 LOOKUPS_1=3000 LOOKUPS_8=20000 LOOKUPS_64=60000 PATIENTS=50000 ENTRIES=1000000
fi
scripts/setup.sh build
scripts/setup.sh bench
[ -n "${HR_NO_BUILD:-}" ] || scripts/build.sh release >/dev/null

own_dir=
if [ -n "${HR_BENCH_DIR:-}" ]; then dir=$HR_BENCH_DIR; mkdir -p "$dir"; else dir=$(mktemp -d "${TMPDIR:-/tmp}/huren-bench.XXXXXX"); own_dir=1; fi
dir=$(cd "$dir" && pwd)
chmod 755 "$dir"
pg_pid= redis_pid=
say() { printf '%s\n' "$*" >&2; }
clean() {
    thaw
    local one
    for one in "$dir"/*/authority; do [ ! -d "$one" ] || scripts/alliance.sh down "$(dirname "$one")"; done
    [ -n "$pg_pid" ] && kill -INT "$pg_pid" 2>/dev/null && wait "$pg_pid" 2>/dev/null
    [ -n "$redis_pid" ] && kill "$redis_pid" 2>/dev/null && wait "$redis_pid" 2>/dev/null
    [ -n "$own_dir" ] && rm -rf "$dir"
    return 0
}
trap clean EXIT
trap 'exit 130' INT TERM

# ---- the peers ----

pg_bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)
as_postgres=()
[ "$(id -u)" = 0 ] && as_postgres=(setpriv --reuid=postgres --regid=postgres --clear-groups env HOME="$dir/pg")
read -r PG_PORT REDIS_PORT < <(python3 - <<'PY'
import socket
held = [socket.socket() for _ in range(2)]
for s in held:
    s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in held])
PY
)

start_postgres() {
    mkdir -p "$dir/pg"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
        -keyout "$dir/tls.key" -out "$dir/tls.crt" 2>/dev/null
    cp "$dir/tls.key" "$dir/tls.crt" "$dir/pg/"
    chmod 600 "$dir/pg/tls.key"
    [ "$(id -u)" = 0 ] && chown -R postgres:postgres "$dir/pg"
    "${as_postgres[@]}" "$pg_bin/initdb" -D "$dir/pg/data" -U bench -A trust -E UTF8 --locale=C >"$dir/initdb.log" 2>&1
    "${as_postgres[@]}" "$pg_bin/postgres" -D "$dir/pg/data" -c port="$PG_PORT" -c listen_addresses=127.0.0.1 \
        -c unix_socket_directories="$dir/pg" -c ssl=on -c ssl_cert_file="$dir/pg/tls.crt" -c ssl_key_file="$dir/pg/tls.key" \
        -c shared_buffers=1GB -c max_wal_size=8GB -c max_connections=200 >"$dir/postgres.log" 2>&1 </dev/null &
    pg_pid=$!
    for _ in $(seq 200); do
        "$pg_bin/pg_isready" -q -h "$dir/pg" -p "$PG_PORT" && return 0
        sleep 0.1
    done
    say "bench.sh: PostgreSQL did not start:"; tail -5 "$dir/postgres.log" >&2
    exit 2
}
sql() { PGOPTIONS="-c client_min_messages=warning" "$pg_bin/psql" -q -X -A -t -v ON_ERROR_STOP=1 -h "$dir/pg" -p "$PG_PORT" -U bench -d postgres "$@"; }

start_redis() {
    redis-server --port 0 --bind 127.0.0.1 --tls-port "$REDIS_PORT" --tls-cert-file "$dir/tls.crt" --tls-key-file "$dir/tls.key" \
        --tls-auth-clients no --save "" --appendonly no --dir "$dir" >"$dir/redis.log" 2>&1 </dev/null &
    redis_pid=$!
    for _ in $(seq 100); do
        redis-cli --tls --insecure -p "$REDIS_PORT" ping >/dev/null 2>&1 && return 0
        sleep 0.1
    done
    say "bench.sh: Redis did not start:"; tail -5 "$dir/redis.log" >&2
    exit 2
}

# pgbench SCRIPT CLIENTS TRANSACTIONS HOST -> transactions per second
pg_run() {
    "$pg_bin/pgbench" -n -M prepared -f "$1" -c "$2" -j 1 -t $(($3 / $2)) -D patients="$PATIENTS" -h "$4" -p "$PG_PORT" -U bench postgres \
        2>>"$dir/pgbench.log" | awk '/^tps = / {print $3}'
}

# ---- our side ----

signal_others() { # SIGNAL [HOME]...: all daemons but those of these homes
    local signal=$1 home keep
    shift
    for home in "$dir"/*/*/serve.pid; do
        [ -f "$home" ] || continue
        for keep in "$@"; do [ "$keep/serve.pid" = "$home" ] && continue 2; done
        kill "-$signal" "$(cat "$home")" 2>/dev/null || true
    done
}
freeze() { signal_others STOP "$@"; }
thaw() { signal_others CONT; }

# HOME KEEP COMMAND ARGS...: run bench_node on HOME, whose daemon is stopped; when it is ready
# everybody but KEEP sleeps.
ours() {
    local home=$1 keep=$2 what=$3 pid
    shift 3
    rm -f "$home/ready" "$home/go"
    thaw
    HR_BENCH_HOLD=1 build/bench_node "$what" "$home" "$@" >"$dir/ours.out" 2>"$dir/ours.err" &
    pid=$!
    while kill -0 "$pid" 2>/dev/null && [ ! -f "$home/ready" ]; do sleep 0.05; done
    freeze "$keep"
    touch "$home/go"
    wait "$pid" || { say "bench.sh: bench_node $what failed:"; tail -5 "$dir/ours.err" >&2; exit 2; }
    freeze
    grep 'found nothing' "$dir/ours.err" >&2 || true
    cat "$dir/ours.out"
}
alliance() { # NAME N
    scripts/alliance.sh up "$dir/$1" "$2" >"$dir/alliance.log" 2>&1 || { cat "$dir/alliance.log" >&2; exit 2; }
}

# ROW WHO RATE [MEDIAN_US P99_US CPU_US]
keep() { echo "$*" >>"$dir/figures"; say "  $*"; }

# ---- rows ----

publish_row() {
    local r began
    say "publishing $RESULTS results, batches of 10,000, against COPY"
    build/bench_node copy "$RESULTS" >"$dir/rows.bin"
    chmod 644 "$dir/rows.bin"
    for r in $(seq "$ROUNDS"); do
        sql -c 'DROP TABLE IF EXISTS result; CREATE TABLE result (leaf bigint PRIMARY KEY, token bytea, body bytea); CREATE INDEX ON result (token); CHECKPOINT'
        began=$(date +%s.%N)
        sql -c "COPY result FROM STDIN (FORMAT binary)" <"$dir/rows.bin"
        keep publish PostgreSQL $(python3 -c "import time; print($RESULTS / (time.time() - $began))")
        thaw
        alliance "publish$r" 1
        scripts/alliance.sh stop "$dir/publish$r/h1"
        keep publish ours "$(ours "$dir/publish$r/h1" "" publish "$RESULTS" 10000)"
        thaw
        scripts/alliance.sh down "$dir/publish$r"
        rm -rf "$dir/publish$r"
    done
    rm -f "$dir/rows.bin"
}

insert_row() {
    local r clients n first=1
    say "publishing one at a time, against INSERT"
    cat >"$dir/insert.sql" <<'SQL'
\set k random(1, 1000000000)
INSERT INTO single (token, body) VALUES (decode(md5(:k::text), 'hex'), decode(repeat('a5', 330), 'hex'));
SQL
    sql -c 'DROP TABLE IF EXISTS single; CREATE TABLE single (leaf bigserial PRIMARY KEY, token bytea, body bytea); CREATE INDEX ON single (token)'
    for r in $(seq "$ROUNDS"); do
        for clients in 8 64; do
            n=$INSERTS_8; [ $clients = 64 ] && n=$INSERTS_64
            keep "insert_$clients" PostgreSQL "$(pg_run "$dir/insert.sql" $clients "$n" "$dir/pg")"
            keep "insert_$clients" ours "$(ours "$dir/main/h3" "" insert "$n" $clients $first)"
            first=$((first + n))
        done
    done
}

lookup_row() {
    local r flight n
    say "look-ups between two nodes, against SELECT over TLS and an INSERT at each end, and Redis GET over TLS"
    scripts/alliance.sh stop "$dir/main/h1"
    build/bench_node load "$dir/main/h1" "$PATIENTS" 2>>"$dir/load.log"
    scripts/alliance.sh start "$dir/main/h1"
    cat >"$dir/lookup.sql" <<'SQL'
\set k random(0, :patients - 1)
INSERT INTO asked (leaf) VALUES (:k);
WITH log AS (INSERT INTO answered (leaf) VALUES (:k)) SELECT body FROM held WHERE leaf = :k;
SQL
    build/bench_node copy "$PATIENTS" >"$dir/held.bin"
    sql -c 'DROP TABLE IF EXISTS held, asked, answered;
        CREATE TABLE held (leaf bigint PRIMARY KEY, token bytea, body bytea);
        CREATE TABLE asked (id bigserial PRIMARY KEY, at timestamptz DEFAULT now(), leaf bigint);
        CREATE TABLE answered (id bigserial PRIMARY KEY, at timestamptz DEFAULT now(), leaf bigint)'
    sql -c "COPY held FROM STDIN (FORMAT binary)" <"$dir/held.bin"
    python3 - "$PATIENTS" <<'PY' | redis-cli --tls --insecure -p "$REDIS_PORT" --pipe >/dev/null
import sys
body = b"\xa5" * 330
for i in range(int(sys.argv[1])):
    key = b"key:%012d" % i
    sys.stdout.buffer.write(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(key), key, len(body), body))
PY
    for r in $(seq "$ROUNDS"); do
        for flight in 1 8 64 256; do
            n=$LOOKUPS_64; [ $flight = 1 ] && n=$LOOKUPS_1; [ $flight = 8 ] && n=$LOOKUPS_8
            [ $flight = 256 ] || keep "lookup_$flight" PostgreSQL "$(PGSSLMODE=require pg_run "$dir/lookup.sql" $flight "$n" 127.0.0.1)"
            [ $flight = 1 ] || keep "lookup_$flight" Redis "$(redis-benchmark --tls --insecure -p "$REDIS_PORT" -r "$PATIENTS" \
                -c $((flight == 256 ? 8 : flight)) -n $((n * 10)) --csv GET key:__rand_int__ 2>/dev/null | tail -1 | cut -d'"' -f4)"
            keep "lookup_$flight" ours "$(ours "$dir/main/h2" "$dir/main/h1" lookup "$n" $flight "$PATIENTS")"
        done
    done
}

entries_row() {
    local r
    say "taking in $ENTRIES entries of a peer, against as many signatures"
    for r in $(seq "$ROUNDS"); do
        mkdir "$dir/gossip"
        keep entries both $(build/bench_gossip "$ENTRIES" "$dir/gossip" | awk '
            /^took in/ { for (i = 1; i <= NF; i++) if ($i == "in" && $(i + 2) == "s") took = $(i + 1) }
            /^as many/ { for (i = 1; i <= NF; i++) if ($i == "taker") ratio = $(i + 1) }
            END { print took, ratio }')
        rm -rf "$dir/gossip"
    done
}

has() { [[ $ROWS == *" $1 "* ]]; }
say "ready in a moment: servers and an alliance in $dir"
start_postgres
start_redis
if has lookup || has insert; then alliance main 3; fi
if has lookup; then
    scripts/alliance.sh stop "$dir/main/h2"
    lookup_row
    thaw
    scripts/alliance.sh start "$dir/main/h2"
fi
if has insert; then
    scripts/alliance.sh stop "$dir/main/h3"
    insert_row
fi
if has publish; then publish_row; fi
freeze
if has entries; then entries_row; fi

python3 scripts/bench_table.py "$dir/figures"

#!/usr/bin/env bash
# How fast a hospital that was away catches up: two daemons, one with COUNT entries that the
# other has not seen; beside it, the same bytes copied over a plain TCP connection.
#
# usage: tests/bench/catch_up.sh [COUNT] [BINARY]     (default 100000, build/huren)
set -euo pipefail
cd "$(dirname "$0")/../.."
count=${1:-100000}
export HUREN=${2:-build/huren}
HUREN=$(realpath "$HUREN")
work=$(mktemp -d "${TMPDIR:-/tmp}/huren-bench.XXXXXX")
trap 'scripts/alliance.sh down "$work/a" 2>/dev/null; rm -rf "$work"' EXIT
scripts/alliance.sh up "$work/a" 2 2>/dev/null
scripts/alliance.sh stop "$work/a/h2"
python3 tests/e2e/lib/messages.py 0 "$count" --tag A --csv >"$work/a.csv"
"$HUREN" --home "$work/a/h1" import "$work/a.csv" | tail -1
python3 - "$HUREN" "$work/a" "$count" <<'PY'
import json, os, socket, subprocess, sys, threading, time

huren, alliance, count = sys.argv[1], sys.argv[2], int(sys.argv[3])


def status():
    return json.loads(subprocess.run([huren, "--home", f"{alliance}/h2", "--json", "status"], capture_output=True, text=True).stdout)


def size(s):
    return next((l["size"] for l in s["networks"][0]["logs"] if l["origin"].endswith("/h1/pub")), 0)


daemon = subprocess.Popen([huren, "--home", f"{alliance}/h2", "serve"], stderr=subprocess.PIPE, text=True)
while not daemon.stderr.readline().rstrip().endswith(" ready"):
    pass
threading.Thread(target=lambda: daemon.stderr.read(), daemon=True).start()
begun = time.monotonic()
while size(s := status()) < count:
    time.sleep(0.1)
took = time.monotonic() - begun
moved = s["wire"]["bytes_in"]
ticks = open(f"/proc/{daemon.pid}/stat").read().rsplit(")", 1)[1].split()
cpu = (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")
print(f"caught up: {count} entries in {took:.2f} s after the start, dialling and charter included: {count / took:.0f} entries/s, "
      f"{moved / count:.0f} bytes each, {moved / took / 1e6:.0f} MB/s; {cpu:.2f} s of processor")
daemon.terminate()
daemon.wait()

listener = socket.create_server(("127.0.0.1", 0))


def serve():
    c, _ = listener.accept()
    block = bytes(65536)
    left = moved
    while left > 0:
        left -= c.send(block[:min(left, len(block))])
    c.close()


threading.Thread(target=serve).start()
c = socket.create_connection(listener.getsockname())
t = time.monotonic()
left = moved
while left > 0:
    left -= len(c.recv(1 << 20))
plain = time.monotonic() - t
print(f"plain TCP: {moved} bytes in {plain:.3f} s, {moved / plain / 1e6:.0f} MB/s")
PY

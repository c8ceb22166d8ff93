#!/usr/bin/env python3
"""Kill a daemon, or an import without one, at random moments; then look for what was acknowledged.

usage: kill.py HUREN HOME WORK daemon|import CYCLES SEED
Writes WORK/<mode>.acked (report numbers) and prints a summary; exit 1 if anything was lost.
"""
import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time

huren, home, work, mode, cycles, seed = sys.argv[1:7]
rng = random.Random(int(seed))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import messages  # noqa: E402

tag = mode[0].upper()
base = 1000 if mode == "daemon" else 500000
PART = 20
AGAIN = 6000  # reports in one import at the end
trouble = 0


def say(text):
    global trouble
    trouble += 1
    print("kill.py:", text)


made = {}
a = argparse.Namespace(days=2, tag=tag, charset="utf-8", value="4.10", status="F")


def make(first, count):
    path = f"{work}/{tag}-{first}.hl7"
    with open(path, "wb") as f:
        for n in range(first, first + count):
            if n not in made:  # they name the day: the same words again, also after midnight
                made[n] = messages.message(n, a).encode()
            f.write(made[n])
    return path


def start():
    log = open(f"{work}/{mode}.log", "w+b")
    p = subprocess.Popen([huren, "--home", home, "serve"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    end = time.time() + 60
    while time.time() < end and p.poll() is None:
        log.seek(0)
        if b" ready\n" in log.read():
            log.close()
            return p
        time.sleep(0.01)
    say(f"the daemon did not come back (exit {p.poll()})")
    p.kill()
    sys.exit(1)


def read_acks(text, wanted):
    """Outcomes by report number; a last line that is cut acknowledges nothing."""
    found = {}
    for line in text.split(b"\n")[:-1]:
        try:
            o = json.loads(line)
        except ValueError:
            say("a line of the answer is not JSON")
            continue
        if o["outcome"] in wanted:
            found[int(o["report_id"].split("-")[1])] = o["outcome"]
        else:
            say(f"outcome {o['outcome']} {o['reason']}")
    return found


# How long one import takes here and now: kills come within what all of a cycle take.
begun = time.time()
subprocess.run([huren, "--home", home, "--json", "import", make(base - PART, PART)], capture_output=True, check=True)
one_s = time.time() - begun
acked, tried = set(), set()
first = base
for cycle in range(int(cycles)):
    daemon = start() if mode == "daemon" else None
    parts = [make(first + PART * i, PART) for i in range(6)]
    tried |= set(range(first, first + 6 * PART))
    limit = time.time() + one_s * rng.choice([rng.uniform(0.2, 1.5), rng.uniform(1, 6)])
    at = 0
    runs = []
    while at < len(parts):
        two = parts[at : at + 2]  # two clients at once, or one that owns the home
        two = two if mode == "daemon" else two[:1]
        at += len(two)
        runs = [subprocess.Popen([huren, "--home", home, "--json", "import", p], stdout=subprocess.PIPE, stderr=subprocess.PIPE) for p in two]
        victim = daemon or runs[0]
        while time.time() < limit and any(r.poll() is None for r in runs):
            time.sleep(0.001)
        if time.time() >= limit or at >= len(parts):
            victim.send_signal(signal.SIGKILL)
            victim.wait()
        for r in runs:
            out, err = r.communicate(timeout=60)
            acked |= set(read_acks(out, ("published", "repeat")))
            if r.returncode == 0 and out.count(b"\n") != PART:
                say("an import said yes and did not name every report")
            if r is not victim and r.returncode not in (0, 2):
                say(f"an import whose daemon was killed: exit {r.returncode}")
        if victim.poll() is not None:
            break
    if daemon is not None and daemon.poll() is None:
        daemon.kill()
        daemon.wait()
    first += 6 * PART

# Everything again: what was acknowledged is there already; of the rest, whole reports only.
daemon = start() if mode == "daemon" else None
now = {}
for part in range(base, first, AGAIN):
    count = min(AGAIN, first - part)
    p = subprocess.run([huren, "--home", home, "--json", "import", make(part, count)], capture_output=True)
    named = read_acks(p.stdout, ("published", "repeat"))
    if p.returncode != 0 or len(named) != count:
        say(f"importing all again: exit {p.returncode}, {len(named)} of {count} named: {p.stderr[:300]}")
    now.update(named)
lost = sorted(n for n in acked if now.get(n) != "repeat")
if lost:
    say(f"{len(lost)} acknowledged reports were lost: {lost[:10]}")
half = sum(1 for n in tried - acked if now.get(n) == "repeat")
found = 0
sample = rng.sample(sorted(acked), min(15, len(acked)))
for n in sample:
    p = subprocess.run([huren, "--home", home, "--json", "lookup", "--patient", "RI:" + messages.card(n), "--item", "LAB.K"], capture_output=True)
    results = json.loads(p.stdout)["results"] if p.stdout else []
    if [r["report_id"] for r in results] != [f"{tag}-{n}"]:
        say(f"look-up of report {n} gives {[r.get('report_id') for r in results]}, exit {p.returncode}")
    found += 1
if daemon is not None:
    daemon.terminate()
    if daemon.wait(timeout=20) != 0:
        say("the daemon did not end well")
print(f"{mode}: {cycles} kills, {len(acked)} of {len(tried)} reports acknowledged before a kill, {half} committed but not acknowledged, "
      f"{found} looked up, {len(lost)} lost")
if not acked or len(acked) == len(tried):
    say("the kills came all too early or all too late to tell anything")
sys.exit(1 if trouble else 0)

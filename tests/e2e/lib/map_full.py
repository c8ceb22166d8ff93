#!/usr/bin/env python3
"""Let the store refuse one write after the other (F5), and look what is left.

usage: map_full.py HUREN FAIL_STORE_SO NETWORK WORK MESSAGES [--scenario NAME]...
                   [--every K --offset O | --random N --seed S]

NETWORK is a folder of tests/e2e/lib/small_network.sh with HR_REPLICATION=index.  Each command
runs once to count its writes and commits, then once for each of them and each way to fail:
  put full       the map is full at this write, once: the node finds room by itself
  put full+      ... from then on: it is refused in words, and nothing crashes or hangs
  commit full, full+, nospace, io    the commit does not happen
  commit after   it happens, and says EIO
--random takes N of all these, drawn by the seed.  After each: huren audit verify finds nothing;
what was acknowledged is there; the same command again succeeds, and everything is there once.
"""
import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import trial
from trial import LIMIT_S, Wrong, sound

parser = argparse.ArgumentParser()
for name in ("huren", "library", "network", "work", "messages"):
    parser.add_argument(name)
parser.add_argument("--scenario", action="append")
parser.add_argument("--every", type=int, default=1)
parser.add_argument("--offset", type=int, default=0)
parser.add_argument("--random", type=int, default=0)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--verbose", action="store_true")
o = parser.parse_args()
trial.setup(o)
WAYS = [("put", "full", ""), ("put", "full", "+"), ("commit", "full", ""), ("commit", "full", "+"),
        ("commit", "nospace", ""), ("commit", "io", ""), ("commit", "after", "")]
SERVED_S = 3  # how long a daemon that can store nothing is looked at


def disturbed(scenario, home, fault):
    """Run the command with the fault; returns exit code (negative: signal), output, messages,
    and how many writes, commits and map sizes it made, and how many of them failed."""
    counts = home + ".counts"
    # LMDB itself loses a list when the huge value of fail_store.c makes it spill pages.
    env = dict(os.environ, LD_PRELOAD=o.library, HR_FAIL_STORE=fault, HR_FAIL_STORE_COUNT=counts,
               ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0:detect_leaks=0")
    with open(home + ".out", "w+b") as out, open(home + ".err", "w+b") as err:
        p = subprocess.Popen([o.huren, "--home", home, *scenario.command(home)], stdout=out, stderr=err,
                             stdin=subprocess.DEVNULL, env=env)
        try:
            if hasattr(scenario, "until"):
                end = time.time() + (SERVED_S if fault.endswith("+") else LIMIT_S)
                while p.poll() is None and time.time() < end and not scenario.until(home):
                    time.sleep(0.05)
                p.send_signal(signal.SIGTERM)
            p.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
            raise Wrong("it hangs: " + open(home + ".err", errors="replace").read()[-300:])
        finally:
            if p.poll() is None:
                p.kill()
        out.seek(0)
        err.seek(0)
        text, words = out.read().decode(errors="replace"), err.read().decode(errors="replace")
    made = [sum(n) for n in zip(*(map(int, line.split()) for line in open(counts)))]
    os.remove(counts)
    return p.returncode, text, words, made


def one(name, fault, number):
    scenario = trial.STORING[name]()
    home = f"{o.work}/{name}-{number}"
    try:
        scenario.prepare(home)
        code, out, err, made = disturbed(scenario, home, fault)
        if code not in (0, 1, 2):
            raise Wrong(f"it crashed: {code}: {err[-300:]}")
        if code == 2 and not err.strip():
            raise Wrong("it failed without a word")
        if made[3] == 0 and not hasattr(scenario, "until"):
            raise Wrong(f"the fault did not happen: {made}")
        if fault.endswith("full+") and code == 2 and not re.search("store is full", err):
            raise Wrong(f"a full store is called something else: {err[-300:]}")
        sound(home)
        scenario.whole, scenario.killed = code == 0, False
        scenario.done(home, out)
        sound(home)
        return code, None
    except (Wrong, subprocess.TimeoutExpired, OSError, ValueError) as e:
        return None, f"{name}: {fault}: {e}"
    finally:
        shutil.rmtree(home, ignore_errors=True)
        for end in (".out", ".err", ".counts"):
            if os.path.exists(home + end):
                os.remove(home + end)


plan = []
for name in o.scenario or list(trial.STORING):
    trial.end()  # its daemon has the address of the next scenario's home
    scenario = trial.STORING[name]()
    home = f"{o.work}/{name}-count"
    try:
        scenario.prepare(home)
        code, out, err, made = disturbed(scenario, home, "")
        if code not in scenario.good:
            raise Wrong(f"exit {code}: {out[-300:]} {err[-300:]}")
        scenario.whole, scenario.killed = True, False
        scenario.done(home, out)
    except Wrong as e:
        print(f"FAILED: {name}: without a fault: {e}")
        trial.end()
        sys.exit(1)
    points = {"put": made[0], "commit": made[1]}
    plan += [(name, f"{call}:{how}:{n}{on}") for call, how, on in WAYS for n in range(1, points[call] + 1)]
if o.random:
    rng = random.Random(o.seed)
    chosen = [rng.choice(plan) for _ in range(o.random)]
else:
    chosen = plan[o.offset % o.every::o.every]
wrong, ends, began, last = 0, {}, time.time(), ""
for number, (name, fault) in enumerate(sorted(chosen)):
    if number > 0 and name != last:
        trial.end()
    last = name
    code, trouble = one(name, fault, number)
    ends[name, code] = ends.get((name, code), 0) + 1
    if trouble:
        wrong += 1
        print("FAILED:", trouble)
    elif o.verbose:
        print(name, fault, code)
trial.end()
print(f"{len(chosen)} of {len(plan)} refused writes, {time.time() - began:.0f} s: "
      + ", ".join(f"{name} ends {code}: {n}" for (name, code), n in sorted(ends.items(), key=str)))
sys.exit(wrong > 0)

#!/usr/bin/env python3
"""Make one system call after the other fail, or kill the process at it, and look what is left.

usage: faults.py HUREN NETWORK WORK MESSAGES [--scenario NAME]... [--every K --offset O] [--jobs J]

NETWORK is a folder of tests/e2e/lib/small_network.sh; `inject` (tests/inject) lies beside HUREN.
For each scenario the calls of all threads and children are listed once; then the command is run
again for each call after the home was touched, on a fresh home:
  kill      SIGKILL as the call begins, where it may change a file that is there (what a call
            left that made one is seen by the kill at the next)
  error     it fails, with what such a call fails with (EIO, ENOSPC, EMFILE, ENOMEM, ECONNRESET)
  short     a write takes the first half and says so
  torn      a write takes the first half, then SIGKILL
After each: huren audit verify finds nothing; what was acknowledged is there; the same command
again succeeds, and everything is there once.  Counted are the faults that really hit; that
almost none misses is checked, too.
"""
import argparse
import concurrent.futures
import os
import shutil
import signal
import subprocess
import sys
import time

import trial
from trial import LIMIT_S, SCENARIOS, Wrong

parser = argparse.ArgumentParser()
parser.add_argument("huren")
parser.add_argument("network")
parser.add_argument("work")
parser.add_argument("messages")
parser.add_argument("--scenario", action="append")
parser.add_argument("--every", type=int, default=1)
parser.add_argument("--offset", type=int, default=0)
parser.add_argument("--jobs", type=int, default=2)
parser.add_argument("--only", nargs=3, action="append", metavar=("FAULT", "CALL", "N"), help="no other, to look at one again")
parser.add_argument("--verbose", action="store_true")
o = parser.parse_args()
WRITES = ("write", "pwrite64", "writev")
CHANGES = WRITES + ("fsync", "fdatasync", "msync", "rename", "renameat", "ftruncate", "fallocate", "unlink",
                    "unlinkat", "rmdir", "mkdir", "mkdirat", "chmod", "fchmod", "link", "linkat")
ROOM = WRITES + ("openat", "fsync", "fdatasync", "msync", "rename", "renameat", "ftruncate", "fallocate",
                 "mkdir", "mkdirat", "link", "linkat")
DESCRIPTORS = ("openat", "dup2", "pipe2", "socket", "accept4")
PEER = ("connect", "sendmsg", "sendto", "readv", "writev")
# sodium aborts without randomness, before anything is done with it
LEFT_ALONE = ("getrandom",)


def faults_of(call):
    """What is tried at each call of this name."""
    if call in LEFT_ALONE:
        return []
    found = ["kill"] if call in CHANGES else []
    found += ["error=ENOMEM"] if call == "mmap" else ["error=EIO"]
    found += ["error=ENOSPC"] if call in ROOM else []
    found += ["error=EMFILE"] if call in DESCRIPTORS else []
    found += ["error=ECONNRESET"] if call in PEER else []
    return found + (["short", "torn"] if call in WRITES else [])


inject = os.path.join(os.path.dirname(o.huren), "inject")
trial.setup(o)

# ---- one run ------------------------------------------------------------------------------


def traced(scenario, home, fault):
    """Run the command under inject; returns exit code (128 + signal), output and inject's log."""
    log = home + ".calls"
    args = [inject, *fault, log, o.huren, "--home", home, *scenario.command(home)]
    out = open(home + ".out", "w+b")
    err = open(home + ".err", "w+b")
    p = subprocess.Popen(args, stdout=out, stderr=err, stdin=subprocess.DEVNULL)
    end = time.time() + LIMIT_S
    if hasattr(scenario, "until"):
        started = time.time()
        while p.poll() is None and time.time() < started + 15:
            try:
                if scenario.until(home):
                    break
            except (Wrong, subprocess.TimeoutExpired):
                pass
            time.sleep(0.15)
        for pid in children(p.pid):
            os.kill(pid, signal.SIGTERM)
    try:
        p.wait(max(1, end - time.time()))
    except subprocess.TimeoutExpired:
        for pid in children(p.pid):
            os.kill(pid, signal.SIGKILL)
        p.kill()
        p.wait()
        raise Wrong("it hangs: " + open(home + ".err", errors="replace").read()[-300:])
    finally:
        out.seek(0)
        err.seek(0)
        text, errors = out.read().decode(errors="replace"), err.read().decode(errors="replace")
        out.close()
        err.close()
    if p.returncode == 125:
        raise Wrong(f"inject itself: {errors[-300:]}")
    return p.returncode, text, errors, open(log, errors="replace").read().splitlines()


def children(pid):
    try:
        return [int(x) for x in open(f"/proc/{pid}/task/{pid}/children").read().split()]
    except OSError:
        return []


def count_calls(scenario, name):
    """Of each call: its first number after the home was touched, and the last."""
    home = f"{o.work}/{name}-count"
    shutil.rmtree(home, ignore_errors=True)
    scenario.prepare(home)
    code, out, err, log = traced(scenario, home, ["list"])
    if code not in scenario.good:
        raise Wrong(f"{name}: without a fault: exit {code}: {out[-300:]} {err[-300:]}")
    scenario.whole, scenario.killed, scenario.err = True, False, err
    scenario.done(home, out)
    total, first, opened = {}, {}, False
    for line in log:
        call, _, path = line.split(" ")[:3]
        if not opened and any(path.startswith(x) for x in (home, *scenario.touches())):
            opened = True
            first = dict(total)
        total[call] = total.get(call, 0) + 1
    return {c: (first.get(c, 0) + 1, n) for c, n in total.items() if n > first.get(c, 0)}


def one(name, call, how, n, number):
    """One run: its exit code, whether the fault hit, what was wrong."""
    scenario = SCENARIOS[name]()
    home = f"{o.work}/{name}-{number}"
    hit = "missed"
    try:
        scenario.prepare(home)
        code, out, err, log = traced(scenario, home, [how, call, str(n)])
        hit = log[0].split(" ")[0] if log else hit
        scenario.killed = hit == "fired" and how in ("kill", "torn")
        scenario.whole, scenario.err = code in scenario.good, err
        if code == 1 and not scenario.whole:
            raise Wrong(f"an input or output error is no refusal: exit 1: {err[-300:]}")
        if code > 128 and not scenario.killed:
            raise Wrong(f"it died of signal {code - 128}: {err[-200:]}")
        if scenario.killed and code != 128 + signal.SIGKILL and not scenario.child_may_die:
            raise Wrong(f"killed, it ended with {code}")
        scenario.sound(home)
        scenario.done(home, out)
        scenario.sound(home)
        return code, hit, None
    except (Wrong, subprocess.TimeoutExpired, OSError, ValueError) as e:
        return None, hit, f"{name}: {how} at {call} number {n}: {e}"
    finally:
        shutil.rmtree(home, ignore_errors=True)
        for end in (".out", ".err", ".calls"):
            if os.path.exists(home + end):
                os.remove(home + end)


def sweep(name):
    """All faults of one scenario, or the sample; how many were wrong, hit and missed."""
    scenario, began, wrong = SCENARIOS[name](), time.time(), 0
    calls = count_calls(scenario, name)
    for _ in range(scenario.counts - 1):  # what comes each time
        counted = count_calls(scenario, name)
        calls = {c: (max(f, counted[c][0]), min(l, counted[c][1])) for c, (f, l) in calls.items() if c in counted}
    plan = [(call, how, n) for call, (first, last) in calls.items() if call not in scenario.left_alone
            for n in range(first, last + 1) for how in faults_of(call)]
    chosen = [p for i, p in enumerate(plan) if i % o.every == o.offset % o.every]
    if o.only:
        chosen = [(call, how, int(n)) for how, call, n in o.only]
    ends, hits = {}, {"fired": 0, "missed": 0, "nothing": 0}
    # daemons listen at the port of their join file: one at a time
    with concurrent.futures.ThreadPoolExecutor(1 if name == "receive" else o.jobs) as pool:
        results = [pool.submit(one, name, *p, i) for i, p in enumerate(chosen)]
        for p, r in zip(chosen, results):
            code, hit, trouble = r.result()
            ends[code] = ends.get(code, 0) + 1
            hits[hit] += 1
            if trouble:
                wrong += 1
                if wrong <= 40:
                    print("FAILED:", trouble, flush=True)
            elif o.verbose:
                print(p, code, hit, flush=True)
    print(f"{name}: {hits['fired']} faults hit of {len(chosen)} tried ({len(plan)} at "
          f"{sum(b - a + 1 for a, b in calls.values())} calls; {hits['nothing']} writes of one byte are not to be cut, "
          f"{hits['missed']} calls did not come), ends {ends}, {wrong} failed, {time.time() - began:.0f} s", flush=True)
    if hits["missed"] > len(chosen) * scenario.misses:
        print(f"FAILED: {name}: too many calls did not come: not every call was tried")
        wrong += 1
    return wrong


total = 0
for name in o.scenario or list(SCENARIOS):
    try:
        total += sweep(name)
    except Wrong as e:
        print("FAILED:", e)
        total += 1
    finally:
        SCENARIOS[name]().end()
sys.exit(total > 0)

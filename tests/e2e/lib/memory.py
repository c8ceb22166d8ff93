#!/usr/bin/env python3
"""Make one allocation after the other fail, and look what is left.

usage: memory.py HUREN LIBRARY NETWORK WORK MESSAGES [--scenario NAME]... [--every K --offset O]
                 [--jobs J] [--after N]

LIBRARY is libfail_alloc.so (tests/inject/fail_alloc.c), NETWORK a folder of small_network.sh.
For each scenario the allocations of the command are counted once; then it is run again, on a
fresh home, for the first and the last allocation of each way through the program that leads to
one (after the N-th):
  once      it fails, and those after it succeed
  ever      none after it succeeds, either
After each: a command ends with 0, 1 or 2, and unless it says exactly what it says without a
fault, with 2 and the reason; huren audit verify finds nothing; what was acknowledged is there;
the same command again succeeds, and everything is there once.  A daemon that has started goes on
after one failure, takes what it lacks and answers.
"""
import argparse
import concurrent.futures
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import time

import messages
import trial
from trial import LIMIT_S, Wrong, fresh, made, run, sound

parser = argparse.ArgumentParser()
parser.add_argument("huren")
parser.add_argument("library")
parser.add_argument("network")
parser.add_argument("work")
parser.add_argument("messages")
parser.add_argument("--scenario", action="append")
parser.add_argument("--every", type=int, default=1)
parser.add_argument("--offset", type=int, default=0)
parser.add_argument("--jobs", type=int, default=2)
parser.add_argument("--after", type=int, default=0)
parser.add_argument("--verbose", action="store_true")
o = parser.parse_args()
trial.setup(o)
EVIDENCE = o.work + "/one.hre"
LOOKUP = ["--json", "lookup", "--patient", "RI:" + messages.card(1), "--item", "LAB.K"]

# ---- scenarios: those of trial.py, and commands that only read -------------------------------


class Receive(trial.Receive):
    """... and answers what it took"""

    started = reached = False
    silent = "stopped: the store failed"

    def until(self, home):
        self.started = self.started or os.path.exists(f"{home}/control")
        if not super().until(home):
            return False
        code, out, _ = run(home, *LOOKUP)
        self.reached = code == 1 and '"value":"4.10"' in out
        return self.reached


class Says(trial.Scenario):
    """a command that reads: it says all that it says without a fault, or that it could not"""

    args, expected = [], {}
    silent = "\"complete\":false"  # exit 2, and the reason stands in the answer itself

    def prepare(self, home):
        fresh(made("h1", ["charter", "adopt", *trial.documents], ["import", o.messages]), home)
        if not os.path.exists(EVIDENCE):
            run(home, *LOOKUP, "--evidence", EVIDENCE)
            fresh(made("h1", ["charter", "adopt", *trial.documents], ["import", o.messages]), home)

    def command(self, home):
        return self.args

    def words(self, home, out):
        """What it said, without the home's name and the moment."""
        out = re.sub(r'"(disk_free_bytes|free_bytes|used_bytes|used_percent|reserve_bytes|age_s)":\d+', "NOW", out.replace(home, "HOME"))
        return re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+(Z|[+-]\d\d:\d\d)|\b1[0-9]{9,12}\b", "TIME", out)

    def done(self, home, out):
        name = type(self).__name__
        if name not in Says.expected:  # the first run of all is one without a fault
            Says.expected[name] = self.code, self.words(home, out)
        code, words = Says.expected[name]
        if self.code == code and self.words(home, out) != words:
            raise Wrong(f"exit {code}, but it said: {self.words(home, out)[-600:]}\ninstead of: {words[-600:]}")
        if self.code not in (code, 2):
            raise Wrong(f"exit {self.code} instead of {code} or 2")


class Status(Says):
    args = ["--json", "status"]


class Audit(Says):
    args = ["--json", "audit", "verify"]


class Packs(Says):
    args = ["--json", "policy", "list"]


class Lookup(Says):
    args = LOOKUP


class Verify(Says):
    args = ["--json", "verify", EVIDENCE]


class Decide(Says):
    args = ["policy", "decide", o.work + "/input.json"]


SCENARIOS = {"publish": trial.Publish, "adopt": trial.Adopt, "receive": Receive, "backup": trial.Backup,
             "lookup": Lookup, "verify": Verify, "decide": Decide, "status": Status, "audit": Audit, "packs": Packs}
with open(o.work + "/input.json", "w") as f:
    json.dump({"pack": "hubei-2023", "at": "2026-03-02T10:00:00+08:00", "item": "LAB.K",
                   "issuer": {"code": "h1", "alliances": [{"id": "a", "kind": "other"}]},
                   "quality": {"rounds": [{"organiser": "national", "date": "2026-01-01", "passed": True}]},
                   "doctor": {"circumstances": [{"code": "HB23.OTHER", "note": "x"}]},
                   "result": {"examined_at": "2026-03-01T08:00:00+08:00", "marks": []}}, f)

# ---- one run ------------------------------------------------------------------------------


def started(scenario, home, *variables):
    """Run the command with variables of fail_alloc; returns exit code, output, errors."""
    args = ["env", f"LD_PRELOAD={o.library}", *variables, o.huren, "--home", home, *scenario.command(home)]
    with open(home + ".out", "wb") as out, open(home + ".err", "wb") as err:
        p = subprocess.Popen(args, stdout=out, stderr=err, stdin=subprocess.DEVNULL)
    if hasattr(scenario, "until"):
        end = time.time() + LIMIT_S / 2
        while p.poll() is None and time.time() < end:
            try:
                if scenario.until(home):
                    break
            except (Wrong, subprocess.TimeoutExpired):
                pass
            time.sleep(0.05)
        p.terminate()
    try:
        p.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        p.kill()
        p.wait()
        raise Wrong("it hangs: " + text_of(home + ".err")[-300:])
    return p.returncode, text_of(home + ".out"), text_of(home + ".err")


def text_of(path):
    return open(path, errors="replace").read() if os.path.exists(path) else ""


def plan_of(scenario, name):
    """The first and the last allocation of each way that leads to one."""
    home = f"{o.work}/{name}-count"
    scenario.prepare(home)
    code, out, err = started(scenario, home, f"HR_FAIL_WAYS={home}.ways")
    if code not in (0, 1):
        raise Wrong(f"{name}: without a fault: exit {code}: {out[-300:]} {err[-300:]}")
    scenario.whole, scenario.killed, scenario.code = True, False, code
    scenario.done(home, out)
    data = open(home + ".ways", "rb").read()
    ways = [data[i:i + 8] for i in range(0, len(data), 8)]
    last = {way: n for n, way in enumerate(ways, 1)}
    first = {way: n for n, way in reversed([*enumerate(ways, 1)])}
    plan = [(how, n) for n in sorted({*first.values(), *last.values()}) for how in ("once", "ever") if n > o.after]
    return plan, f"of {len(ways)} allocations on {len(first)} ways"


def content(home):
    """What stands in a home, but for its locks."""
    return {p: open(p, "rb").read() for p in glob.glob(f"{home}/**", recursive=True)
            if os.path.isfile(p) and os.path.basename(p) not in ("lock", "lock.mdb", "owner")}


def one(name, how, n, number):
    """One run with a failed allocation."""
    scenario = SCENARIOS[name]()
    home = f"{o.work}/{name}-{number}"
    place = home + ".place"
    try:
        scenario.prepare(home)
        before = content(home)
        code, out, err = started(scenario, home, f"HR_FAIL_ALLOC={n}{'+' * (how == 'ever')}",
                                 f"HR_FAIL_TRACE={place}")
        if code not in (0, 1, 2):
            raise Wrong(f"it crashed: {code}: {err[-300:]}")
        if code == 1 and not isinstance(scenario, Says):
            raise Wrong(f"want of memory is no refusal: exit 1: {out[-300:]}")
        if how == "once" and getattr(scenario, "started", False) and (code != 0 or not scenario.reached):
            raise Wrong(f"one failed allocation and it does not go on: exit {code}: {err[-300:]}")
        if code == 2 and not re.search(r"^huren: [a-z ]+: \S", err, re.M) and not re.search(
                getattr(scenario, "silent", "could NOT be stored"), out + err):
            raise Wrong(f"exit 2 without a word: {err[-300:]} {out[-300:]}")
        if code == 2 and content(home) == before and not os.path.exists(home + ".backup"):
            if re.search(r": (published|adopted)$", out, re.M):
                raise Wrong(f"nothing was written, but it said: {out[-300:]}")
            return code, None  # it did nothing, and says so
        sound(home)
        # who has no memory cannot even read the folder that is to be cleared away
        scenario.whole, scenario.killed, scenario.code = code == 0, how == "ever", code
        scenario.done(home, out)
        return code, None
    except (Wrong, subprocess.TimeoutExpired, OSError, ValueError) as e:
        return None, f"{name}: allocation {n} failed ({how}): {e}\n{text_of(place)}"
    finally:
        shutil.rmtree(home, ignore_errors=True)
        for end in (".out", ".err", ".place"):
            if os.path.exists(home + end):
                os.remove(home + end)


wrong = 0
for name in o.scenario or list(SCENARIOS):
    scenario = SCENARIOS[name]()
    began = time.time()
    try:
        plan, of = plan_of(scenario, name)
    except Wrong as e:
        print("FAILED:", e, flush=True)
        scenario.end()
        sys.exit(1)
    # daemons listen at the port of their join file: one at a time, and of a sample fewer
    jobs, every = (1, 1 if o.every == 1 else 4 * o.every) if name == "receive" else (o.jobs, o.every)
    chosen = [p for i, p in enumerate(plan) if i % every == o.offset % every]
    ends = {}
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = [pool.submit(one, name, *p, i) for i, p in enumerate(chosen)]
        for p, r in zip(chosen, results):
            code, trouble = r.result()
            ends[code] = ends.get(code, 0) + 1
            if trouble:
                wrong += 1
                if wrong <= 40:
                    print("FAILED:", trouble, flush=True)
            elif o.verbose:
                print(p, code)
    scenario.end()
    print(f"{name}: {len(chosen)} of {len(plan)} faults {of}, ends {ends}, {time.time() - began:.0f} s", flush=True)
sys.exit(wrong > 0)

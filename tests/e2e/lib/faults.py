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
import glob
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import messages  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("huren")
parser.add_argument("network")
parser.add_argument("work")
parser.add_argument("messages")
parser.add_argument("--scenario", action="append")
parser.add_argument("--every", type=int, default=1)
parser.add_argument("--offset", type=int, default=0)
parser.add_argument("--jobs", type=int, default=2)
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


LIMIT_S = 60
REPORTS = open(o.messages, "rb").read().count(b"MSH|")
inject = os.path.join(os.path.dirname(o.huren), "inject")
documents = sorted(glob.glob(f"{o.network}/charter/*.charter"))


def run(home, *args, limit=LIMIT_S):
    p = subprocess.run([o.huren, "--home", home, *args], capture_output=True, timeout=limit)
    return p.returncode, p.stdout.decode(errors="replace"), p.stderr.decode(errors="replace")


def must(home, *args):
    code, out, err = run(home, *args)
    if code != 0:
        raise Wrong(f"{' '.join(args)}: exit {code}: {out.strip()[:200]} {err.strip()[:300]}")
    return out


class Wrong(Exception):
    pass


def own_copy(home):
    """Make a copy's HOME/last-signed say what it would say had this home been made here: a copy
    is no clean start (it might be a clone), and would not sign."""
    path = f"{home}/last-signed"
    if not os.path.exists(path):
        return
    data = os.stat(f"{home}/store/data.mdb")
    lines = []
    for line in open(path).read().splitlines():
        if line.startswith("data "):
            line = f"data {data.st_dev} {data.st_ino}"
        elif line.startswith("written "):
            line = f"written {int(time.time() * 1000)}"
        if not line.startswith("sum "):
            lines.append(line + "\n")
    text = "".join(lines)
    with open(path, "w") as f:
        f.write(text + f"sum {hashlib.sha256(text.encode()).hexdigest()}\n")


def fresh(which, home):
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(f"{o.network}/{which}", home)
    own_copy(home)


def made(which, *commands):
    """The home `which` after these commands; made once."""
    name = which + "-" + "-".join(c[0] for c in commands)
    home = f"{o.network}/{name}"
    if not os.path.exists(home):
        fresh(which, home)
        for c in commands:
            must(home, *c)
    return name


def status(home):
    return json.loads(must(home, "--json", "status"))["networks"][0]


def log_size(home, of):
    return next((l["size"] for l in status(home)["logs"] if l["origin"].endswith(of)), 0)


# ---- scenarios: prepare a home, the command, what must hold after it --------------------


class Scenario:
    """What they share: a home that is there before and after."""

    misses = 0.0  # how many of the calls may not come again: none, one thread does the work
    child_may_die = False
    good = 0
    counts = 1  # how often its calls are counted

    def touches(self):
        return ()

    def sound(self, home):
        code, out, err = run(home, "audit", "verify")
        if code != 0:
            raise Wrong(f"audit verify: exit {code}: {out.strip()[:500]} {err.strip()[:200]}")

    def end(self):
        pass


class Publish(Scenario):
    """huren import of a file, in a home without a daemon"""

    def prepare(self, home):
        fresh(made("h1", ["charter", "adopt", *documents]), home)

    def command(self, home):
        return ["import", o.messages]

    def done(self, home, out):
        acked = len(re.findall(r": published$", out, re.M))
        again = must(home, "import", o.messages)
        there = again.count("there already") - 1  # the summary says it, too
        published = len(re.findall(r": published$", again, re.M))
        if there < acked:
            raise Wrong(f"{acked} reports were acknowledged, {there} are there")
        if there + published != REPORTS or log_size(home, "h1/pub") != REPORTS:
            raise Wrong(f"{there} there already, {published} published, "
                        f"log of {log_size(home, 'h1/pub')}, expected {REPORTS}")


class Adopt(Scenario):
    """huren charter adopt of all four documents"""

    def prepare(self, home):
        fresh("h2", home)

    def command(self, home):
        return ["charter", "adopt", *documents]

    def done(self, home, out):
        acked = set(re.findall(r"^(\w+) 1 of \S+: adopted$", out, re.M))
        before = {d["kind"] if isinstance(d, dict) else d for d in status(home)["charter"]}
        if not acked <= before:
            raise Wrong(f"adopted were {sorted(acked)}, there are {sorted(before)}")
        must(home, *self.command(home))
        if len(status(home)["charter"]) != 4:
            raise Wrong(f"not all documents are there: {status(home)['charter']}")
        adopted = [l for l in status(home)["logs"] if "/h2/exch/" in l["origin"]]
        if len(adopted) != 1 or adopted[0]["size"] != 4:
            raise Wrong(f"exch logs after adoption: {adopted}")


class Receive(Scenario):
    """a daemon that takes the entries and records of another"""

    author = None
    counts = 4
    misses = 0.1  # threads, timers and a peer: no two runs are the same

    def prepare(self, home):
        if Receive.author is None:
            Receive.author = f"{o.work}/author"
            fresh(made("h1", ["charter", "adopt", *documents], ["import", o.messages]), Receive.author)
            Receive.daemon = subprocess.Popen([o.huren, "--home", Receive.author, "serve"],
                                           stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        fresh(made("h2", ["charter", "adopt", *documents]), home)

    def command(self, home):
        return ["serve"]

    def until(self, home):
        if not os.path.exists(f"{home}/control"):
            return False  # asking would own the home
        code, out, _ = run(home, "--json", "status")
        if code != 0:
            return False
        s = json.loads(out)["networks"][0]
        size = next((l["size"] for l in s["logs"] if l["origin"].endswith("h1/pub")), 0)
        return size == REPORTS

    def done(self, home, out):
        if os.path.exists(f"{home}/control"):
            os.remove(f"{home}/control")
        p = subprocess.Popen([o.huren, "--home", home, "serve"], stderr=subprocess.PIPE,
                             stdout=subprocess.DEVNULL)
        end = time.time() + LIMIT_S
        while not self.until(home):
            if p.poll() is not None or time.time() > end:
                p.kill()
                raise Wrong("the next daemon does not take what is missing: " +
                            p.stderr.read().decode(errors="replace")[-300:])
            time.sleep(0.05)
        p.send_signal(signal.SIGTERM)
        if p.wait(LIMIT_S) != 0:
            raise Wrong(f"the next daemon ended with {p.returncode}")
        p.stderr.close()
        counts = json.loads(must(home, "--json", "audit", "verify"))["counts"]
        if log_size(home, "h1/pub") != REPORTS:
            raise Wrong(f"after it: {counts}")

    def end(self):
        if Receive.author:
            Receive.daemon.terminate()
            Receive.daemon.wait(30)
            Receive.author = None


class Backup(Scenario):
    """huren backup to a new folder"""

    child_may_die = True  # it looks at the copy

    def prepare(self, home):
        fresh(made("h1", ["charter", "adopt", *documents], ["import", o.messages]), home)

    def command(self, home):
        return ["backup", home + ".backup"]

    def done(self, home, out):
        target = home + ".backup"
        code, again, err = run(home, "audit", "verify", *([target] if self.whole else []))
        if code != 0:
            raise Wrong(f"after a backup that said it was done: {again} {err}")
        left = glob.glob(target + "*") if not self.whole and not self.killed else []
        if left:
            raise Wrong(f"a backup that failed left {left}")
        for path in glob.glob(target + "*"):  # of one that was killed
            shutil.rmtree(path, ignore_errors=True)
        shutil.rmtree(target, ignore_errors=True)
        if os.path.exists(target):
            os.remove(target)
        must(home, *self.command(home))
        if log_size(home, "h1/pub") != REPORTS:
            raise Wrong("the log has another size")
        shutil.rmtree(target, ignore_errors=True)


class Restore(Scenario):
    """huren restore of a backup into a new home"""

    child_may_die = True

    def backup(self):
        return f"{o.network}/the-backup"

    def touches(self):
        return (self.backup(),)

    def prepare(self, home):
        if not os.path.exists(self.backup()):
            must(f"{o.network}/{made('h1', ['charter', 'adopt', *documents], ['import', o.messages])}", "backup", self.backup())
        shutil.rmtree(home, ignore_errors=True)

    def command(self, home):
        return ["restore", self.backup()]

    def sound(self, home):
        if os.path.exists(home + "/config.yaml"):  # else it is no home, and nothing opens it
            super().sound(home)

    def done(self, home, out):
        code, said, err = run(home, *self.command(home))
        if self.whole:
            if code != 2 or "is a home already" not in err:
                raise Wrong(f"after a restore that said it was done: {code} {said} {err}")
        elif not self.killed and code != 0 and not os.path.exists(home + "/config.yaml"):
            raise Wrong(f"after a restore that failed: {code} {said} {err}")
        elif code != 0 and not os.path.exists(home + "/config.yaml"):
            shutil.rmtree(home)  # what was killed is not taken for an empty folder
            must(home, *self.command(home))
        self.sound(home)
        if log_size(home, "h1/pub") != REPORTS:
            raise Wrong(f"the log has {log_size(home, 'h1/pub')} entries")


class Lookup(Scenario):
    """huren lookup, whose question and decision stand in the exchange log"""

    grows = None
    good = 1  # nothing here is to be recognized

    def prepare(self, home):
        fresh(made("h1", ["charter", "adopt", *documents], ["import", o.messages]), home)

    def command(self, home):
        return ["--json", "lookup", "--patient", "RI:" + messages.card(1), "--item", "LAB.K"]

    def exch(self, home):
        s = status(home)
        return next(l["size"] for l in s["logs"] if l["origin"] == s["exch"])

    def done(self, home, out):
        before = self.exch(home)
        code, said, err = run(home, *self.command(home))
        if code != self.good:
            raise Wrong(f"the next look-up: exit {code}: {err[-300:]}")
        answer = json.loads(said)
        if [r["value"] for r in answer["results"]] != ["4.10"]:
            raise Wrong(f"the next look-up says {answer['results']}")
        grown = self.exch(home) - before
        if Lookup.grows is None:
            Lookup.grows, Lookup.before = grown, before - grown
        if grown != Lookup.grows or grown < 1:
            raise Wrong(f"a look-up makes {grown} entries, expected {Lookup.grows}")
        if self.whole and '"value"' in out and before < Lookup.before + grown:
            raise Wrong(f"it answered, and its exchange log has {before} entries, expected {Lookup.before + grown}")


SCENARIOS = {"publish": Publish, "adopt": Adopt, "receive": Receive, "backup": Backup, "restore": Restore,
             "lookup": Lookup}

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
    if code != scenario.good:
        raise Wrong(f"{name}: without a fault: exit {code}: {out[-300:]} {err[-300:]}")
    scenario.whole, scenario.killed = True, False
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
        scenario.whole = code == scenario.good
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
    plan = [(call, how, n) for call, (first, last) in calls.items()
            for n in range(first, last + 1) for how in faults_of(call)]
    chosen = [p for i, p in enumerate(plan) if i % o.every == o.offset % o.every]
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

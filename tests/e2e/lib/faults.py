#!/usr/bin/env python3
"""Make one system call after the other fail, or kill the process at it, and look what is left.

usage: faults.py HUREN NETWORK WORK MESSAGES [--scenario NAME]... [--every K --offset O] [--jobs J]

NETWORK is a folder of tests/e2e/lib/small_network.sh.  For each scenario the command is traced
once; then it is run again for each call of interest after the home was opened, on a fresh home:
  kill      SIGKILL as the call begins
  eio       the call fails with EIO (mmap: ENOMEM)
  enospc    the call fails with ENOSPC
  short     a write says that it wrote one byte, and wrote none
After each: huren audit verify finds nothing; what was acknowledged is there; the same command
again succeeds, and everything is there once.
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
CALLS = ["openat", "write", "pwrite64", "writev", "fsync", "fdatasync", "rename", "renameat",
         "ftruncate", "close", "mmap", "msync"]
WRITES = ("write", "pwrite64", "writev")
ENOSPC = WRITES + ("openat", "fsync", "fdatasync", "rename", "renameat", "ftruncate")
LIMIT_S = 60
REPORTS = open(o.messages, "rb").read().count(b"MSH|")
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


def sound(home):
    code, out, err = run(home, "audit", "verify")
    if code != 0:
        raise Wrong(f"audit verify: exit {code}: {out.strip()[:500]} {err.strip()[:200]}")


def status(home):
    return json.loads(must(home, "--json", "status"))["networks"][0]


def log_size(home, of):
    return next((l["size"] for l in status(home)["logs"] if l["origin"].endswith(of)), 0)


# ---- scenarios: prepare a home, the command, what must hold after it --------------------


class Publish:
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


class Adopt:
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


class Receive:
    """a daemon that takes the entries and records of another"""

    author = None

    def prepare(self, home):
        if Receive.author is None:
            Receive.author = f"{o.work}/author"
            fresh(made("h1", ["charter", "adopt", *documents], ["import", o.messages]), Receive.author)
            self.daemon = subprocess.Popen([o.huren, "--home", Receive.author, "serve"],
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
            self.daemon.terminate()
            self.daemon.wait(30)


class Backup:
    """huren backup to a new folder"""

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


SCENARIOS = {"publish": Publish, "adopt": Adopt, "receive": Receive, "backup": Backup}

# ---- one run ------------------------------------------------------------------------------


def traced(scenario, home, strace):
    """Run the command under strace; returns exit code (negative: signal), output."""
    args = ["strace", "-f", "-qq", *strace, o.huren, "--home", home, *scenario.command(home)]
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
            time.sleep(0.05)
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
    return p.returncode, text, errors


def children(pid):
    try:
        return [int(x) for x in open(f"/proc/{pid}/task/{pid}/children").read().split()]
    except OSError:
        return []


def count_calls(scenario, name):
    """How often each call is made, and how often before the home is touched."""
    home = f"{o.work}/{name}-count"
    scenario.prepare(home)
    log = home + ".trace"
    code, out, err = traced(scenario, home, ["-o", log, "-e", "trace=" + ",".join(CALLS)])
    if code != 0:
        raise Wrong(f"{name}: without a fault: exit {code}: {out[-300:]} {err[-300:]}")
    scenario.whole, scenario.killed = True, False
    scenario.done(home, out)
    total, first, opened = {}, {}, False
    for line in open(log, errors="replace"):
        m = re.match(r"\d+ +(\w+)\(", line)
        if not m:
            continue
        call = m.group(1)
        if not opened and home in line:
            opened = True
            first = dict(total)
        total[call] = total.get(call, 0) + 1
    return {c: (first.get(c, 0) + 1, n) for c, n in total.items() if n > first.get(c, 0)}


def one(name, call, how, n, number):
    scenario = SCENARIOS[name]()
    home = f"{o.work}/{name}-{number}"
    inject = {"kill": "signal=KILL", "eio": "error=ENOMEM" if call == "mmap" else "error=EIO",
              "enospc": "error=ENOSPC", "short": "retval=1"}[how]
    try:
        scenario.prepare(home)
        code, out, err = traced(scenario, home, ["-o", "/dev/null", "-e", f"trace={call}", "-e",
                                                 f"inject={call}:{inject}:when={n}"])
        # nng 1.5.2 faults when it cannot start its threads: nothing was done by then
        if call != "mmap" and code in (-signal.SIGSEGV, -signal.SIGBUS, 128 + signal.SIGSEGV, 128 + signal.SIGBUS):
            raise Wrong(f"it crashed: {code}: {err[-200:]}")
        sound(home)
        scenario.whole, scenario.killed = code == 0, code not in (0, 1, 2)
        scenario.done(home, out)
        sound(home)
        return code, None
    except (Wrong, subprocess.TimeoutExpired, OSError, ValueError) as e:
        return None, f"{name}: {how} at {call} number {n}: {e}"
    finally:
        shutil.rmtree(home, ignore_errors=True)
        for end in (".out", ".err"):
            if os.path.exists(home + end):
                os.remove(home + end)


wrong = 0
for name in o.scenario or list(SCENARIOS):
    scenario = SCENARIOS[name]()
    began = time.time()
    try:
        calls = count_calls(scenario, name)
    except Wrong as e:
        print("FAILED:", e)
        if hasattr(scenario, "end"):
            scenario.end()
        sys.exit(1)
    plan = []
    for call in CALLS:
        first, last = calls.get(call, (1, 0))
        for n in range(first, last + 1):
            plan.append((call, "kill", n))
            if call != "mmap":  # nng 1.5.2 hangs or faults when its threads get no stack
                plan.append((call, "eio", n))
            if call in ENOSPC:
                plan.append((call, "enospc", n))
            if call in WRITES:
                plan.append((call, "short", n))
    # daemons listen at the port of their join file: one at a time
    jobs = 1 if name == "receive" else o.jobs
    chosen = [p for i, p in enumerate(plan) if i % o.every == o.offset % o.every]
    ends = {}
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = [pool.submit(one, name, *p, i) for i, p in enumerate(chosen)]
        for p, r in zip(chosen, results):
            code, trouble = r.result()
            ends[code] = ends.get(code, 0) + 1
            if trouble:
                wrong += 1
                if wrong <= 40:
                    print("FAILED:", trouble)
            elif o.verbose:
                print(p, code)
    if hasattr(scenario, "end"):
        scenario.end()
    print(f"{name}: {len(chosen)} of {len(plan)} faults at {sum(b - a + 1 for a, b in calls.values())} "
          f"calls, ends {ends}, {time.time() - began:.0f} s")
sys.exit(wrong > 0)

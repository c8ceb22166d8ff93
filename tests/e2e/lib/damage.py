#!/usr/bin/env python3
"""Damage a copy of a home in many ways, and look whether it is found.

usage: damage.py HUREN HOME WORK CARD [--seed N] [--flips N] [--pages N] [--cuts N] [--serve-each N]

HOME is of a node that does not run.  After each damage, on a fresh copy:
  huren audit verify      must not die, and must find it (exit 1), unless nothing of it can be
                          read by any look-up (free pages, unused room): then what follows must
                          be as before
  huren lookup, log prove must not die, and answer as before or not at all
  huren serve             (each Nth) must not die: it serves, or says in words that it does not
Prints one line of counts; exit 1 if anything was otherwise.
"""
import argparse
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("huren")
parser.add_argument("home")
parser.add_argument("work")
parser.add_argument("card")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--flips", type=int, default=500)
parser.add_argument("--pages", type=int, default=100)
parser.add_argument("--cuts", type=int, default=50)
parser.add_argument("--serve-each", type=int, default=20)
o = parser.parse_args()
rng = random.Random(o.seed)
copy = os.path.join(o.work, "damaged")
whole = open(os.path.join(o.home, "store/data.mdb"), "rb").read()
PAGE = 4096
failed = 0


def fail(text, *outputs):
    global failed
    failed += 1
    if failed <= 20:
        print("FAILED:", text)
        for out in outputs:
            print("   ", out.strip()[:600].replace("\n", "\n    "))


def run(*args, timeout=60):
    p = subprocess.run([o.huren, "--home", copy, *args], capture_output=True, timeout=timeout)
    return p.returncode, p.stdout.decode(errors="replace"), p.stderr.decode(errors="replace")


def fresh(data):
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(o.home, copy, ignore=shutil.ignore_patterns("control", "serve.*", "data.mdb"))
    with open(os.path.join(copy, "store/data.mdb"), "wb") as f:
        f.write(data)


def facts(text):
    """What a look-up says of results, without what changes with time."""
    found = []
    for line in text.splitlines():
        try:
            j = json.loads(line)
        except ValueError:
            return None
        for row in j.get("results", j.get("rows", [])) or []:
            found.append({k: row.get(k) for k in ("origin", "leaf", "index", "item", "value", "unit",
                                                  "status", "state", "examined_at", "institution")})
    return json.dumps(found, sort_keys=True)


def unreadable(text):
    """Whether a look-up says that the record is damaged here."""
    return any(row.get("status") == "unreadable" and row.get("value") is None
               for line in text.splitlines() for row in json.loads(line).get("results", []))


def ask():
    return [run("--json", "lookup", "--patient", "RI:" + o.card, "--item", "LAB.K"),
            run("log", "prove", "pub", "3")]


fresh(whole)
code, out, err = run("audit", "verify")
if code != 0:
    fail("the whole home is not sound", out, err)
before = ask()
reference = facts(before[0][1])
if before[0][0] not in (0, 1) or reference in (None, "[]") or before[1][0] != 0:
    fail("the whole home does not answer", *[b[1] + b[2] for b in before])
    sys.exit(1)

counts = {"found": 0, "harmless": 0, "refused": 0, "answered": 0, "served": 0, "serve_refused": 0}


def serve(name):
    p = subprocess.Popen([o.huren, "--home", copy, "serve"], stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE)
    os.set_blocking(p.stderr.fileno(), False)
    said = b""
    end = time.time() + 30
    while time.time() < end and p.poll() is None and b" ready\n" not in said:
        said += p.stderr.read() or b""
        time.sleep(0.01)
    if p.poll() is None:
        code, out, err = run("--json", "lookup", "--patient", "RI:" + o.card, "--item", "LAB.K")
        if code in (0, 1) and facts(out) != reference and not unreadable(out):
            fail(f"{name}: the daemon answers otherwise", out, err)
        if p.poll() is not None and p.returncode < 0:
            fail(f"{name}: the daemon died of signal {-p.returncode}", said.decode(errors="replace"))
        p.send_signal(signal.SIGTERM)
        try:
            p.wait(30)
        except subprocess.TimeoutExpired:
            p.kill()
            fail(f"{name}: the daemon does not end")
        counts["served"] += 1
    else:
        said += p.stderr.read() or b""
        counts["serve_refused"] += 1
        if p.returncode != 2 or not said.strip():
            fail(f"{name}: serve ended with {p.returncode}", said.decode(errors="replace"))
    p.stderr.close()


def one(name, data, number):
    if data == whole:
        return
    fresh(data)
    code, out, err = run("audit", "verify")
    if code not in (0, 1):
        fail(f"{name}: audit verify ended with {code}", out, err)
    if code == 1 and "damage: " not in out:
        fail(f"{name}: audit verify names no place", out, err)
    harmless = code == 0
    counts["harmless" if harmless else "found"] += 1
    answers = ask()
    for (c, so, se), (wc, wo, _), what in zip(answers, before, ("lookup", "log prove")):
        if c < 0 or c > 2:
            fail(f"{name}: {what} died: {c}", so, se)
        elif c == 2:
            counts["refused"] += 1
            if not se.strip():
                fail(f"{name}: {what} does not say why")
            if harmless:
                fail(f"{name}: {what} is refused, but audit verify found nothing", se, out)
        elif what == "lookup" and not harmless and unreadable(so):
            counts["refused"] += 1
        elif what == "lookup" and (facts(so) != reference):
            fail(f"{name}: the look-up answers otherwise", so, se)
        elif what != "lookup" and (c, so) != (wc, wo):
            fail(f"{name}: {what} answers otherwise (exit {c})", so, se)
        else:
            counts["answered"] += 1
    if number % o.serve_each == 0:
        shutil.rmtree(copy)
        fresh(data)
        serve(name)


number = 0
for i in range(o.flips):
    number += 1
    at, bit = rng.randrange(len(whole)), rng.randrange(8)
    data = bytearray(whole)
    data[at] ^= 1 << bit
    one(f"bit {bit} of byte {at} flipped", bytes(data), number)
for i in range(o.pages):
    number += 1
    page = rng.randrange(len(whole) // PAGE)
    data = bytearray(whole)
    how = i % 3
    if how == 0:  # zeroed
        data[page * PAGE:(page + 1) * PAGE] = bytes(PAGE)
    elif how == 1:  # torn: half of it is another page
        other = rng.randrange(len(whole) // PAGE)
        data[page * PAGE + 2048:(page + 1) * PAGE] = whole[other * PAGE + 2048:(other + 1) * PAGE]
    else:  # noise
        data[page * PAGE:(page + 1) * PAGE] = rng.randbytes(PAGE)
    one(f"page {page} {('zeroed', 'torn', 'noise')[how]}", bytes(data), number)
for i in range(o.cuts):
    number += 1
    at = rng.randrange(len(whole)) if i % 2 else rng.randrange(len(whole) // PAGE) * PAGE
    one(f"cut to {at} bytes", whole[:at], number)
shutil.rmtree(copy, ignore_errors=True)
print(f"{number} damages:", ", ".join(f"{v} {k}" for k, v in counts.items()) + f", {failed} failures")
sys.exit(failed > 0)

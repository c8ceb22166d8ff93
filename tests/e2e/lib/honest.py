#!/usr/bin/env python3
"""Look up again and again as a doctor would, one at a time, and tell how long it took.

usage: honest.py HUREN HOME HOLDER FILE PATIENT...

Until SIGTERM; each look-up is a line of FILE: seconds since the epoch at its beginning,
milliseconds, 1 if HOLDER answered with a result."""
import json
import signal
import subprocess
import sys
import time

huren, home, holder, path, *patients = sys.argv[1:]
over = False


def stop(*_):
    global over
    over = True


signal.signal(signal.SIGTERM, stop)
with open(path, "w", buffering=1) as out:
    n = 0
    while not over:
        begun = time.time()
        p = subprocess.run([huren, "--home", home, "--json", "lookup", "--patient", patients[n % len(patients)], "--item", "LAB.K"],
                           capture_output=True, text=True)
        ms = 1000 * (time.time() - begun)
        try:
            o = json.loads(p.stdout)
            good = o["silent"] == [] and any(r["issuer"] == holder and r["value"] for r in o["results"])
        except (ValueError, KeyError):
            good = False
        out.write("%.3f %.1f %d\n" % (begun, ms, good))
        n += 1

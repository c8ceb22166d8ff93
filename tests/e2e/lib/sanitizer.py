#!/usr/bin/env python3
"""Print what the sanitizers found in the processes of a scenario; exit 1 if anything.

usage: sanitizer.py FILE...      (what *SAN_OPTIONS log_path= wrote)

One kind of report is counted and left out: a data race of ThreadSanitizer in which both accesses
are made by libnng itself.  Debian's library is not instrumented: ThreadSanitizer sees the mutexes
that it locks and the memory that it frees, but not the atomic counts by which it hands an object
from one of its threads to another.  A race with a single access from our code is shown.
"""
import re
import sys

ACCESS = re.compile(r"^  (?:Previous )?(?:atomic )?(?:read|write) of size", re.I)
FRAME = re.compile(r"^    #\d+ (\S+) (\S+) (.*)$")


def within_nng(report):
    """Whether all accesses are calls of the C library made by libnng, or of libnng."""
    makers, looking = [], False
    for line in report.splitlines():
        if ACCESS.match(line):
            makers.append(None)
            looking = True
        frame = FRAME.match(line)
        if looking and frame and not (frame[2] == "<null>" and frame[1] != "<null>"):
            makers[-1] = frame[3]  # the first frame that is no interceptor
            looking = False
        if not line.strip():
            looking = False
    return len(makers) >= 2 and all(m is not None and "libnng.so" in m for m in makers)


left_out = found = 0
for path in sys.argv[1:]:
    text = re.sub(r"^ThreadSanitizer: reported \d+ warnings$", "", open(path, errors="replace").read(), flags=re.M)
    for report in re.split(r"^={18}$", text, flags=re.M):
        if "WARNING: ThreadSanitizer: data race" in report and within_nng(report):
            left_out += 1
        elif report.strip():
            found += 1
            print(report.strip()[:5000])
if left_out:
    print(f"{left_out} data races within libnng, which is not instrumented")
sys.exit(found > 0)

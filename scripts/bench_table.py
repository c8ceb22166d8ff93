#!/usr/bin/env python3
"""The table of scripts/bench.sh: median and range of the ratios of its rounds.

usage: bench_table.py FIGURES   lines "ROW WHO RATE [MEDIAN_US P99_US CPU_US]" in the order measured
"""
import collections
import statistics
import sys

NAMES = {
    "publish": "publish, batches of 10,000, index included",
    "insert_8": "publish one at a time, 8 clients",
    "insert_64": "publish one at a time, 64 clients",
    "lookup_1": "look-up, 1 in flight",
    "lookup_8": "look-up, 8 in flight",
    "lookup_64": "look-up, 64 in flight",
    "lookup_256": "look-up, 256 in flight",
}
GOALS = {
    ("publish", "PostgreSQL"): 1.25,
    ("insert_8", "PostgreSQL"): 1.3,
    ("insert_64", "PostgreSQL"): 1.3,
    ("lookup_1", "PostgreSQL"): 0.8,
    ("lookup_64", "PostgreSQL"): 2.0,
    ("lookup_256", "Redis"): 1.0,
}


def main():
    rounds = collections.defaultdict(list)
    extra = collections.defaultdict(list)
    for line in open(sys.argv[1], encoding="ascii"):
        row, who, *figures = line.split()
        rounds[row, who].append(float(figures[0]))
        extra[row, who].append([float(f) for f in figures[1:]])
    print(f"{'row':46} {'peer':11} {'ours /s':>9} {'theirs /s':>9}  ratio (range)        goal  p50 us  cpu us")
    for (row, who), theirs in rounds.items():
        if who in ("ours", "both"):
            continue
        mine = rounds[row, "ours"]
        ratios = [a / b for a, b in zip(mine, theirs)]
        if not ratios:
            continue
        more = [statistics.median(column) for column in zip(*extra[row, "ours"])]
        goal = GOALS.get((row, who))
        print(f"{NAMES[row]:46} {who:11} {statistics.median(mine):9.0f} {statistics.median(theirs):9.0f}"
              f"  {statistics.median(ratios):5.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
              f"{'':6} {goal if goal else '-':>5} {more[0]:7.0f} {more[2]:7.1f}")
    if ("entries", "both") in rounds:
        took = rounds["entries", "both"]
        ratio = [e[0] for e in extra["entries", "both"]]
        print(f"entries of a peer taken in and verified: {statistics.median(took):.2f} s ({min(took):.2f}-{max(took):.2f}; goal 4 "
              f"for 1,000,000), {statistics.median(ratio):.0f} times ({min(ratio):.0f}-{max(ratio):.0f}; goal 100) faster than as many signatures")


main()

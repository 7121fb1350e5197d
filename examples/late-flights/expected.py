#!/usr/bin/env python3
"""What late-flights should emit, computed the plain way: everything in memory, one pass, exact fractions.

    expected.py FLIGHTS.csv OUT_DIR [--threshold-minutes 30] [--alert-minutes 120]
        writes OUT_DIR/daily.jsonl and OUT_DIR/alerts.jsonl, sorted

    expected.py --check TESTDATA
        computes both again from TESTDATA/flights.csv for each folder TESTDATA/expected-THRESHOLD-ALERT and compares

It shares nothing with the operator: another language, the standard library only.
"""

import argparse
import csv
import json
import pathlib
import sys
from collections import defaultdict
from fractions import Fraction


def hundredths(exact):
    """An exact fraction, rounded half away from zero to two decimals."""
    scaled = abs(exact) * 100
    whole = scaled.numerator // scaled.denominator
    if scaled - whole >= Fraction(1, 2):
        whole += 1
    if exact < 0:
        whole = -whole
    return whole / 100 if whole % 100 else whole // 100


def summary(carrier, day, flights, threshold):
    delays = [int(f["dep_delay"]) for f in flights if f["dep_time"] != "NA"]
    by_dest = defaultdict(list)
    for f in flights:
        if f["dep_time"] != "NA":
            by_dest[f["dest"]].append(int(f["dep_delay"]))
    means = {dest: Fraction(sum(d), len(d)) for dest, d in by_dest.items() if len(d) >= 3}
    return {
        "carrier": carrier,
        "day": day,
        "flights": len(flights),
        "cancelled": len(flights) - len(delays),
        "delayed": sum(d >= threshold for d in delays),
        "mean_delay_min": hundredths(Fraction(sum(delays), len(delays))) if delays else None,
        "max_delay_min": max(delays) if delays else None,
        "worst_dest": min(means, key=lambda dest: (-means[dest], dest)) if means else None,
    }


def compute(path, threshold, alert):
    groups = defaultdict(list)
    alerts = []
    with open(path, newline="") as f:
        for flight in csv.DictReader(f):
            day = flight["time_hour"][:10]  # UTC, as the column is
            groups[flight["carrier"], day].append(flight)
            if flight["dep_delay"] != "NA" and int(flight["dep_delay"]) >= alert:
                alerts.append({
                    "carrier": flight["carrier"],
                    "flight": int(flight["flight"]),
                    "origin": flight["origin"],
                    "dest": flight["dest"],
                    "day": day,
                    "dep_delay": int(flight["dep_delay"]),
                })
    daily = [summary(carrier, day, flights, threshold) for (carrier, day), flights in groups.items()]
    return {"daily": lines(daily), "alerts": lines(alerts)}


def lines(rows):
    return "".join(sorted(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))


def check(testdata):
    folders = sorted(testdata.glob("expected-*-*"))
    if len(folders) < 2:
        sys.exit(f"{testdata}: want expectations at two thresholds at least, found {len(folders)}")
    for folder in folders:
        threshold, alert = map(int, folder.name.split("-")[1:])
        for port, text in compute(testdata / "flights.csv", threshold, alert).items():
            if (folder / f"{port}.jsonl").read_text() != text:
                sys.exit(f"{folder}/{port}.jsonl is not what the flights give")
            print(f"{folder.name}/{port}.jsonl: {text.count(chr(10))} rows, as computed")


def main():
    args = argparse.ArgumentParser(description="what late-flights should emit")
    args.add_argument("flights", nargs="?", type=pathlib.Path)
    args.add_argument("out", nargs="?", type=pathlib.Path)
    args.add_argument("--threshold-minutes", type=int, default=30)
    args.add_argument("--alert-minutes", type=int, default=120)
    args.add_argument("--check", type=pathlib.Path, metavar="TESTDATA")
    given = args.parse_args()
    if given.check:
        check(given.check)
        return
    if not given.out:
        args.error("want FLIGHTS.csv and OUT_DIR")
    given.out.mkdir(parents=True, exist_ok=True)
    for port, text in compute(given.flights, given.threshold_minutes, given.alert_minutes).items():
        (given.out / f"{port}.jsonl").write_text(text)


if __name__ == "__main__":
    main()

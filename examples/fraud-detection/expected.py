#!/usr/bin/env python3
"""What fraud-detection should emit, computed the plain way, and how good that is.

    expected.py TRANSACTIONS.csv > EXPECTED.jsonl      the alerts, sorted by id and rule
    expected.py --check TESTDATA                       computes TESTDATA/expected.jsonl again and compares
    expected.py --score TESTDATA                       precision and recall of TESTDATA/expected.jsonl against TESTDATA/fraud.csv

It sorts each card's transactions by time and id and looks back from each of them. It shares nothing with the operators.
"""

import csv
import json
import pathlib
import sys
from collections import defaultdict
from datetime import datetime, timedelta

SMALL_CENTS = 100
DEAR_CENTS = 50_000
PROBE_WINDOW = timedelta(seconds=600)
BURST_COUNT = 6
BURST_WINDOW = timedelta(seconds=120)
CLONE_WINDOW = timedelta(seconds=3600)


def rules(now, before):
    """The rules that a transaction breaks, given the card's earlier ones in order."""
    probes = [t for t in before if not t["present"] and t["cents"] <= SMALL_CENTS]
    if not now["present"] and now["cents"] >= DEAR_CENTS and probes and now["at"] - probes[-1]["at"] <= PROBE_WINDOW:
        yield "probe"
    if 1 + sum(now["at"] - t["at"] <= BURST_WINDOW for t in before) >= BURST_COUNT:
        yield "burst"
    seen = [t for t in before if t["present"]]
    if now["present"] and seen and seen[-1]["country"] != now["country"] and now["at"] - seen[-1]["at"] <= CLONE_WINDOW:
        yield "clone"


def moment(text):
    """A time in RFC 3339; Python 3.10 reads fractions of three or six digits only."""
    seconds, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(seconds) + timedelta(microseconds=int(fraction.ljust(6, "0")))


def alerts(path):
    cards = defaultdict(list)
    with open(path, newline="") as f:
        for row in csv.DictReader(f):
            cards[row["card"]].append({
                "id": int(row["id"]), "at": moment(row["time"]), "time": row["time"],
                "cents": int(row["amount_cents"]), "country": row["country"], "present": row["present"] == "true",
            })
    for card, transactions in cards.items():
        transactions.sort(key=lambda t: (t["at"], t["id"]))
        for n, now in enumerate(transactions):
            for rule in rules(now, transactions[:n]):
                yield {"card": card, "id": now["id"], "rule": rule, "time": now["time"], "amount_cents": now["cents"]}


def compute(path):
    rows = sorted(alerts(path), key=lambda a: (a["id"], a["rule"]))
    return "".join(json.dumps(a, separators=(",", ":")) + "\n" for a in rows)


def score(folder):
    flagged = {json.loads(line)["id"] for line in open(folder / "expected.jsonl")}
    with open(folder / "fraud.csv", newline="") as f:
        fraud = {int(row["id"]): row["pattern"] for row in csv.DictReader(f)}
    hits = flagged & fraud.keys()
    print(f"precision {len(hits)}/{len(flagged)} = {len(hits) / len(flagged):.3f}, recall {len(hits)}/{len(fraud)} = {len(hits) / len(fraud):.3f}")
    with open(folder / "transactions.csv", newline="") as f:
        card = {int(row["id"]): row["card"] for row in csv.DictReader(f)}
    for pattern in sorted(set(fraud.values())):
        of = {i for i, p in fraud.items() if p == pattern}
        cards, found = {card[i] for i in of}, {card[i] for i in of & flagged}
        print(f"  {pattern}: {len(of & flagged)} of {len(of)} transactions, {len(found)} of {len(cards)} cards")


def main(arguments):
    if arguments[0] == "--score":
        score(pathlib.Path(arguments[1]))
        return 0
    if arguments[0] != "--check":
        sys.stdout.write(compute(arguments[0]))
        return 0
    folder = pathlib.Path(arguments[1])
    same = compute(folder / "transactions.csv") == (folder / "expected.jsonl").read_text()
    print(f"{folder}: {'as committed' if same else 'DIFFERS from what is committed'}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Runs the operator on the week of transactions, natively."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from op import Fraud

import tidemill
from tidemill import MINUTE, SECOND, Timestamp
from tidemill.testing import Harness

TESTDATA = Path(__file__).parent.parent / "testdata"


@tidemill.row
class Row:
    """A transaction as the job reads it."""

    id: int
    card: str
    time: Timestamp
    amount_cents: int
    country: str
    present: bool


def harness(shake: int) -> Harness:
    """The operator under test."""
    return Harness(Fraud, key=["card"], event_time="time", inputs={"in": Row}, shake=shake)


def read_week() -> list[Row]:
    """The committed week."""
    with open(TESTDATA / "transactions.csv", newline="") as file:
        return [
            Row(
                int(r["id"]),
                r["card"],
                tidemill.timestamp(datetime.fromisoformat(r["time"])),
                int(r["amount_cents"]),
                r["country"],
                r["present"] == "true",
            )
            for r in csv.DictReader(file)
        ]


@pytest.mark.parametrize("size", [97, 4096])
def test_the_week(size: int) -> None:
    """As it arrives, with the watermark five minutes behind, against the alerts of the script."""
    h = harness(size)
    week = read_week()
    newest = tidemill.NO_TIME
    for i in range(0, len(week), size):
        batch = week[i : i + size]
        h.send("in", *batch)
        newest = max(newest, *(r.time for r in batch))
        h.advance_watermark(newest - 5 * MINUTE)
    h.end()
    assert h.rows("late") == []
    got = sorted(h.rows("alerts"), key=lambda r: (r["id"], r["rule"]))
    want = [json.loads(line) for line in (TESTDATA / "expected.jsonl").read_text().splitlines()]
    for alert in want:
        alert["time"] = tidemill.timestamp(datetime.fromisoformat(alert["time"]).replace(tzinfo=UTC))
    assert got == want


def test_late() -> None:
    """What comes behind the watermark goes to port late and nowhere else."""
    h = harness(1)
    noon = tidemill.timestamp(datetime(2026, 3, 1, 12, tzinfo=UTC))
    for i in range(6):
        h.send("in", Row(i, "a", noon + i * SECOND, 500, "DE", True))
    h.advance_watermark(noon + MINUTE)
    assert [(a["id"], a["rule"]) for a in h.rows("alerts")] == [(5, "burst")]
    late = Row(7, "a", noon + 30 * SECOND, 500, "FR", True)
    h.send("in", late)
    h.end()
    assert h.rows("late", Row) == [late]
    assert h.rows("alerts") == []

"""Runs the operator on the month and on hand-made days, natively."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from op import Daily, Delays

import tidemill
from tidemill import DAY, HOUR, I32, Timestamp
from tidemill.testing import Harness

TESTDATA = Path(__file__).parent.parent / "testdata"


@tidemill.row(frozen=True)
class Row:
    """A flight as the job reads it."""

    carrier: str
    flight: I32
    origin: str
    dest: str
    dep_time: I32 | None
    dep_delay: I32 | None
    time_hour: Timestamp


def harness(shake: int = 0, **params: Any) -> Harness:
    """The operator under test."""
    return Harness(Delays, key=["carrier"], event_time="time_hour", inputs={"in": Row}, params=params, shake=shake)


def read_flights() -> list[Row]:
    """The committed month."""

    def number(text: str) -> int | None:
        return None if text == "NA" else int(text)

    flights = []
    with open(TESTDATA / "flights.csv", newline="") as file:
        for r in csv.DictReader(file):
            time = tidemill.timestamp(datetime.fromisoformat(r["time_hour"]))
            delays = number(r["dep_time"]), number(r["dep_delay"])
            flights.append(Row(r["carrier"], int(r["flight"]), r["origin"], r["dest"], *delays, time))
    return flights


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows in an order of their own: across keys there is none."""
    return sorted(rows, key=lambda r: [str(v) for name, v in r.items() if name != "mean_delay_min"])


def expected(folder: str, name: str) -> list[dict[str, Any]]:
    """What the independent script gives."""
    return in_order([json.loads(line) for line in (TESTDATA / folder / name).read_text().splitlines()])


@pytest.mark.parametrize(("threshold", "alert"), [(30, 120), (15, 60)])
def test_the_month_equals_the_script(threshold: int, alert: int) -> None:
    """In batches, with the watermark a day behind as the job has it."""
    h = harness(shake=alert, threshold_minutes=threshold, alert_minutes=alert)
    flights = read_flights()
    newest = tidemill.NO_TIME
    for i in range(0, len(flights), 700):
        batch = flights[i : i + 700]
        h.send("in", *batch)
        newest = max(newest, *(f.time_hour for f in batch))
        h.advance_watermark(newest - 24 * HOUR)
    h.end()
    assert h.rows("late") == []
    folder = f"expected-{threshold}-{alert}"
    assert in_order(h.rows("daily")) == expected(folder, "daily.jsonl")
    assert in_order(h.rows("alerts")) == expected(folder, "alerts.jsonl")


NOON = tidemill.timestamp(datetime(2013, 5, 4, 12, tzinfo=UTC))


def departed(dest: str, delay: int, time: int = NOON) -> Row:
    """A flight that has left."""
    return Row("TM", 1, "EWR", dest, 1200, delay, time)


def cancelled(dest: str) -> Row:
    """A flight that has not."""
    return Row("TM", 2, "EWR", dest, None, None, NOON)


def eight(sum: int) -> list[Row]:
    """Eight departures with delays that add up to sum."""
    return [departed("ATL", 0)] * 7 + [departed("ATL", sum)]


# Flights of a day, with flights, cancelled, delayed, mean, max and worst destination.
DAYS = {
    "only cancelled flights": ([cancelled("ATL"), cancelled("ATL"), cancelled("ATL")], (3, 3, 0, None, None, None)),
    "two departures to a place are too few": (
        [departed("ATL", 5), departed("ATL", 5), departed("BOS", 29), cancelled("BOS")],
        (4, 1, 0, 13.0, 29, None),
    ),
    "among equal means the first name counts, and more flights do not": (
        [departed("DEN", 20)] * 4 + [departed("BOS", d) for d in (30, 10, 20)] + [departed("ATL", 90)] * 2,
        (9, 0, 3, 35.56, 90, "BOS"),
    ),
    "all leave early: the greatest is the nearest to zero": (
        [departed("ATL", -9), departed("ATL", -4), departed("ATL", -2)],
        (3, 0, 0, -5.0, -2, "ATL"),
    ),
    "half a hundredth is rounded away from zero": (eight(1), (8, 0, 0, 0.13, 1, "ATL")),
    "below zero too": (eight(-1), (8, 0, 0, -0.13, 0, "ATL")),
}


@pytest.mark.parametrize("name", DAYS)
@pytest.mark.parametrize("shake", range(4))
def test_a_day(name: str, shake: int) -> None:
    """The order in which splits deliver does not matter."""
    flights, want = DAYS[name]
    h = harness(shake)
    h.send("in", *(reversed(flights) if shake % 2 else flights))
    h.end()
    names = [n for n in Daily.__annotations__ if n not in ("carrier", "day")]
    assert h.rows("daily") == [{"carrier": "TM", "day": "2013-05-04", **dict(zip(names, want, strict=True))}]


@pytest.mark.parametrize("shake", range(4))
def test_a_late_flight_goes_to_late_only(shake: int) -> None:
    """What comes when its hour is past changes no day and raises no alert, whether its day is still open or not."""
    h = harness(shake)
    h.send("in", departed("ATL", 10))
    late = departed("BOS", 500)
    h.advance_watermark(late.time_hour)
    h.send("in", late, departed("DEN", 130, late.time_hour + 1))
    h.advance_watermark(NOON + 12 * HOUR - 1)  # the last moment of the day
    h.send("in", cancelled("ATL"), late)
    h.end()
    (daily,) = h.rows("daily")
    assert (daily["flights"], daily["cancelled"], daily["delayed"], daily["mean_delay_min"]) == (2, 0, 1, 70.0)
    assert [alert["dest"] for alert in h.rows("alerts")] == ["DEN"]
    assert h.rows("late", Row) == [late, cancelled("ATL"), late]


def test_a_day_is_forgotten() -> None:
    """Nothing is left of a day that is over."""
    h = harness()
    h.send("in", departed("ATL", 10), departed("BOS", 10))
    assert [day for day, _ in h.map_of("days", "TM")] == [NOON // DAY]
    assert len(h.timers_of("TM")) == 1
    h.advance_watermark(NOON + 12 * HOUR - 1)
    assert h.map_of("days", "TM") + h.map_of("routes", "TM") == []
    assert h.timers_of("TM") == []

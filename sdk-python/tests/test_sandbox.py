"""The harness and the sandbox agree, also on the texts of errors. It needs the command tidemill, at the path in TIDEMILL."""

from __future__ import annotations

import base64
import csv
import functools
import json
import os
import random
import subprocess
import sys
from array import array
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import tidemill
from tidemill import F32, I8, I16, I32, Date, Timestamp, TimestampTZ
from tidemill.testing import Harness

TIDEMILL = os.environ.get("TIDEMILL", "")
FOLDER = Path(__file__).parent / "sandbox"

pytestmark = pytest.mark.skipif(not TIDEMILL, reason="TIDEMILL does not name the command tidemill")

if TIDEMILL:
    sys.path.insert(0, str(FOLDER))
    import op


def run(folder: Path, schema: str, operator: str, sinks: list[str], rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Runs one operator on rows, as CSV or, where they have lists, as JSON, and returns the rows of its ports, and of dead
    letters as "bad".
    """
    lists = any(isinstance(v, list) for v in rows[0].values())
    form = "json" if lists else "{type: csv, header: true, null: NULL}"
    with open(folder / "in", "w", newline="") as file:
        if lists:
            file.writelines(json.dumps(row, default=str) + "\n" for row in rows)
        else:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
    outputs = "".join(f"  {s}: {{connector: file, path: out, format: json, input: op.{s}}}\n" for s in sinks)
    (folder / "job.yaml").write_text(
        "name: sandbox\ncheckpoint: {interval: 1s, store: checkpoints}\nsources:\n"
        f"  rows: {{connector: file, path: in, format: {form}, {schema}}}\n"
        f"operators:\n  op: {{module: op.wasm, {operator}, input: rows, on_error: {{policy: dead_letter, to: bad}}}}\n"
        f"sinks:\n{outputs}  bad: {{connector: file, path: out, format: json}}\n"
    )
    subprocess.run([TIDEMILL, "build", FOLDER, "-o", "op.wasm"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([TIDEMILL, "run", "job.yaml"], cwd=folder, check=True, stderr=subprocess.DEVNULL)
    published: dict[str, list[Any]] = {name: [] for name in [*sinks, "bad"]}
    read = functools.partial(json.loads, parse_float=Decimal)
    for file_name in sorted((folder / "out").iterdir()):
        published[file_name.name.partition("-")[0]] += map(read, file_name.read_text().splitlines())
    return published


def as_json(rows: list[dict[str, Any]], **times: str) -> list[str]:
    """Rows as the host's JSON has them; the named columns are timestamps (t), dates (d) or decimals (n)."""

    def value(name: str, v: Any) -> Any:
        if isinstance(v, list):
            return [value(name, element) for element in v]
        if isinstance(v, bytes):
            return base64.b64encode(v).decode()
        if times.get(name) == "n" and v is not None:
            return str(v)
        if v is None or name not in times or isinstance(v, str):
            return float(v) if isinstance(v, (int, float, Decimal)) and not isinstance(v, bool) else v
        if times[name] == "d":
            return tidemill.date_of(v).isoformat()
        text = tidemill.time_of(v).replace(tzinfo=None).isoformat()
        return (text.rstrip("0") if "." in text else text) + "Z"

    return sorted(json.dumps({k: value(k, v) for k, v in row.items()}, sort_keys=True) for row in rows)


@tidemill.row
class NamedMistake:
    key: str
    name: str


def test_mistakes_have_the_same_texts(tmp_path: Path) -> None:
    known = set(dir(tidemill.Operator))
    names = [n for n, f in vars(op.Careless).items() if callable(f) and n not in known and not n.startswith(("_", "on_"))]
    assert len(names) > 20
    schema = "schema: {key: utf8, name: utf8}"
    rows = [{"key": "k", "name": name} for name in names]
    published = run(tmp_path, schema, "entry: careless, key_by: [key]", ["small", "one", "named", "priced"], rows)
    h = Harness(op.Careless, key=["key"], inputs={"mistakes": NamedMistake}, on_error="skip")
    h.send("mistakes", *rows)
    for port in ("small", "one", "named", "priced"):
        assert as_json(published[port], amount="n") == as_json(h.rows(port), time="t", amount="n"), port
    letters = {json.loads(letter["record"])["name"]: letter["error"] for letter in published["bad"]}
    errors = {e.row["name"]: e for e in h.errors()}
    assert letters.keys() == errors.keys() == set(names) - {"none_of_these"}
    for name, e in errors.items():
        message = e.message.replace(f"{FOLDER}{os.sep}", "")
        place = e.place.replace(f"{FOLDER}{os.sep}", "")
        if name == "recurse":  # the depth differs
            message = message.partition("\n")[0]
            assert letters[name].partition(": ")[2].startswith(message)
            continue
        line, newline, traceback = message.partition("\n")
        said = f"{line} ({place}){newline}{traceback}" if place else message
        assert letters[name].partition(": ")[2].startswith(said), name


@tidemill.row
class Measure:
    sensor: str
    value: float | None
    good: bool
    spare: I32
    at: Timestamp


def test_batches_are_the_same(tmp_path: Path) -> None:
    r = random.Random(5)
    start = datetime(2026, 3, 1, tzinfo=UTC)
    rows = []
    for i in range(5000):
        sensor = "refused" if i in (20, 4097) else r.choice(["a", "bü", "c" * 9, "d"])
        value = None if r.random() < 0.2 else r.uniform(-5, 5)
        at = tidemill.timestamp(start + timedelta(seconds=i))
        rows.append(Measure(sensor, value, r.random() < 0.5, r.randrange(-9, 99), at))
    text = [
        {
            "sensor": m.sensor,
            "value": "NULL" if m.value is None else m.value,
            "good": str(m.good).lower(),
            "spare": m.spare,
            "at": tidemill.time_of(m.at).isoformat(),
        }
        for m in rows
    ]
    schema = "schema: {sensor: utf8, value: f64?, good: bool, spare: i32, at: timestamp}, event_time: {column: at}"
    ports = ["scaled", "good", "totals"]
    published = run(tmp_path, schema, "entry: scaler, key_by: [sensor]", ports, text)
    h = Harness(op.Scaler, key=["sensor"], event_time="at", inputs={"measures": Measure}, on_error="skip", shake=3)
    h.send("measures", *rows)
    for port in ports:
        assert as_json(published[port]) == as_json(h.rows(port), at="t"), port
    assert len(published["bad"]) == len(h.errors()) == 2


@tidemill.row
class MixRow:
    at: Timestamp
    day: Date
    f: F32
    i8: I8
    i16: I16 | None
    zoned: TimestampTZ
    wide: I32


def test_types_are_the_same(tmp_path: Path) -> None:
    r = random.Random(6)
    rows = []
    for _ in range(3000):
        at = (r.randrange(-25_000, 55_000) * tidemill.DAY) + r.randrange(tidemill.DAY)
        i16 = None if r.random() < 0.3 else r.randrange(-9999, 9999)
        f = r.randrange(-(1 << 20), 1 << 20) / 64
        rows.append(MixRow(at, at // tidemill.DAY, f, r.randrange(-127, 128), i16, at, r.randrange(-10, 20)))
    text = [
        {
            "at": tidemill.time_of(m.at).isoformat(),
            "day": tidemill.date_of(m.day),
            "f": m.f,
            "i8": m.i8,
            "i16": "NULL" if m.i16 is None else m.i16,
            "zoned": tidemill.time_of(m.zoned).isoformat(),
            "wide": m.wide,
        }
        for m in rows
    ]
    schema = "schema: {at: timestamp, day: date32, f: f32, i8: i8, i16: i16?, zoned: timestamp_tz, wide: i32}"
    published = run(tmp_path, schema, "entry: mix", ["out"], text)
    h = Harness(op.mix, inputs={"in": MixRow})
    h.send("in", *rows)
    for row in published["out"]:
        row["f"] = array("f", [row["f"]])[0]  # the JSON of an f32 has the digits that tell it from others
    assert as_json(published["out"]) == as_json(h.rows("out"), at="t", zoned="t", day="d")


NUMBERS = {"amount": "n", "share": "n", "prices": "n", "amounts": "n", "found": "n", "half": "n", "at": "t"}


def baskets(seed: int, n: int) -> list[dict[str, Any]]:
    r = random.Random(seed)

    def money() -> Decimal:
        return Decimal(r.choice([0, 70000, -1, 10**20 - 1, 1 - 10**20, r.randrange(-(10**9), 10**9)])).scaleb(-4)

    def some(make: Any) -> list[Any]:
        return [make() for _ in range(r.choice([0, 0, 1, 2, 9]))]

    return [
        {
            "shop": r.choice("abc"),
            "amount": money(),
            "share": None if r.random() < 0.3 else Decimal((r.randrange(2), [r.randrange(10) for _ in range(38)], -38)),
            "tags": some(lambda: "ü" * r.randrange(3)),
            "sizes": None if r.random() < 0.3 else some(lambda: r.randrange(-(1 << 15), 1 << 15)),
            "flags": some(lambda: r.random() < 0.5),
            "prices": some(money),
            "at": some(lambda: r.randrange(-(10**15), 10**15)),
        }
        for _ in range(n)
    ]


@pytest.mark.parametrize(("entry", "ports"), [("baskets", ["same", "seen"]), ("baskets_by_columns", ["same"])])
def test_decimals_and_lists_are_the_same(tmp_path: Path, entry: str, ports: list[str]) -> None:
    rows = baskets(7, 3000)
    text = [{**row, "at": [tidemill.time_of(t).isoformat() for t in row["at"]]} for row in rows]
    schema = (
        "schema: {shop: utf8, amount: 'decimal128(20,4)', share: 'decimal128(38,38)?', tags: list<utf8>, sizes: list<i16>?, "
        "flags: list<bool>, prices: 'list<decimal128(20,4)>', at: list<timestamp>}"
    )
    published = run(tmp_path, schema, f"entry: {entry}, key_by: [shop]", ports, text)
    target = op.Baskets if entry == "baskets" else op.BasketsByColumns
    h = Harness(target, key=["shop"], inputs={"baskets": op.Basket}, shake=4)
    h.send("baskets", *rows)
    assert published["bad"] == []
    for port in ports:
        assert as_json(published[port], **NUMBERS) == as_json(h.rows(port), **NUMBERS), port

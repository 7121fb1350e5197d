"""The batch interface: the cases of sdk-go/operatortest."""

from __future__ import annotations

from array import array
from collections import Counter as Count
from typing import Any

import pytest

import tidemill
from tidemill import I32, Batch, BatchIn, BatchOut, Column, EventTime, Out, Value
from tidemill.testing import Harness, OpenError


@tidemill.row
class Measures:
    sensor: Column[str]
    value: Column[float | None]
    good: Column[bool]
    at: Column[EventTime]


@tidemill.row
class Measure:
    sensor: str
    value: float | None
    good: bool
    spare: I32
    at: EventTime


@tidemill.row
class ScaledColumns:
    sensor: Column[str] = tidemill.from_input()
    twice: Column[float | None]
    bad: Column[bool]
    label: Column[str]
    raw: Column[bytes | None]


@tidemill.row
class Scaled:
    sensor: str
    twice: float | None
    bad: bool
    label: str
    raw: bytes | None
    at: EventTime


@tidemill.row
class Total:
    sensor: str = tidemill.from_key()
    n: int


class Scaler(tidemill.Operator):
    """Works on columns, and counts by key beside it."""

    in_: BatchIn[Measures]
    out: BatchOut[ScaledColumns]
    good: BatchOut[tidemill.InputRow]
    total: Out[Total]
    count: Value[int]
    kept: Any = None

    def on_in(self, batch: Batch[Measures]) -> None:
        c = batch.columns
        items = array("I")
        for i in range(batch.rows):
            batch.select(i)
            if c.sensor[i] == "refused":
                raise tidemill.Error("a refused sensor")
            if c.good[i]:
                items.append(i)
            n = self.count.get(0) + 1
            self.count.set(n)
            if n % 3 == 0:
                self.total.emit(Total(n=n))
        self.out.emit(
            ScaledColumns(
                twice=Column(batch.rows, array("d", [2 * v for v in c.value.values]), validity=c.value.validity),
                bad=Column.of(not good for good in c.good),
                label=Column.of(text + "!" for text in c.sensor),
                raw=Column(batch.rows, bytes(range(batch.rows)), array("i", range(batch.rows + 1))),
            )
        )
        self.good.emit_for(items, tidemill.InputRow())
        self.kept = c.value.values


@pytest.mark.parametrize("shake", range(4))
def test_the_batch_interface(shake: int) -> None:
    h = Harness(Scaler, key=["sensor"], shake=shake, inputs={"in": Measure}, on_error="skip")
    sent = []
    for i in range(50):
        sensor = "refused" if i == 20 else "abcdefg"[i % 7]
        sent.append(Measure(sensor, i / 8 if i % 4 else None, i % 3 > 0, i, i * 10))
    h.send("in", *sent)
    counted = [m for m in sent if m.sensor != "refused"]
    got = h.rows("out", Scaled)
    for row in got:
        assert row.raw is not None
        assert len(row.raw) == 1
        row.raw = None
    assert got == [
        Scaled(m.sensor, None if m.value is None else 2 * m.value, not m.good, m.sensor + "!", None, m.at) for m in counted
    ]
    assert h.rows("good", Measure) == [m for m in counted if m.good]
    count: Count[str] = Count()
    totals = []
    for m in counted:
        count[m.sensor] += 1
        if count[m.sensor] % 3 == 0:
            totals.append({"sensor": m.sensor, "n": count[m.sensor]})
    assert h.rows("total") == totals
    (error,) = h.errors()
    assert (error.row.spare, error.message) == (20, "a refused sensor")


def test_a_view_that_is_kept_ends_with_the_callback() -> None:
    kept = []

    class Keeps(tidemill.Operator, name="keeps"):
        in_: BatchIn[Measures]

        def on_in(self, batch: Batch[Measures]) -> None:
            kept.append(batch.columns.value.values)

    h = Harness(Keeps, inputs={"in": Measure})
    h.send("in", Measure("a", 1.0, True, 0, 0))
    with pytest.raises(ValueError, match="released"):
        kept[0][0]


@tidemill.row
class IntValue:
    sensor: str
    value: I32
    good: bool


def test_columns_are_not_converted() -> None:
    with pytest.raises(OpenError, match="port in, column value: it is of type i32, its field takes f64"):
        Harness(Scaler, key=["sensor"], inputs={"in": IntValue})


@tidemill.row
class Numbers:
    number: Column[I32]


@tidemill.row
class Texts:
    text: Column[str]


class Wrong(tidemill.Operator):
    """Emits columns that are wrong."""

    in_: BatchIn[Numbers]
    out: BatchOut[Numbers]
    texts: BatchOut[Texts]

    def on_in(self, batch: Batch[Numbers]) -> None:
        n = batch.rows
        match batch.columns.number[0]:
            case 0:
                self.out.emit(Numbers(Column.of([1] * (n + 1))))
            case 1:
                self.out.emit(Numbers(Column(n, array("q", [1] * n))))
            case 2:
                self.out.emit(Numbers(Column(n, array("i", [1] * n)[1:])))
            case 3:
                self.out.emit(Numbers(Column(n, array("i", [1] * n), validity=bytes((n + 7) // 8))))
            case 4:
                self.out.emit(Numbers(Column.of([1 << 40] * n)))
            case 5:
                self.out.emit(Numbers([1] * n))  # type: ignore[arg-type]
            case 6:
                self.out.emit_for([n], Numbers(Column.of([1])))
            case 7:
                batch.select(n)
            case 8:
                self.texts.emit(Texts(Column(n, b"x" * n)))
            case 9:
                self.texts.emit(Texts(Column.of([None] * n)))  # type: ignore[list-item]
            case 10:
                self.out.emit({})  # type: ignore[arg-type]
            case _:
                self.out.emit(Numbers(Column(n, array("i", [1] * n), validity=bytes([255] * n))))


@pytest.mark.parametrize(
    ("number", "want"),
    [
        (0, "ValueError: column number of an emitted batch has 2 rows, there must be 1"),
        (1, "TypeError: column number: its elements have 8 bytes, those of i32 4"),
        (2, "ValueError: column number of an emitted batch has 0 bytes of values, its rows need 4"),
        (3, "TypeError: column number: it cannot be None"),
        (4, "OverflowError: column number: 1099511627776 is out of the range of i32"),
        (5, "TypeError: column number: it takes Column, not list"),
        (6, "IndexError: there is no row 1 in the batch under way"),
        (7, "IndexError: there is no row 1 in the batch under way"),
        (8, "ValueError: column text of an emitted batch has no offsets"),
        (9, "TypeError: column text: it cannot be None"),
        (10, "TypeError: port out: it takes Numbers, not dict"),
    ],
)
def test_columns_that_are_wrong_are_refused(number: int, want: str) -> None:
    h = Harness(Wrong, on_error="skip")
    h.send("in", {"number": number})
    (error,) = h.errors()
    assert error.message.splitlines()[0] == want
    assert error.place.startswith(f"{__file__}:")


def test_without_nulls_a_validity_does_not_matter() -> None:
    h = Harness(Wrong)
    h.send("in", {"number": 11}, {"number": 11})
    assert h.rows("out") == [{"number": 1}, {"number": 1}]


def test_columns_read_like_sequences() -> None:
    column: Column[str | None] = Column(3, memoryview(b"a\xc3\xbcc"), array("i", [0, 1, 3, 3]), b"\x03", 13)
    assert list(column) == ["a", "ü", None]
    assert [column.null(i) for i in range(3)] == [False, False, True]
    assert len(column) == 3
    with pytest.raises(IndexError, match="there is no such row"):
        column[3]
    assert list(Column(9, b"\x01\x01", type=1)) == [True] + [False] * 7 + [True]
    assert tidemill.bits(i % 3 == 0 for i in range(10)) == bytes([0b01001001, 0b10])

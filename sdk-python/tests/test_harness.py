"""Rows, types, parameters, errors and limits: the cases of sdk-go/operatortest."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

import tidemill
from tidemill import (
    F32,
    I8,
    I16,
    I32,
    I64,
    Date,
    DatetimeTZ,
    EventTime,
    Fired,
    In,
    Key,
    List,
    Map,
    Out,
    Timer,
    Timestamp,
    TimestampTZ,
    Value,
)
from tidemill.testing import Harness, OpenError, SetTimer


@tidemill.row
class Kinds:
    """A column of every type."""

    bool_: bool
    i8: I8
    i16: I16
    i32: I32
    i64: I64
    f32: F32
    f64: float
    day: Date
    at: Timestamp
    zoned: TimestampTZ
    text: str
    bytes_: bytes
    date_: date
    time: datetime
    time_zoned: DatetimeTZ


@tidemill.row
class NullableKinds:
    bool_: bool | None
    i8: I8 | None
    i16: I16 | None
    i32: I32 | None
    i64: int | None
    f32: F32 | None
    f64: float | None
    day: Date | None
    at: Timestamp | None
    text: str | None
    bytes_: bytes | None
    date_: date | None
    time: datetime | None


@tidemill.row
class Wide:
    """Takes narrower columns."""

    i8: int
    i16: int
    i32: int
    i64: int
    f32: float
    f64: float
    text: bytes
    bool_: bool | None


@tidemill.row
class Narrow:
    i8: I8
    i16: I16
    i32: I32
    i64: int
    f32: F32
    f64: I16
    text: str
    bool_: bool


@tidemill.map
def kinds(row: Kinds) -> Kinds:
    return row


@tidemill.map
def nullable(row: NullableKinds) -> NullableKinds:
    return row


@tidemill.map
def widen(row: Wide) -> Wide:
    return row


@tidemill.filter
def even(i64: int) -> bool:
    return i64 % 2 == 0


@tidemill.flat_map
def split(text: str) -> Iterator[str]:
    for word in text.split(" "):
        if word == "bad":
            raise tidemill.Error("a bad word")
        yield word


def sample(i: int) -> Kinds:
    return Kinds(
        bool_=i % 3 == 0,
        i8=i % 128 - 64,
        i16=i * 100,
        i32=i * 70_000,
        i64=i * (1 << 53),
        f32=i / 4,
        f64=i / 7,
        day=i * 11,
        at=i * 10**12,
        zoned=-i,
        text="ü" * (i & 3),
        bytes_=b"\x00\xff" * (i & 3),
        date_=date(2026, 3, 1) + timedelta(days=i),
        time=datetime(2026, 3, 1, tzinfo=UTC) + timedelta(microseconds=i),
        time_zoned=datetime(1960, 3, 1, tzinfo=UTC) - timedelta(hours=i),
    )


def test_every_type_goes_through() -> None:
    h = Harness(kinds)
    rows = [sample(i - 300) for i in range(600)]
    h.send("in", *rows)
    assert h.rows("out", Kinds) == rows
    h.send("in", sample(5))
    (got,) = h.rows("out")
    assert got["zoned"] == -5
    assert got["date"] == (date(2026, 3, 6) - date(1970, 1, 1)).days
    assert got["time"] == int(datetime(2026, 3, 1, tzinfo=UTC).timestamp()) * 1_000_000 + 5


def test_nulls_go_through() -> None:
    h = Harness(nullable)
    rows = []
    for i in range(40):
        k = sample(i)
        values = {
            f: getattr(k, f) if i >> bit % 6 & 1 == 0 and i else None for bit, f in enumerate(NullableKinds.__annotations__)
        }
        rows.append(NullableKinds(**values))
    h.send("in", *rows)
    assert h.rows("out", NullableKinds) == rows


def test_numbers_widen() -> None:
    h = Harness(widen, inputs={"in": Narrow})
    h.send("in", Narrow(-1, -300, -70000, -(1 << 63), 0.5, -7, "x", True))
    (got,) = h.rows("out", Wide)
    assert got == Wide(-1, -300, -70000, -(1 << 63), 0.5, -7.0, b"x", True)
    assert type(got.f64) is float
    assert type(got.text) is bytes


@tidemill.row
class Int32:
    i64: I32


@tidemill.row
class Other:
    other: int


@tidemill.row
class Nullable:
    i64: int | None


@tidemill.row
class Float:
    i64: float


@tidemill.row
class Text:
    i64: str


@tidemill.row
class Time:
    i64: Timestamp


@pytest.mark.parametrize(
    ("cls", "want"),
    [
        (Other, "port in, column i64: the input does not have it"),
        (Nullable, "port in, column i64: it may be null, so its field must be Optional"),
        (Float, "port in, column i64: it is of type f64, its field takes i64"),
        (Text, "port in, column i64: it is of type utf8, its field takes i64"),
        (Time, "port in, column i64: it is of type timestamp, its field takes i64"),
    ],
)
def test_an_input_that_does_not_fit_is_refused(cls: type, want: str) -> None:
    Harness(even, inputs={"in": Int32})
    with pytest.raises(OpenError) as e:
        Harness(even, inputs={"in": cls})
    assert str(e.value) == want
    assert e.value.answer() == {"message": want.removeprefix("port in, column i64: "), "column": "in.i64"}


def test_a_filter_passes_all_columns_through() -> None:
    h = Harness(even, inputs={"in": Kinds})
    rows = [sample(i) for i in range(10)]
    h.send("in", *rows)
    assert h.rows("out", Kinds) == [r for r in rows if r.i64 % 2 == 0]


LINES = ["a b", "c bad", "bad", "d", "e bad f", "g"]


@pytest.mark.parametrize("shake", range(4))
def test_a_rejected_row_has_no_effect(shake: int) -> None:
    h = Harness(split, on_error="skip", shake=shake)
    h.send("in", *LINES)
    assert h.rows("out", str) == ["a", "b", "d", "g"]
    errors = h.errors()
    assert [e.row for e in errors] == ["c bad", "bad", "e bad f"]
    assert {(e.port, e.timer, e.message) for e in errors} == {("in", "", "a bad word")}
    assert {e.place for e in errors} == {f"{__file__}:{split.__code__.co_firstlineno + 4}"}
    assert h.errors() == []


def test_with_fail_the_error_is_raised_after_what_comes_before_it() -> None:
    h = Harness(split)
    with pytest.raises(tidemill.Error, match="a bad word"):
        h.send("in", *LINES)
    assert h.rows("out", str) == ["a", "b"]


@tidemill.row
class ParamRow:
    on: bool
    small: int
    ratio: float
    name: str
    wait: int
    must: int


class Limits(tidemill.Operator):
    """Goes to the limits of parameters and answers.

    This paragraph is not part of its description.
    """

    on: bool = tidemill.param(True)
    small: I8 = tidemill.param(-3)
    ratio: float = tidemill.param(0.5, doc="a ratio")
    name: str = tidemill.param("")
    wait: timedelta = tidemill.param(timedelta(seconds=90))
    must: int = tidemill.param()
    in_: In[int]
    out: Out[str]
    params: Out[ParamRow]
    seen: tidemill.Counter

    def open(self) -> None:
        if self.must < 0:
            raise tidemill.ParamError("must", "it must not be negative")

    def on_in(self, value: int) -> None:
        self.seen.add()
        self.out.emit("x" * value)

    def on_end(self) -> None:
        wait = self.wait // timedelta(milliseconds=1)
        self.params.emit(ParamRow(self.on, self.small, self.ratio, self.name, wait, self.must))


@pytest.mark.parametrize(
    ("given", "want"),
    [
        ({"must": 1}, ParamRow(True, -3, 0.5, "", 90_000, 1)),
        (
            {"must": 7, "on": False, "small": -128, "ratio": 2, "name": "ü", "wait": timedelta(seconds=1)},
            ParamRow(False, -128, 2.0, "ü", 1000, 7),
        ),
        ({}, "parameter must: it is required"),
        ({"must": 1, "smal": 1}, "parameter smal: the operator has no such parameter"),
        ({"must": 1, "small": 128}, "parameter small: 128 is out of the range of i8"),
        ({"must": "1"}, "parameter must: it must be a int"),
        ({"must": 1.5}, "parameter must: it must be a int"),
        ({"must": True}, "parameter must: it must be a int"),
        ({"must": 1, "on": 1}, "parameter on: it must be a bool"),
        ({"must": -1}, "parameter must: it must not be negative"),
    ],
)
def test_parameters_are_set(given: dict[str, Any], want: ParamRow | str) -> None:
    if isinstance(want, str):
        with pytest.raises(OpenError) as e:
            Harness(Limits, params=given)
        assert str(e.value) == want
        return
    h = Harness(Limits, params=given)
    h.end()
    assert h.rows("params", ParamRow) == [want]


@pytest.mark.parametrize("shake", range(3))
def test_large_answers_are_cut_between_items(shake: int) -> None:
    h = Harness(Limits, params={"must": 1}, frame_bytes=10_000, on_error="skip", shake=shake)
    sizes = [30_000 if i % 50 == 0 else [10, 4000, 9000, 9990, 700, 20_000][i * 7 % 6] for i in range(200)]
    want = [n for n in sizes if n <= 9000]
    h.send("in", *sizes)
    assert [len(text) for text in h.rows("out", str)] == want
    errors = h.errors()
    assert len(errors) == len(sizes) - len(want)
    assert h.metric("seen") == len(want)
    for e in errors:
        assert e.message == "the answer to one item is larger than frame_bytes (10000)"
        assert e.row > 9000


@tidemill.row
class Keyed:
    key: str
    text: str


class Careless(tidemill.Operator):
    """Does what the rules forbid."""

    in_: In[Keyed]
    out: Out[KeyedText]
    key: Key[str]
    count: Value[int]
    map: Map[str, int]
    list: List[int]
    tick: Timer
    seen: tidemill.Counter
    kept: Iterator[Any] | None = None

    def on_in(self, row: Keyed) -> None:
        self.log(f"{self.key.get()} {row.text}")
        match row.text:
            case "keep":
                self.map.set("x", 1)
                self.kept = self.map.items()
            case "use" if self.kept is not None:
                next(self.kept)
            case "tag":
                self.tick.set(0, "x" * 257)
            case "float":
                self.tick.set(1.5)  # type: ignore[arg-type]
            case "far":
                self.tick.set(1 << 63)
            case "bytes":
                self.tick.set(0, b"tag")  # type: ignore[arg-type]
            case "shrink":
                self.seen.add(-1)
            case "none":
                self.count.set(None)  # type: ignore[arg-type]
            case "text":
                self.count.set("1")  # type: ignore[arg-type]
            case "large":
                self.count.set(1 << 63)
            case "dict":
                self.out.emit({"text": "x"})  # type: ignore[arg-type]
            case "surrogate":
                self.out.emit(KeyedText("\ud800"))
            case "return":
                return 1  # type: ignore[return-value]

    def on_tick(self, fired: Fired) -> None: ...

    def on_watermark(self, watermark: int) -> None:
        match watermark:
            case 1:
                self.count.set(1)
            case 2:
                self.map.get("x")
            case 3:
                self.tick.set(9)
            case 4:
                self.key.get()
            case 5:
                self.out.emit(KeyedText("x"))
            case 6:
                len(self.list)


@tidemill.row
class KeyedText(tidemill.KeyRow):
    text: str


def test_mistakes_have_clear_texts() -> None:
    h = Harness(Careless, key=["key"], on_error="skip")
    for text in (
        "keep",
        "use",
        "tag",
        "float",
        "far",
        "bytes",
        "shrink",
        "none",
        "text",
        "large",
        "dict",
        "surrogate",
        "return",
    ):
        h.send("in", Keyed("k", text))
    for watermark in range(7):
        h.advance_watermark(watermark)
    errors = h.errors()
    assert [e.message.splitlines()[0] for e in errors] == [
        "RuntimeError: a loop over state is used after its frame",
        "ValueError: a timer's tag is longer than 256 bytes",
        "TypeError: a timer's time is int, in microseconds, not float",
        "OverflowError: a timer's time: 9223372036854775808 is out of the range of i64",
        "TypeError: a timer's tag is str, not bytes",
        "ValueError: a counter only grows",
        "TypeError: column value: it cannot be None",
        "TypeError: column value: it takes int, not str",
        "OverflowError: column value: 9223372036854775808 is out of the range of i64",
        "TypeError: port out: it takes KeyedText, not dict",
        "UnicodeEncodeError: 'utf-8' codec can't encode character '\\ud800' in position 0: surrogates not allowed",
        "TypeError: on_in returned int: rows are emitted by output ports",
        "RuntimeError: a state is used where no item with a key is under way",
        "RuntimeError: a state is used where no item with a key is under way",
        "RuntimeError: a timer is set or deleted where no item with a key is under way",
        "RuntimeError: the key is read where no item with a key is under way",
        "RuntimeError: port out passes columns through where no item is under way",
        "RuntimeError: a state is used where no item with a key is under way",
    ]
    for e in errors:
        if "returned" not in e.message:
            assert e.place.startswith(f"{__file__}:")
            assert "Traceback (most recent call last):\n" in e.message
            assert "_engine.py" not in e.message
    assert h.logs()[:2] == ["k keep", "k use"]


def test_an_operator_that_is_wrong_is_refused() -> None:
    with pytest.raises(OpenError, match="port in must be keyed, because the operator has state, timers or a key"):
        Harness(Careless)
    with pytest.raises(TypeError, match="is no operator"):
        Harness(test_numbers_widen)  # type: ignore[arg-type]
    with pytest.raises(OpenError, match="port in has no key column nobody"):
        Harness(Careless, key=["nobody"])


@tidemill.row
class Order:
    amount: int


@tidemill.row
class FullOrder:
    customer: str
    amount: int


@tidemill.row
class Payment:
    paid: int
    at: EventTime


@tidemill.row
class FullPayment:
    customer: str
    paid: int
    note: str
    at: EventTime


@tidemill.row
class Both:
    customer: str = tidemill.from_key()
    amount: int
    paid: int
    when: EventTime


@tidemill.row
class BothAt:
    customer: str
    amount: int
    paid: int
    when: Timestamp
    at: EventTime


class Pairing(tidemill.Operator):
    """Joins two ports of different rows by their key."""

    orders: In[Order]
    payments: In[Payment]
    both: Out[Both]
    raw: Out[tidemill.InputRow] = tidemill.port(input="payments")
    pending: List[int] = tidemill.state(prefetch=("payments",))
    remind: Timer

    def on_orders(self, order: Order) -> None:
        self.pending.append(order.amount)
        self.remind.set(5)
        if order.amount < 0:
            self.raw.emit(tidemill.InputRow())

    def on_payments(self, payment: Payment) -> None:
        for amount in self.pending:
            self.both.emit(Both(amount=amount, paid=payment.paid, when=payment.at + 1))
        self.pending.clear()
        self.remind.delete()
        self.raw.emit(tidemill.InputRow())

    def on_remind(self, fired: Fired) -> None:
        self.log(f"{self.job} {self.operator} {fired.time}", tidemill.WARN)
        self.raw.emit(tidemill.InputRow())


@pytest.mark.parametrize("shake", range(4))
def test_two_ports(shake: int) -> None:
    h = Harness(
        Pairing, key=["customer"], shake=shake, inputs={"orders": FullOrder, "payments": FullPayment}, on_error="skip"
    )
    h.send("orders", FullOrder("a", 10), {"customer": "b", "amount": 20}, FullOrder("a", 11), FullOrder("c", 30))
    paid = [FullPayment("a", 21, "first", 70), FullPayment("b", 20, "second", 80), FullPayment("a", 0, "third", 90)]
    h.send("payments", *paid)
    assert h.rows("both", BothAt) == [BothAt("a", 10, 21, 71, 71), BothAt("a", 11, 21, 71, 71), BothAt("b", 20, 20, 81, 81)]
    assert h.rows("raw", FullPayment) == paid
    assert h.timers_of("a") == []
    assert h.timers_of("c") == [SetTimer("remind", 5)]
    assert h.list_of("pending", "c") == [30]
    # Only rows of port payments have the columns of port raw.
    h.send("orders", FullOrder("d", -1))
    h.advance_watermark(5)
    errors = h.errors()
    assert [(e.port, e.timer) for e in errors] == [("orders", ""), ("", "remind")]
    for e in errors:
        assert e.message.startswith(
            "RuntimeError: port raw passes columns of input payments through: only rows of it can be emitted there\n"
        )
    assert h.logs()[0] == "test pairing 5"


@tidemill.row
class Drawn:
    drawn: float
    now: Timestamp


class Dice(tidemill.Operator):
    in_: In[int]
    out: Out[Drawn]

    def on_in(self, value: int) -> None:
        self.out.emit(Drawn(self.random.random(), self.processing_time))


def test_random_numbers_and_time_come_from_the_host() -> None:
    def draw() -> list[Drawn]:
        h = Harness(Dice)
        rows = []
        for now in range(3):
            h.advance_processing_time(now * 1000)
            h.send("in", 0, 0)
            rows += h.rows("out", Drawn)
        return rows

    random.seed(1)
    first = draw()
    random.seed(2)
    assert draw() == first
    assert len({d.drawn for d in first}) == 6
    assert [d.now for d in first] == [0, 0, 1000, 1000, 2000, 2000]


@tidemill.map
def halve(value: float) -> F32:
    return value / 2


def test_floats_are_those_of_their_column() -> None:
    h = Harness(halve)
    h.send("in", 0.2, 1e308, math.inf, 1)
    assert h.rows("out", float) == [0.10000000149011612, math.inf, math.inf, 0.5]


class Endless(tidemill.Operator):
    """Calls itself."""

    in_: In[int]

    def on_in(self, value: int) -> None:
        if value == 0:
            raise KeyError("nobody")
        self.on_in(value - 1)


@pytest.mark.parametrize("depth", [0, 3, 50, 100_000])
def test_a_traceback_has_the_lines_of_the_operator(depth: int) -> None:
    h = Harness(Endless, on_error="skip")
    h.send("in", depth)
    (error,) = h.errors()
    line = Endless.on_in.__code__.co_firstlineno
    call = f'  File "{__file__}", line {line + 3}, in on_in\n    self.on_in(value - 1)\n'
    head, _, traceback = error.message.partition("\nTraceback (most recent call last):\n")
    if depth > 1000:
        assert head.startswith("RecursionError: maximum recursion depth exceeded")
        assert error.place.startswith(f"{__file__}:")
        assert len(error.message) < 2000
        return
    assert head == "KeyError: 'nobody'"
    assert error.place == f"{__file__}:{line + 2}"
    last = f'  File "{__file__}", line {line + 2}, in on_in\n    raise KeyError("nobody")'
    if depth <= 3:
        assert traceback == call * depth + last
    else:
        repeated = call * 3 + "  [Previous line repeated {} more time{}]\n"
        assert traceback == repeated.format(1, "") + "  ...\n" + repeated.format(12, "s") + last

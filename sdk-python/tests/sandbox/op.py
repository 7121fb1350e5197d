"""Operators that run in the harness and in the sandbox: one that makes every mistake, others that use every type."""

from __future__ import annotations

from array import array
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Annotated, Any, TypeAlias

import tidemill
from tidemill import (
    F32,
    I8,
    I16,
    I32,
    Batch,
    BatchIn,
    BatchOut,
    Column,
    Counter,
    DatetimeTZ,
    EventTime,
    Fired,
    In,
    Key,
    KeyRow,
    List,
    Map,
    Out,
    Timer,
    Timestamp,
    Value,
)


@tidemill.row
class Mistake:
    name: str


@tidemill.row
class Named(KeyRow):
    text: str


Money: TypeAlias = Annotated[Decimal, tidemill.decimal(20, 4)]


@tidemill.row
class Priced:
    amount: Money
    tags: list[I8]


@tidemill.row
class Small:
    i8: I8
    f32: F32
    flag: bool
    data: bytes
    time: Timestamp | None


class Careless(tidemill.Operator):
    """Makes the mistake that a row names."""

    mistakes: In[Mistake]
    named: Out[Named]
    small: Out[Small]
    one: Out[int]
    priced: Out[Priced]
    key: Key[str]
    count: Value[int]
    map: Map[str, int]
    rows: Map[str, Small]
    amounts: Map[Money, list[Money]]
    list: List[int]
    tick: Timer
    seen: Counter

    def on_mistakes(self, mistake: Mistake) -> Any:
        return getattr(self, mistake.name)()

    def long_tag(self) -> None:
        self.tick.set(0, "x" * 257)

    def float_time(self) -> None:
        self.tick.set(1.5)  # type: ignore[arg-type]

    def far_time(self) -> None:
        self.tick.set(1 << 63)

    def bytes_tag(self) -> None:
        self.tick.set(0, b"tag")  # type: ignore[arg-type]

    def shrink(self) -> None:
        self.seen.add(-1)

    def none(self) -> None:
        self.count.set(None)  # type: ignore[arg-type]

    def text(self) -> None:
        self.list.append("1")  # type: ignore[arg-type]

    def large(self) -> None:
        self.count.set(1 << 63)

    def dict_row(self) -> None:
        self.named.emit({"text": "x"})  # type: ignore[arg-type]

    def surrogate(self) -> None:
        self.named.emit(Named("\ud800"))

    def returns(self) -> int:
        return 1

    def map_key(self) -> None:
        self.map.get(1)  # type: ignore[call-overload]

    def map_none(self) -> None:
        self.map.delete(None)  # type: ignore[arg-type]

    def map_row(self) -> None:
        self.rows.set("a", 3)  # type: ignore[arg-type]

    def out_of_range(self) -> None:
        self.small.emit(Small(128, 0.0, True, b"", None))

    def text_float(self) -> None:
        self.small.emit(Small(1, "x", True, b"", None))  # type: ignore[arg-type]

    def int_bool(self) -> None:
        self.small.emit(Small(1, 1.0, 1, b"", None))  # type: ignore[arg-type]

    def text_bytes(self) -> None:
        self.small.emit(Small(1, 1.0, True, "x", None))  # type: ignore[arg-type]

    def float_timestamp(self) -> None:
        self.small.emit(Small(1, 1.0, True, b"", 1.5))  # type: ignore[arg-type]

    def text_number(self) -> None:
        self.one.emit("x")  # type: ignore[arg-type]

    def float_amount(self) -> None:
        self.priced.emit(Priced(1.5, []))  # type: ignore[arg-type]

    def fine_amount(self) -> None:
        self.priced.emit(Priced(Decimal("1.00005"), []))

    def great_amount(self) -> None:
        self.priced.emit(Priced(Decimal("1E+16"), []))

    def no_amount(self) -> None:
        self.priced.emit(Priced(Decimal("-NaN"), []))

    def text_list(self) -> None:
        self.priced.emit(Priced(Decimal(1), "abc"))  # type: ignore[arg-type]

    def text_element(self) -> None:
        self.priced.emit(Priced(Decimal(1), [1, "b"]))  # type: ignore[list-item]

    def large_element(self) -> None:
        self.priced.emit(Priced(Decimal(1), [1, 200]))

    def no_element(self) -> None:
        self.amounts.set(Decimal(1), [None])  # type: ignore[list-item]

    def fine_key(self) -> None:
        self.amounts.get(Decimal("0.00005"))

    def fine_element(self) -> None:
        self.amounts.set(Decimal(1), [Decimal("0.00005")])

    def recurse(self) -> None:
        self.recurse()

    def clean(self) -> None:
        raise tidemill.Error("a clean text")

    def key_error(self) -> None:
        dict[str, int]()["nobody"]

    def leave(self) -> None:
        raise SystemExit(3)

    def assertion(self) -> None:
        assert self.key.get() == "x", "wrong"

    def chained(self) -> None:
        try:
            self.key_error()
        except KeyError as e:
            raise ValueError("from another") from e

    def none_of_these(self) -> None:
        self.small.emit(Small(True, 1, True, bytearray(b"x"), 5))  # type: ignore[arg-type]
        self.one.emit(True)
        self.priced.emit(Priced(Decimal("-1.5"), (1, 2)))  # type: ignore[arg-type]
        self.named.emit(Named(f"{self.count.has()} {self.map.get('x', 7)} {len(self.list)}"))

    def on_tick(self, fired: Fired) -> None: ...


@tidemill.row
class Measures:
    sensor: Column[str]
    value: Column[float | None]
    good: Column[bool]
    spare: Column[I32]
    at: Column[EventTime]


@tidemill.row
class ScaledColumns:
    sensor: Column[str] = tidemill.from_input()
    twice: Column[float | None]
    bad: Column[bool]
    label: Column[str]
    odd: Column[I32 | None]


@tidemill.row
class Total(KeyRow):
    n: int
    at: EventTime


class Scaler(tidemill.Operator):
    """Works on columns, and counts by key beside it."""

    measures: BatchIn[Measures]
    scaled: BatchOut[ScaledColumns]
    good: BatchOut[tidemill.InputRow]
    totals: Out[Total]
    count: Value[int]

    def on_measures(self, batch: Batch[Measures]) -> None:
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
                self.totals.emit(Total(n, c.at[i] + 1))
        self.scaled.emit(
            ScaledColumns(
                twice=Column(batch.rows, array("d", [2 * v for v in c.value.values]), validity=c.value.validity),
                bad=Column.of(not good for good in c.good),
                label=Column.of(text + "!" for text in c.sensor),
                odd=Column.of(v if v % 2 else None for v in c.spare),
            )
        )
        self.good.emit_for(items, tidemill.InputRow())


@tidemill.row
class Mix:
    at: datetime
    day: date
    f: F32
    i8: I8
    i16: I16 | None
    zoned: DatetimeTZ
    wide: float


@tidemill.map
def mix(row: Mix) -> Mix:
    row.f /= 3
    row.i8 = -row.i8
    return row


@tidemill.row
class Basket:
    shop: str
    amount: Money
    share: Annotated[Decimal | None, tidemill.decimal(38, 38)]
    tags: list[str]
    sizes: list[I16] | None
    flags: list[bool]
    prices: list[Money]
    at: list[datetime]


@tidemill.row
class Seen:
    amounts: list[Money]
    before: list[str] | None
    all_tags: list[str]
    found: list[Money] | None


class Baskets(tidemill.Operator):
    """Keeps decimals and lists in every kind of state, and gives back what it reads."""

    baskets: In[Basket]
    same: Out[Basket]
    seen: Out[Seen]
    last: Value[Basket]
    tags: List[list[str]]
    by_amount: Map[Money, Basket] = tidemill.state(prefetch=True)
    prices: Map[Money, list[Money]]

    def on_baskets(self, basket: Basket) -> None:
        with localcontext(prec=2):  # what an operator sets for itself changes no values
            self.run(basket)

    def run(self, basket: Basket) -> None:
        before = self.last.get()
        self.last.set(basket)
        self.tags.append(basket.tags)
        self.by_amount.set(basket.amount, basket)
        self.prices.set(basket.amount, basket.prices)
        basket.tags.append("is not kept")
        basket.tags.pop()
        self.same.emit(self.by_amount.get(basket.amount) or basket)
        self.seen.emit(
            Seen(
                [amount for amount, _ in self.by_amount.items()],
                None if before is None else before.tags,
                [tag for tags in self.tags for tag in tags][-20:],
                self.prices.get(Decimal("7.0000")),
            )
        )


@tidemill.row
class BasketColumns:
    amount: Column[Money]
    tags: Column[list[str]]
    sizes: Column[list[I16] | None]
    prices: Column[list[Money]]


@tidemill.row
class EmittedBaskets:
    shop: Column[str] = tidemill.from_input()
    at: Column[list[datetime]] = tidemill.from_input()
    amount: Column[Money]
    half: Column[Money | None]
    tags: Column[list[str]]
    sizes: Column[list[I16] | None]
    prices: Column[list[Money]]


class BasketsByColumns(tidemill.Operator):
    """Gives back decimals and lists as columns."""

    baskets: BatchIn[BasketColumns]
    same: BatchOut[EmittedBaskets]
    brief: Value[int] = tidemill.state(ttl=timedelta(days=1))

    def on_baskets(self, batch: Batch[BasketColumns]) -> None:
        c, n = batch.columns, batch.rows
        for i in range(n):
            batch.select(i)
            self.brief.set(self.brief.get(0) + 1)
        self.same.emit(
            EmittedBaskets(
                amount=Column(n, c.amount.values),
                half=Column.of(a if a < 0 else None for a in c.amount),
                tags=Column(n, c.tags.values, c.tags.offsets),
                sizes=Column.of(c.sizes),
                prices=Column(n, c.prices.values, c.prices.offsets, c.prices.validity),
            )
        )

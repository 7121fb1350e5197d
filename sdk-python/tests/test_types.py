"""Decimals and lists: as rows, columns, state and keys, and what is refused."""

from __future__ import annotations

import decimal
import random
from array import array
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, TypeAlias

import pytest

import tidemill
from tidemill import F32, I8, Batch, BatchIn, BatchOut, Column, Date, In, Key, List, Map, Out, Value
from tidemill._column import buffers, lay_out
from tidemill._types import type_of
from tidemill._values import fitted, scaled, unpack_decimal, unscaled
from tidemill.testing import Harness

Money: TypeAlias = Annotated[Decimal, tidemill.decimal(12, 2)]
Widest: TypeAlias = Annotated[Decimal, tidemill.decimal(38, 38)]


@tidemill.row
class Order:
    amount: Money
    share: Widest | None
    tags: list[str]
    sizes: list[I8] | None
    flags: list[bool]
    days: list[Date]
    prices: list[Money]
    blobs: list[bytes]
    ratios: list[F32]


@tidemill.map
def same(row: Order) -> Order:
    return row


@tidemill.row
class PassedOrder:
    amount: Money = tidemill.from_key()
    tags: list[str] = tidemill.from_input()
    prices: list[Money] = tidemill.from_input("prices")
    twice: Annotated[Decimal, tidemill.decimal(13, 2)]


@tidemill.row
class WideAmount:
    amount: Annotated[Decimal, tidemill.decimal(38, 2)]


class Passing(tidemill.Operator):
    """Passes decimals and lists through."""

    in_: In[WideAmount]
    out: Out[PassedOrder]
    key: Key[Money]

    def on_in(self, row: WideAmount) -> None:
        assert row.amount == self.key.get()
        self.out.emit(PassedOrder(2 * row.amount))


def order(r: random.Random) -> Order:
    def money() -> Decimal:
        return Decimal(r.choice([0, 1, -1, 10**12 - 1, 1 - 10**12, r.randrange(-(10**12) + 1, 10**12)])).scaleb(-2)

    def some(make: Any) -> list[Any]:
        return [make() for _ in range(r.choice([0, 0, 1, 2, 9]))]

    return Order(
        amount=money(),
        share=None if r.random() < 0.3 else scaled(r.randrange(-(10**38) + 1, 10**38), 38),
        tags=some(lambda: "ü" * r.randrange(3)),
        sizes=None if r.random() < 0.3 else some(lambda: r.randrange(-128, 128)),
        flags=some(lambda: r.random() < 0.5),
        days=some(lambda: r.randrange(-99, 99)),
        prices=some(money),
        blobs=some(lambda: r.randbytes(r.randrange(3))),
        ratios=some(lambda: r.randrange(-64, 64) / 8),
    )


@pytest.mark.parametrize("seed", range(5))
def test_decimals_and_lists_go_through(seed: int) -> None:
    r = random.Random(seed)
    rows = [order(r) for _ in range(50)]
    h = Harness(same, shake=seed)
    h.send("in", *rows)
    got = h.rows("out", Order)
    assert got == rows
    assert [str(g.amount) for g in got] == [str(w.amount) for w in rows]
    assert all(type(g.tags) is list for g in got)


def test_a_dict_has_decimals_and_lists() -> None:
    h = Harness(same)
    h.send("in", Order(Decimal("1.5"), None, ["a", "b"], None, [], [3], [Decimal(7)], [b"x"], []))
    (got,) = h.rows("out")
    assert (str(got["amount"]), [str(p) for p in got["prices"]]) == ("1.50", ["7.00"])
    assert (got["tags"], got["days"]) == (["a", "b"], [3])


def test_a_list_is_copied_when_it_is_emitted() -> None:
    kept: list[str] = []

    @tidemill.map
    def keeps(value: int) -> list[str]:
        kept.append(str(value))
        return kept

    h = Harness(keeps)
    h.send("in", 1, 2)
    assert h.rows("out", list[str]) == [["1"], ["1", "2"]]


def test_they_are_passed_through() -> None:
    h = Harness(Passing, key=["amount"], inputs={"in": Order})
    h.send("in", Order(Decimal("-0.01"), None, ["x"], None, [], [], [Decimal("2.50")], [], []))
    assert h.rows("out") == [
        {"amount": Decimal("-0.01"), "tags": ["x"], "prices": [Decimal("2.50")], "twice": Decimal("-0.02")}
    ]


DO_NOT_FIT = {
    name: f"ValueError: column amount: {name} does not fit decimal128(12,2)"
    for name in ("1.005", "10000000000", "1E+10", "1E+999999", "1E-999999", "NaN", "sNaN", "-Infinity")
}


class Refused(tidemill.Operator):
    """Writes what does not fit."""

    name: In[str]
    amount: Out[Order]
    total: Value[Money]
    by_amount: Map[Money, list[str]]

    def on_name(self, name: str) -> None:
        row = Order(Decimal(), None, [], None, [], [], [], [], [])
        match name:
            case "float":
                row.amount = 1.5  # type: ignore[assignment]
            case "int":
                row.amount = 1  # type: ignore[assignment]
            case "none":
                row.amount = None  # type: ignore[assignment]
            case "text":
                row.tags = "abc"  # type: ignore[assignment]
            case "element":
                row.sizes = [1, 128]
            case "no element":
                row.tags = ["a", None]  # type: ignore[list-item]
            case "price":
                row.prices = [Decimal("0.001")]
            case "state":
                self.total.set(Decimal("0.001"))
            case "key":
                self.by_amount.set(Decimal("0.001"), [])
            case "value":
                self.by_amount.set(Decimal(1), {"a"})  # type: ignore[arg-type]
            case _:
                row.amount = Decimal(name)
        self.amount.emit(row)


@pytest.mark.parametrize(
    ("name", "want"),
    [
        *DO_NOT_FIT.items(),
        ("float", "TypeError: column amount: it takes Decimal, not float"),
        ("int", "TypeError: column amount: it takes Decimal, not int"),
        ("none", "TypeError: column amount: it cannot be None"),
        ("text", "TypeError: column tags: it takes list, not str"),
        ("element", "OverflowError: column sizes[]: 128 is out of the range of i8"),
        ("no element", "TypeError: column tags[]: it cannot be None"),
        ("price", "ValueError: column prices[]: 0.001 does not fit decimal128(12,2)"),
        ("state", "ValueError: column value: 0.001 does not fit decimal128(12,2)"),
        ("key", "ValueError: column key: 0.001 does not fit decimal128(12,2)"),
        ("value", "TypeError: column value: it takes list, not set"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, want: str) -> None:
    h = Harness(Refused, key=["value"], on_error="skip")
    h.send("name", name)
    (error,) = h.errors()
    assert error.message.splitlines()[0] == want
    assert error.place.startswith(f"{__file__}:")


@pytest.mark.parametrize("seed", range(20))
def test_decimals_are_exact(seed: int) -> None:
    """Numbers of all sizes against fractions, in a context of the user's that would round nearly all of them."""
    r = random.Random(seed)
    with decimal.localcontext(decimal.Context(prec=3, traps=[], capitals=0)):
        for _ in range(200):
            precision = r.randrange(1, 39)
            scale = r.randrange(precision + 1)
            value = Decimal((r.randrange(2), [r.randrange(10) for _ in range(r.randrange(1, 45))], r.randrange(-45, 8)))
            number = Fraction(value) * 10**scale
            fits = number.denominator == 1 and abs(number) < 10**precision
            column = type_of(f"decimal128({precision},{scale})")
            try:
                plain = fitted(value, "n", column)
            except ValueError:
                assert not fits, value
                continue
            assert fits, value
            assert unscaled(plain, scale) == number
            assert str(plain) == str(scaled(int(number), scale))
            assert unpack_decimal(lay_out([plain], column).values, 0) == number
            assert plain.as_tuple().exponent == -scale


@tidemill.row
class Sale:
    shop: int
    amount: Money
    tags: list[str]


class Totals(tidemill.Operator):
    """Counts sales by amount and remembers their tags."""

    in_: In[Sale]
    out: Out[list[Annotated[Decimal, tidemill.decimal(12, 2)]]]
    seen: Map[Money, int]
    last: Value[list[str]]
    all_: List[list[str]]

    def on_in(self, row: Sale) -> None:
        self.seen.set(row.amount, self.seen.get(row.amount, 0) + 1)
        self.last.set(row.tags)
        row.tags.append("is not kept")
        read = self.last.get([])
        self.all_.append(read)
        read.append("nor is this")
        self.out.emit([amount for amount, _ in self.seen.items()])


def test_state_has_decimals_and_lists() -> None:
    h = Harness(Totals, key=["shop"], shake=3)
    amounts = ["3.00", "-7.5", "0", "-0.00", "3", "20", "1E+1"]
    h.send("in", *[Sale(1, Decimal(a), [a]) for a in amounts])
    want = ["-7.50", "0.00", "3.00", "10.00", "20.00"]
    assert [str(a) for a in h.rows("out", list[Money])[-1]] == want
    assert [(str(k), n) for k, n in h.map_of("seen", 1)] == list(zip(want, [1, 2, 2, 1, 1]))
    assert h.value_of("last", 1) == ["1E+1"]
    assert h.list_of("all", 1) == [[a] for a in amounts]


@tidemill.row
class SaleColumns:
    shop: Column[int]
    amount: Column[Money]
    tags: Column[list[str]]


@tidemill.row
class EmittedColumns:
    amount: Column[Money | None]
    tags: Column[list[str]]
    numbers: Column[list[int] | None]


class ByColumns(tidemill.Operator):
    """Emits what it gets, once by values and once by buffers."""

    in_: BatchIn[SaleColumns]
    out: BatchOut[EmittedColumns]

    def on_in(self, batch: Batch[SaleColumns]) -> None:
        c, n = batch.columns, batch.rows
        numbers = [None if shop % 3 == 0 else [shop] * (shop % 3) for shop in c.shop]
        self.out.emit(EmittedColumns(Column.of(c.amount), Column.of(c.tags), Column.of(numbers)))
        flat = array("q", [number for row in numbers for number in row or ()])
        offsets = array("i", [0])
        for row in numbers:
            offsets.append(offsets[-1] + len(row or ()))
        amounts = Column[Money | None](n, c.amount.values, validity=c.amount.validity)
        tags = Column[list[str]](n, Column(len(c.tags.values), c.tags.values.values, c.tags.values.offsets), c.tags.offsets)
        validity = tidemill.bits(row is not None for row in numbers)
        self.out.emit(EmittedColumns(amounts, tags, Column(n, Column(len(flat), flat), offsets, validity)))


@pytest.mark.parametrize("shake", range(3))
def test_columns_of_decimals_and_lists(shake: int) -> None:
    r = random.Random(shake)
    sales = [Sale(i, order(r).amount, order(r).tags) for i in range(40)]
    h = Harness(ByColumns, shake=shake)
    h.send("in", *sales)
    want = [{"amount": s.amount, "tags": s.tags, "numbers": [s.shop] * (s.shop % 3) or None} for s in sales]
    got = h.rows("out")
    assert sorted(got, key=repr) == sorted(want + want, key=repr)


def test_columns_that_do_not_fit_are_refused() -> None:
    money = type_of("decimal128(3,2)")
    numbers = type_of("list<i64>")

    def emit(column: Column[Any], type: Any, nullable: bool = False, rows: int = 1) -> None:
        buffers(column, "n", type, 8 if type is money else 9, nullable, 2, rows)

    emit(Column(1, (999).to_bytes(16, "little")), money)
    emit(Column(2, (1000).to_bytes(16, "little") + bytes(16), validity=b"\2"), money, True, 2)
    with pytest.raises(ValueError, match=r"column n: -1000 without its point does not fit decimal128\(3,2\)"):
        emit(Column(1, (-1000).to_bytes(16, "little", signed=True)), money)
    with pytest.raises(ValueError, match="column n of an emitted batch has 15 bytes of values, its rows need 16"):
        emit(Column(1, bytes(15)), money)
    with pytest.raises(TypeError, match=r"column n: its elements have 8 bytes, those of decimal128\(3,2\) 16"):
        emit(Column(1, array("q", [1, 0])), money)
    with pytest.raises(ValueError, match=r"column n\[\] of an emitted batch has 3 rows, there must be 2"):
        emit(Column(1, Column(3, array("q", [1, 2, 3])), array("i", [0, 2])), numbers)
    with pytest.raises(TypeError, match=r"column n\[\]: it takes Column, not array"):
        emit(Column(1, array("q", [1, 2]), array("i", [0, 2])), numbers)
    with pytest.raises(TypeError, match=r"column n\[\]: it cannot be None"):
        emit(Column(1, Column(1, array("q", [1]), validity=b"\0"), array("i", [0, 1])), numbers)
    with pytest.raises(ValueError, match="column n of an emitted batch has no offsets"):
        emit(Column(1, Column(1, array("q", [1]))), numbers)

"""Columns of the batch interface."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, Iterator
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from tidemill import _types as types
from tidemill._types import Type
from tidemill._values import pack_decimals, scaled, to_plain, unpack_decimal

T = TypeVar("T")

Buffer: TypeAlias = Any
"""Anything with the buffer protocol: memoryview, bytes, bytearray, array.array."""

# Formats of memoryviews and arrays by column type; bool, decimal128, utf8 and binary are bytes.
FORMATS: dict[int, Any] = {
    1: "B",
    2: "b",
    3: "h",
    4: "i",
    5: "q",
    6: "f",
    7: "d",
    8: "B",
    9: "i",
    11: "q",
    12: "q",
    13: "B",
    14: "B",
}


class Column(Generic[T]):
    """A column of a batch, in Arrow's layout. T is the type of its values, Optional where there may be nulls.

    A column of an input has memoryviews of the frame, which end with the callback. Indexing it and looping over it make
    Python objects, one at a time; ``values`` is the fast way to numbers::

        total = sum(batch.columns.amount.values)

    A column for output is made of buffers, ``Column(n, values)``, or by ``Column.of`` of any values. In a module the
    buffers are not copied, so they must not change before the callback returns.
    """

    __slots__ = ("length", "offsets", "scale", "type", "validity", "values")

    def __init__(
        self, length: int, values: Buffer, offsets: Buffer = None, validity: Buffer = None, type: int = 0, scale: int = 0
    ) -> None:
        self.length = length
        """The number of rows."""
        self.values = values
        """Numbers: an element a row; bool: a bit a row, bit i % 8 of byte i // 8; decimals: 16 bytes a row, the number
        without its point, little-endian in two's complement; str and bytes: the bytes of all rows; lists: the ``Column`` of
        the elements of all rows."""
        self.offsets = offsets
        """Of str, bytes and lists: row i is ``values[offsets[i]:offsets[i + 1]]``; None for other columns."""
        self.validity = validity
        """A bit a row, 0 where the row is null; None where no row is."""
        self.type = type
        """The number of the column's type in SPEC.md; 0 of a column for output, whose annotation says it."""
        self.scale = scale
        """How many digits of a decimal stand behind the point."""

    @staticmethod
    def of(values: Iterable[T]) -> Column[T]:
        """A column for output of Python objects, as rows have them. They are laid out when the column is emitted."""
        plain = list(values)
        return Column(len(plain), plain)

    def __len__(self) -> int:
        return self.length

    def null(self, i: int) -> bool:
        """Whether row i is null."""
        return self.validity is not None and not self.validity[i >> 3] >> (i & 7) & 1

    def __getitem__(self, i: int) -> T:
        if not 0 <= i < self.length:
            raise IndexError("there is no such row")
        return self._at(i)

    def __iter__(self) -> Iterator[T]:
        return map(self._at, range(self.length))

    def _at(self, i: int) -> T:
        value: Any
        if self.validity is not None and self.null(i):
            value = None
        elif self.type == types.LIST:
            value = [self.values[k] for k in range(self.offsets[i], self.offsets[i + 1])]
        elif self.offsets is not None:
            value = bytes(self.values[self.offsets[i] : self.offsets[i + 1]])
            if self.type == types.TYPES["utf8"]:
                value = value.decode()
        elif self.type == types.TYPES["bool"]:
            value = bool(self.values[i >> 3] >> (i & 7) & 1)
        elif self.type == types.DECIMAL:
            value = scaled(unpack_decimal(self.values, i), self.scale)
        else:
            value = self.values[i]
        result: T = value
        return result


class Buffers(NamedTuple):
    """What a column is written as: bytes-like objects, None for a buffer that is absent."""

    rows: int
    values: Buffer
    offsets: Buffer
    validity: Buffer
    nulls: int
    element: Buffers | None  # of a list, its elements


def buffers(column: Any, name: str, type: Type, form: int, nullable: bool, element: int, rows: int) -> Buffers:
    """The buffers of an emitted column.

    Raises TypeError where it is no column of that type, ValueError where it has not that many rows.
    """
    if not isinstance(column, Column):
        raise TypeError(f"column {name}: it takes Column, not {column.__class__.__name__}")
    if column.length != rows:
        raise ValueError(f"column {name} of an emitted batch has {column.length} rows, there must be {rows}")
    if rows == 0:
        return lay_out([], type)
    if isinstance(column.values, list):
        return lay_out([to_plain(v, name, type, form, nullable, element) for v in column.values], type)
    nulls = 0
    validity = None
    if column.validity is not None:
        validity = _sized(column.validity, name, "validity", (rows + 7) // 8)
        nulls = rows - _ones(validity, rows)
        if nulls and not nullable:
            raise TypeError(f"column {name}: it cannot be None")
        if not nulls:
            validity = None
    offsets = None
    if type.number in types.TEXTS or type.element:
        offsets = _sized(column.offsets, name, "offsets", 4 * (rows + 1))
    if type.element:
        assert offsets is not None
        count = int.from_bytes(offsets[-4:], "little", signed=True)
        elements = buffers(column.values, name + "[]", type.element, element, False, 0, count)
        return Buffers(rows, None, offsets, validity, nulls, elements)
    values = memoryview(column.values)
    if type.number in types.TEXTS:
        return Buffers(rows, values.cast("B"), offsets, validity, nulls, None)
    width = types.WIDTHS[type.number]
    if values.itemsize not in (1, array(FORMATS[type.number]).itemsize):
        raise TypeError(f"column {name}: its elements have {values.itemsize} bytes, those of {type} {width}")
    values = _sized(values, name, "values", (rows + 7) // 8 if type.number == types.TYPES["bool"] else rows * width)
    if type.number == types.DECIMAL:
        _check_decimals(column, values, name, type)
    return Buffers(rows, values, None, validity, nulls, None)


def _check_decimals(column: Column[Any], values: memoryview, name: str, type: Type) -> None:
    """Refuses decimals of too many digits."""
    bound = 10**type.precision
    for i in range(column.length):
        number = unpack_decimal(values, i)
        if not -bound < number < bound and not column.null(i):
            raise ValueError(f"column {name}: {number} without its point does not fit {type}")


def _sized(buffer: Buffer, name: str, what: str, size: int) -> memoryview:
    if buffer is None:
        raise ValueError(f"column {name} of an emitted batch has no {what}")
    view = memoryview(buffer).cast("B")
    if view.nbytes < size:
        raise ValueError(f"column {name} of an emitted batch has {view.nbytes} bytes of {what}, its rows need {size}")
    return view[:size]


def _ones(validity: memoryview, rows: int) -> int:
    return (int.from_bytes(validity, "little") & ((1 << rows) - 1)).bit_count()


def bits(flags: Iterable[Any]) -> bytes:
    """A bit for each flag, least significant first: what ``Column.validity`` and columns of bool hold."""
    total = 0
    n = 0
    for n, flag in enumerate(flags, 1):
        if flag:
            total |= 1 << (n - 1)
    return total.to_bytes((n + 7) // 8, "little")


def lay_out(plain: list[Any], type: Type) -> Buffers:
    """The buffers of plain values; what stands under a null is zero."""
    rows = len(plain)
    nulls = plain.count(None)
    validity = bits(v is not None for v in plain) if nulls else None
    if type.element:
        lists = [() if v is None else v for v in plain]
        elements = lay_out(list(itertools.chain.from_iterable(lists)), type.element)
        return Buffers(rows, None, _offsets(lists), validity, nulls, elements)
    if type.number in types.TEXTS:
        texts = [b"" if v is None else v.encode() if isinstance(v, str) else v for v in plain]
        return Buffers(rows, b"".join(texts), _offsets(texts), validity, nulls, None)
    if type.number == types.TYPES["bool"]:
        values: Buffer = bits(plain)
    elif type.number == types.DECIMAL:
        values = pack_decimals(plain, type.scale)
    else:
        values = array(FORMATS[type.number], [0 if v is None else v for v in plain] if nulls else plain)
    return Buffers(rows, values, None, validity, nulls, None)


def _offsets(rows: Iterable[Any]) -> array[int] | None:
    """Where rows of some length end, and the first begins; None where there are no rows."""
    offsets = array("i", itertools.accumulate(map(len, rows), initial=0))
    return offsets if len(offsets) > 1 else None

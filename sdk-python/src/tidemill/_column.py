"""Columns of the batch interface."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, Iterator
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from tidemill import _types as types
from tidemill._values import to_plain

T = TypeVar("T")

Buffer: TypeAlias = Any
"""Anything with the buffer protocol: memoryview, bytes, bytearray, array.array."""

# Formats of memoryviews and arrays by column type; bool, utf8 and binary are bytes.
FORMATS: dict[int, Any] = {
    1: "B",
    2: "b",
    3: "h",
    4: "i",
    5: "q",
    6: "f",
    7: "d",
    9: "i",
    11: "q",
    12: "q",
    13: "B",
    14: "B",
}

_TEXTS = (types.TYPES["utf8"], types.TYPES["binary"])


class Column(Generic[T]):
    """A column of a batch, in Arrow's layout. T is the type of its values, Optional where there may be nulls.

    A column of an input has memoryviews of the frame, which end with the callback. Indexing it and looping over it make
    Python objects, one at a time; ``values`` is the fast way to numbers::

        total = sum(batch.columns.amount.values)

    A column for output is made of buffers, ``Column(n, values)``, or by ``Column.of`` of any values. In a module the
    buffers are not copied, so they must not change before the callback returns.
    """

    __slots__ = ("length", "offsets", "type", "validity", "values")

    def __init__(self, length: int, values: Buffer, offsets: Buffer = None, validity: Buffer = None, type: int = 0) -> None:
        self.length = length
        """The number of rows."""
        self.values = values
        """Numbers: an element a row; bool: a bit a row, bit i % 8 of byte i // 8; str and bytes: the bytes of all rows."""
        self.offsets = offsets
        """Of str and bytes: row i is ``values[offsets[i]:offsets[i + 1]]``; None for other columns."""
        self.validity = validity
        """A bit a row, 0 where the row is null; None where no row is."""
        self.type = type
        """The number of the column's type in SPEC.md; 0 of a column for output, whose annotation says it."""

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
        elif self.offsets is not None:
            value = bytes(self.values[self.offsets[i] : self.offsets[i + 1]])
            if self.type == types.TYPES["utf8"]:
                value = value.decode()
        elif self.type == types.TYPES["bool"]:
            value = bool(self.values[i >> 3] >> (i & 7) & 1)
        else:
            value = self.values[i]
        result: T = value
        return result


class Buffers(NamedTuple):
    """What a column is written as: bytes-like objects, None for a buffer that is absent."""

    values: Buffer
    offsets: Buffer
    validity: Buffer
    nulls: int


def buffers(column: Any, name: str, type: int, form: int, nullable: bool, rows: int) -> Buffers:
    """The buffers of an emitted column.

    Raises TypeError where it is no column of that type, ValueError where it has not that many rows.
    """
    if not isinstance(column, Column):
        raise TypeError(f"column {name}: it takes Column, not {column.__class__.__name__}")
    if column.length != rows:
        raise ValueError(f"column {name} of an emitted batch has {column.length} rows, the batch has {rows}")
    if rows == 0:
        return Buffers(b"", None, None, 0)
    if isinstance(column.values, list):
        return lay_out([to_plain(v, name, type, form, nullable) for v in column.values], type)
    nulls = 0
    validity = None
    if column.validity is not None:
        validity = _sized(column.validity, name, "validity", (rows + 7) // 8)
        nulls = rows - _ones(validity, rows)
        if nulls and not nullable:
            raise TypeError(f"column {name}: it cannot be None")
        if not nulls:
            validity = None
    if type in _TEXTS:
        offsets = _sized(column.offsets, name, "offsets", 4 * (rows + 1))
        return Buffers(memoryview(column.values).cast("B"), offsets, validity, nulls)
    size = (rows + 7) // 8 if type == types.TYPES["bool"] else rows * types.WIDTHS[type]
    view = memoryview(column.values)
    if view.itemsize != memoryview(bytes(8)).cast("B").cast(FORMATS[type]).itemsize and view.itemsize != 1:
        raise TypeError(
            f"column {name}: its elements have {view.itemsize} bytes, those of {types.TYPE_NAMES[type]} {types.WIDTHS[type]}"
        )
    return Buffers(_sized(view, name, "values", size), None, validity, nulls)


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


def lay_out(plain: list[Any], type: int) -> Buffers:
    """The buffers of plain values; what stands under a null is zero."""
    nulls = plain.count(None)
    validity = bits(v is not None for v in plain) if nulls else None
    if type in _TEXTS:
        texts = [b"" if v is None else v.encode() if isinstance(v, str) else v for v in plain]
        offsets = array("i", itertools.accumulate(map(len, texts), initial=0))
        return Buffers(b"".join(texts), offsets, validity, nulls)
    if type == types.TYPES["bool"]:
        return Buffers(bits(plain), None, validity, nulls)
    return Buffers(array(FORMATS[type], [0 if v is None else v for v in plain] if nulls else plain), None, validity, nulls)

"""Values: between the Python objects of rows and the plain values of columns.

A plain value is None, a bool, an int (whole numbers, microseconds, days), a float, a Decimal with just the digits behind
the point that its column has, a str, bytes, or a tuple of these for a list.
"""

from __future__ import annotations

import functools
from array import array
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any

from tidemill import _types as types
from tidemill._operator import date_of, time_of, timestamp
from tidemill._types import Type

_EPOCH_DAY = date(1970, 1, 1).toordinal()

# Whole numbers: the range of each type.
RANGES = {2: 1 << 7, 3: 1 << 15, 4: 1 << 31, 5: 1 << 63, 9: 1 << 31, 11: 1 << 63, 12: 1 << 63}

_WANTED = {
    types.FORM_BOOL: "bool",
    types.FORM_INT: "int",
    types.FORM_FLOAT: "float",
    types.FORM_STR: "str",
    types.FORM_BYTES: "bytes",
    types.FORM_DATETIME: "datetime",
    types.FORM_DATE: "date",
    types.FORM_DECIMAL: "Decimal",
    types.FORM_LIST: "list",
}


def to_plain(value: Any, name: str, type: Type, form: int, nullable: bool, element: int = 0) -> Any:
    """The plain value of an object for a column, by the rules in the docstring of ``_declare``."""
    if value is None:
        if nullable:
            return None
        raise TypeError(f"column {name}: it cannot be None")
    if form == types.FORM_INT:
        if isinstance(value, int):
            limit = RANGES[type.number]
            if not -limit <= value < limit:
                raise OverflowError(f"column {name}: {value} is out of the range of {type}")
            return int(value)
    elif form == types.FORM_FLOAT:
        if isinstance(value, (float, int)):
            value = float(value)
            return array("f", [value])[0] if type.number == types.TYPES["f32"] else value
    elif form == types.FORM_STR:
        if isinstance(value, str):
            value.encode()  # refuses lone surrogates
            return str(value)
    elif form == types.FORM_BYTES:
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value)
    elif form == types.FORM_BOOL:
        if isinstance(value, bool):
            return value
    elif form == types.FORM_DATETIME:
        if isinstance(value, datetime):
            return timestamp(value)
    elif form == types.FORM_DECIMAL:
        if isinstance(value, Decimal):
            return fitted(value, name, type)
    elif form == types.FORM_LIST:
        if isinstance(value, (list, tuple)) and type.element:
            return tuple(to_plain(v, name + "[]", type.element, element, False) for v in value)
    elif isinstance(value, date) and not isinstance(value, datetime):
        return value.toordinal() - _EPOCH_DAY
    raise TypeError(f"column {name}: it takes {_WANTED[form]}, not {value.__class__.__name__}")


def from_plain(plain: Any, form: int, element: int = 0) -> Any:
    """The object that stands for a plain value in a form."""
    if plain is None:
        return None
    if form == types.FORM_FLOAT:
        return float(plain)
    if form == types.FORM_BYTES:
        return plain.encode() if isinstance(plain, str) else plain
    if form == types.FORM_DATETIME:
        return time_of(plain)
    if form == types.FORM_DATE:
        return date_of(plain)
    if form == types.FORM_LIST:
        return [from_plain(v, element) for v in plain]
    return plain


# ---- decimals ----


@functools.cache
def _exact(precision: int) -> Context:
    """A context of so many digits in which whatever would be rounded raises, whatever the user's own context does."""
    return Context(prec=precision, Emin=-999_999, Emax=999_999, clamp=0, traps=[InvalidOperation, Inexact])


def fitted(value: Decimal, name: str, type: Type) -> Decimal:
    """A decimal with just the digits behind the point that a column has. Raises ValueError where it has not that many."""
    try:
        if value.is_finite():
            exact = value.quantize(Decimal((0, (1,), -type.scale)), context=_exact(type.precision))
            return exact if exact else exact.copy_abs()
    except (InvalidOperation, Inexact):
        pass
    raise ValueError(f"column {name}: {value!s} does not fit {type}")


def unscaled(value: Decimal, scale: int) -> int:
    """A decimal without its point, of which so many digits stand behind it."""
    return int(value.scaleb(scale, context=_exact(types.DIGITS_MAX)))


def scaled(number: int, scale: int) -> Decimal:
    """The decimal of a number without its point."""
    return Decimal(number).scaleb(-scale, context=_exact(types.DIGITS_MAX))


def pack_decimals(values: Iterable[Decimal | None], scale: int) -> bytes:
    """Decimals as a column has them, 16 bytes each; what stands for None is zero."""
    return b"".join(unscaled(v or Decimal(), scale).to_bytes(16, "little", signed=True) for v in values)


def unpack_decimal(values: Any, i: int) -> int:
    """Decimal i of a column's bytes, without its point."""
    return int.from_bytes(values[16 * i : 16 * i + 16], "little", signed=True)

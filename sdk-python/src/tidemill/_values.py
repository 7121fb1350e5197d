"""Values: between the Python objects of rows and the plain values of columns.

A plain value is None, a bool, an int (whole numbers, microseconds, days), a float, a str or bytes.
"""

from __future__ import annotations

from array import array
from datetime import date, datetime
from typing import Any

from tidemill import _types as types
from tidemill._operator import date_of, time_of, timestamp

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
}


def to_plain(value: Any, name: str, type: int, form: int, nullable: bool) -> Any:
    """The plain value of an object for a column, by the rules in the docstring of ``_declare``."""
    if value is None:
        if nullable:
            return None
        raise TypeError(f"column {name}: it cannot be None")
    if form == types.FORM_INT:
        if isinstance(value, int):
            limit = RANGES[type]
            if not -limit <= value < limit:
                raise OverflowError(f"column {name}: {value} is out of the range of {types.TYPE_NAMES[type]}")
            return int(value)
    elif form == types.FORM_FLOAT:
        if isinstance(value, (float, int)):
            value = float(value)
            return array("f", [value])[0] if type == types.TYPES["f32"] else value
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
    elif isinstance(value, date) and not isinstance(value, datetime):
        return value.toordinal() - _EPOCH_DAY
    raise TypeError(f"column {name}: it takes {_WANTED[form]}, not {value.__class__.__name__}")


def from_plain(plain: Any, form: int) -> Any:
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
    return plain

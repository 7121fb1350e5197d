"""What the annotations of columns mean: which column type they are, and which Python objects stand for its values."""

from __future__ import annotations

import re
import types
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, NamedTuple, TypeAlias, Union, get_args, get_origin

# The types of columns by their names, with the numbers of SPEC.md 5.
TYPES = {
    "bool": 1,
    "i8": 2,
    "i16": 3,
    "i32": 4,
    "i64": 5,
    "f32": 6,
    "f64": 7,
    "decimal128": 8,
    "date32": 9,
    "timestamp": 11,
    "timestamp_tz": 12,
    "utf8": 13,
    "binary": 14,
    "list": 15,
}
TYPE_NAMES = {number: name for name, number in TYPES.items()}

DECIMAL, LIST = TYPES["decimal128"], TYPES["list"]
TEXTS = (TYPES["utf8"], TYPES["binary"])

# Bytes that a value takes in a frame, without the contents of texts and lists.
WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 4, 7: 8, 8: 16, 9: 4, 11: 8, 12: 8, 13: 4, 14: 4, 15: 4}

DIGITS_MAX = 38  # of a decimal

# Forms: which Python objects stand for the values of a column.
FORM_BOOL = 1
FORM_INT = 2  # whole numbers, microseconds of timestamps, days of dates
FORM_FLOAT = 3
FORM_STR = 4
FORM_BYTES = 5
FORM_DATETIME = 6  # aware, in UTC
FORM_DATE = 7
FORM_DECIMAL = 8
FORM_LIST = 9


class Type(NamedTuple):
    """A type of column."""

    number: int
    precision: int = 0  # of a decimal: its digits,
    scale: int = 0  # and how many of them stand behind the point
    element: Type | None = None  # of a list

    def __str__(self) -> str:
        name = TYPE_NAMES[self.number]
        if self.number == DECIMAL:
            return f"{name}({self.precision},{self.scale})"
        return f"{name}<{self.element}>" if self.element else name


def type_of(name: str) -> Type:
    """The type that a name stands for in JSON. Raises ValueError where it is none."""
    if found := re.fullmatch(r"decimal128\((\d+),(\d+)\)", name, re.ASCII):
        precision, scale = map(int, found.groups())
        if not (1 <= precision <= DIGITS_MAX and scale <= precision):
            raise ValueError(f"{name}: a decimal has 1 to {DIGITS_MAX} digits, and no more of them behind the point")
        return Type(DECIMAL, precision, scale)
    if found := re.fullmatch(r"list<(.*)>", name):
        element = type_of(found[1])
        if element.number != LIST:
            return Type(LIST, element=element)
    elif name in TYPES and TYPES[name] not in (DECIMAL, LIST):
        return Type(TYPES[name])
    raise ValueError(f"there is no column type {name}; there are {', '.join(TYPES)}")


class ColumnType:
    """Says in an annotation which type of column it is: ``Annotated[int, ColumnType("i16")]`` is what ``I16`` stands for."""

    __slots__ = ("name", "type")

    def __init__(self, name: str) -> None:
        self.type = type_of(name)
        self.name = name

    def __repr__(self) -> str:
        return f"ColumnType({self.name!r})"


def decimal(precision: int, scale: int) -> ColumnType:
    """The type of decimals of so many digits, at most 38, of which ``scale`` stand behind the point.

    ``amount: Annotated[Decimal, decimal(12, 2)]`` is a field that takes -9999999999.99 to 9999999999.99. Values are exact:
    one that needs more digits, before or behind the point, is refused, never rounded. What is read has ``scale`` digits
    behind the point.
    """
    return ColumnType(f"decimal128({precision},{scale})")


class EventTimeMark:
    """Marks the event time of a row in an annotation."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "EVENT_TIME"


EVENT_TIME = EventTimeMark()
"""Marks a field as the event time of its row: ``Annotated[datetime, EVENT_TIME]``. ``EventTime`` is that of an int."""

I8: TypeAlias = Annotated[int, ColumnType("i8")]
I16: TypeAlias = Annotated[int, ColumnType("i16")]
I32: TypeAlias = Annotated[int, ColumnType("i32")]
I64: TypeAlias = Annotated[int, ColumnType("i64")]
F32: TypeAlias = Annotated[float, ColumnType("f32")]
Timestamp: TypeAlias = Annotated[int, ColumnType("timestamp")]
TimestampTZ: TypeAlias = Annotated[int, ColumnType("timestamp_tz")]
DatetimeTZ: TypeAlias = Annotated[datetime, ColumnType("timestamp_tz")]
Date: TypeAlias = Annotated[int, ColumnType("date32")]
EventTime: TypeAlias = Annotated[int, ColumnType("timestamp"), EVENT_TIME]


class Spec(NamedTuple):
    """A column as its annotation says it."""

    type: Type
    form: int
    nullable: bool
    event_time: bool
    element: int  # the form of a list's elements, else 0


_FORMS = {
    bool: (1, FORM_BOOL),
    int: (5, FORM_INT),
    float: (7, FORM_FLOAT),
    str: (13, FORM_STR),
    bytes: (14, FORM_BYTES),
    datetime: (11, FORM_DATETIME),
    date: (9, FORM_DATE),
    Decimal: (DECIMAL, FORM_DECIMAL),
}

_ALLOWED = {
    FORM_BOOL: {1},
    FORM_INT: {2, 3, 4, 5, 9, 11, 12},
    FORM_FLOAT: {6, 7},
    FORM_STR: {13},
    FORM_BYTES: {14},
    FORM_DATETIME: {11, 12},
    FORM_DATE: {9},
    FORM_DECIMAL: {DECIMAL},
}


def column_of(annotation: Any) -> Spec | None:
    """What an annotation says of a column, or None where it is no type of column.

    Raises TypeError where it would be one but for a part of it.
    """
    nullable = event_time = False
    given: Type | None = None
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            for mark in annotation.__metadata__:
                if isinstance(mark, ColumnType):
                    given = mark.type
                elif isinstance(mark, EventTimeMark):
                    event_time = True
            annotation = annotation.__origin__
        elif origin is Union or origin is types.UnionType:
            arms = [a for a in get_args(annotation) if a is not types.NoneType]
            if len(arms) != 1:
                return None
            nullable = True
            annotation = arms[0]
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        else:
            break
    if get_origin(annotation) is list:
        element = _element_of(get_args(annotation)[0])
        if element is None or given is not None:
            return None
        return Spec(Type(LIST, element=element.type), FORM_LIST, nullable, event_time, element.form)
    try:
        number, form = _FORMS[annotation]
    except (KeyError, TypeError):
        return None
    if given is None and form == FORM_DECIMAL:
        raise TypeError("say how many digits a Decimal has: Annotated[Decimal, tidemill.decimal(12, 2)]")
    if given is not None and given.number not in _ALLOWED[form]:
        return None
    return Spec(given or Type(number), form, nullable, event_time, 0)


def _element_of(annotation: Any) -> Spec | None:
    """What an annotation says of the elements of a list."""
    spec = column_of(annotation)
    if spec is None:
        return None
    if spec.nullable or spec.event_time or spec.form == FORM_LIST:
        raise TypeError("the elements of a list cannot be Optional, event times or lists")
    return spec


# What a field can be read from: types of columns by the type of the field. Whole numbers widen, those of up to 32 bits also
# to f64.
_READS = {
    1: {1},
    2: {2},
    3: {2, 3},
    4: {2, 3, 4},
    5: {2, 3, 4, 5},
    6: {6},
    7: {2, 3, 4, 6, 7},
    9: {9},
    11: {11, 12},
    12: {11, 12},
    13: {13},
    14: {13, 14},
}


def takes(field: Type, column: Type) -> bool:
    """Whether a field of one type can be read from a column of another.

    Decimals widen to more digits with as many behind the point, lists as their elements do.
    """
    if field.element and column.element:
        return takes(field.element, column.element)
    if field.number == column.number == DECIMAL:
        return column.precision <= field.precision and column.scale == field.scale
    return column.number in _READS.get(field.number, ())

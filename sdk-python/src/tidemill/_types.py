"""What the annotations of columns mean: which column type they are, and which Python objects stand for its values."""

from __future__ import annotations

import types
from datetime import date, datetime
from typing import Annotated, Any, NamedTuple, TypeAlias, Union, get_args, get_origin

# The types of columns by their names in JSON, with the numbers of SPEC.md 5.
TYPES = {
    "bool": 1,
    "i8": 2,
    "i16": 3,
    "i32": 4,
    "i64": 5,
    "f32": 6,
    "f64": 7,
    "date32": 9,
    "timestamp": 11,
    "timestamp_tz": 12,
    "utf8": 13,
    "binary": 14,
}
TYPE_NAMES = {number: name for name, number in TYPES.items()}

# Bytes that a value takes in a frame, without the contents of texts.
WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 4, 7: 8, 9: 4, 11: 8, 12: 8, 13: 4, 14: 4}

# Forms: which Python objects stand for the values of a column.
FORM_BOOL = 1
FORM_INT = 2  # whole numbers, microseconds of timestamps, days of dates
FORM_FLOAT = 3
FORM_STR = 4
FORM_BYTES = 5
FORM_DATETIME = 6  # aware, in UTC
FORM_DATE = 7


class ColumnType:
    """Says in an annotation which type of column it is: ``Annotated[int, ColumnType("i16")]`` is what ``I16`` stands for."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        if name not in TYPES:
            raise ValueError(f"there is no column type {name}; there are {', '.join(TYPES)}")
        self.name = name

    def __repr__(self) -> str:
        return f"ColumnType({self.name!r})"


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

    type: int
    form: int
    nullable: bool
    event_time: bool


_FORMS = {
    bool: (1, FORM_BOOL),
    int: (5, FORM_INT),
    float: (7, FORM_FLOAT),
    str: (13, FORM_STR),
    bytes: (14, FORM_BYTES),
    datetime: (11, FORM_DATETIME),
    date: (9, FORM_DATE),
}

_ALLOWED = {
    FORM_BOOL: {1},
    FORM_INT: {2, 3, 4, 5, 9, 11, 12},
    FORM_FLOAT: {6, 7},
    FORM_STR: {13},
    FORM_BYTES: {14},
    FORM_DATETIME: {11, 12},
    FORM_DATE: {9},
}


def column_of(annotation: Any) -> Spec | None:
    """What an annotation says of a column, or None where it is no type of column."""
    nullable = event_time = False
    name = None
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            for mark in annotation.__metadata__:
                if isinstance(mark, ColumnType):
                    name = mark.name
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
    try:
        number, form = _FORMS[annotation]
    except (KeyError, TypeError):
        return None
    if name is not None:
        number = TYPES[name]
        if number not in _ALLOWED[form]:
            return None
    return Spec(number, form, nullable, event_time)


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


def takes(field: int, column: int) -> bool:
    """Whether a field of one type can be read from a column of another."""
    return column in _READS[field]

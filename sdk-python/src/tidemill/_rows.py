"""Rows: the dataclasses whose fields are columns, and how they are declared."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeVar, dataclass_transform, get_args, get_origin, get_type_hints, overload

from tidemill._types import Spec, column_of

T = TypeVar("T")

_MARK = "tidemill"


class Passing(NamedTuple):
    """Where a passed column comes from: a column of the input, or of the key; no name means the field's own."""

    column: str | None
    key: bool


def from_input(column: str | None = None, *, init: Literal[False] = False) -> Any:
    """A column of an output row that the host takes over from the input row: its values never enter the module.

    It keeps the input column's type, which the annotation must be able to take, and is no argument of the row's
    constructor. ``column`` is its name in the input where that is not the field's. Rows emitted by timers have no input
    row.
    """
    return dataclasses.field(init=init, default=None, metadata={_MARK: Passing(column, False)})


def from_key(column: str | None = None, *, init: Literal[False] = False) -> Any:
    """A column of an output row that the host takes over from the key of the item under way; in timers too.

    See ``from_input``.
    """
    return dataclasses.field(init=init, default=None, metadata={_MARK: Passing(column, True)})


def column(name: str) -> Any:
    """A field whose column has a name that cannot be the field's: ``tail: str = column("tail number")``."""
    return dataclasses.field(metadata={_MARK: name})


@overload
def row(cls: type[T], /) -> type[T]: ...
@overload
def row(*, frozen: bool = False) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(field_specifiers=(from_input, from_key, column, dataclasses.field, dataclasses.Field))
def row(cls: type[T] | None = None, /, *, frozen: bool = False) -> Any:
    """Makes a class a row: a dataclass with slots, whose fields are columns in their order, named like the fields.

    A trailing underscore of a field's name is not part of the column's (``from_`` is ``from``). Fields of base classes come
    first. A row of ``frozen=True`` cannot be changed and can be a key of a dict. Any other dataclass is a row too; with
    slots it is faster.

    Rows that come from columns are made without calling ``__init__`` and ``__post_init__``.
    """

    def make(cls: type[T]) -> type[T]:
        if not cls.__doc__:
            cls.__doc__ = cls.__name__  # a dataclass would make one of its signature, which takes longer than all the rest
        return dataclasses.dataclass(slots=True, frozen=frozen)(cls)

    return make if cls is None else make(cls)


@row
class InputRow:
    """An output row that is the input row under way with all its columns; a row class derived from it begins with them.

    Their values never enter the module: only row numbers leave it.
    """


@row
class KeyRow:
    """An output row of all key columns of the item under way; a row class derived from it begins with them."""


class OwnColumn(NamedTuple):
    """A column whose values are in the row."""

    name: str
    attribute: str  # "" where the row is the value itself
    spec: Spec


class PassedColumn(NamedTuple):
    """A column that the host fills in. Without a name it stands for all columns of the input or the key."""

    name: str
    attribute: str
    source: str
    key: bool
    spec: Spec | None


class Layout(NamedTuple):
    """The columns of a row class, or of a single value."""

    cls: type | None  # None for a single value
    columns: tuple[OwnColumn | PassedColumn, ...]

    def own(self) -> list[OwnColumn]:
        """The columns whose values are in the row."""
        return [c for c in self.columns if isinstance(c, OwnColumn)]

    def passes(self) -> bool:
        """Whether any column is filled in by the host."""
        return any(isinstance(c, PassedColumn) for c in self.columns)


def layout_of(annotation: Any, scalar: str) -> Layout:
    """The layout of a row class, or of a single value whose column gets the given name. Raises TypeError."""
    spec = column_of(annotation)
    if spec is not None:
        if spec.event_time:
            raise TypeError("a single value cannot be the event time: use a row class")
        return Layout(None, (OwnColumn(scalar, "", spec),))
    if not _is_row(annotation):
        raise TypeError(f"{_text(annotation)} is no row: it must be a dataclass or a type of column")
    return _layout(annotation, lambda name, hint: column_of(hint))


def column_layout_of(annotation: Any, column_class: type) -> Layout:
    """The layout of a class whose fields are whole columns, ``Column[T]`` each. Raises TypeError."""
    if not _is_row(annotation):
        raise TypeError(f"{_text(annotation)} is no batch: it must be a dataclass of columns")

    def spec_of(name: str, hint: Any) -> Spec | None:
        if get_origin(hint) is not column_class:
            return None
        return column_of(get_args(hint)[0])

    return _layout(annotation, spec_of)


def _is_row(annotation: Any) -> bool:
    return isinstance(annotation, type) and dataclasses.is_dataclass(annotation)


def _text(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _layout(cls: type, spec_of: Callable[[str, Any], Spec | None]) -> Layout:
    hints = class_hints(cls)
    columns: list[OwnColumn | PassedColumn] = []
    if issubclass(cls, KeyRow):
        columns.append(PassedColumn("", "", "", True, None))
    if issubclass(cls, InputRow):
        columns.append(PassedColumn("", "", "", False, None))
    fields: tuple[dataclasses.Field[Any], ...] = dataclasses.fields(cls)
    for f in fields:
        try:
            spec = spec_of(f.name, hints[f.name])
        except TypeError as e:
            raise TypeError(f"field {f.name} of {cls.__name__}: {e}") from None
        if spec is None:
            raise TypeError(f"field {f.name} of {cls.__name__}: there is no column type for {_text(hints[f.name])}")
        if spec.event_time and (spec.nullable or spec.type.number not in (11, 12)):
            raise TypeError(f"field {f.name} of {cls.__name__}: only a timestamp that is not Optional can be the event time")
        mark = f.metadata.get(_MARK)
        name = plain_name(f.name)
        if isinstance(mark, Passing):
            columns.append(PassedColumn(name, f.name, mark.column or name, mark.key, spec))
        else:
            columns.append(OwnColumn(mark or name, f.name, spec))
    seen = set()
    for c in columns:
        if c.name and c.name in seen:
            raise TypeError(f"{cls.__name__} has two columns {c.name}")
        seen.add(c.name)
    return Layout(cls, tuple(columns))


def class_hints(cls: type) -> dict[str, Any]:
    """The annotations of a class, those of its bases first.

    Names in them are the module's, not the class's: a slot of ``date: date`` would hide the type.
    """
    try:
        return get_type_hints(cls, localns={}, include_extras=True)
    except NameError as e:
        raise TypeError(f"the annotations of {cls.__name__}: {e}") from None


def plain_name(attribute: str) -> str:
    """The name that an attribute gives: a trailing underscore, as in ``in_``, is not part of it."""
    return attribute[:-1] if attribute.endswith("_") and len(attribute) > 1 else attribute

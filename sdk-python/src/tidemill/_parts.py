"""The parts of an operator: ports, state, timers, metrics and the key.

An operator's class names them by annotation; the engine sets the attributes to objects of its own when the operator is
opened. The protocols here say what those objects do. They work while a callback of the operator runs, and state, timers and
the key only for the key of the item under way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, overload

T = TypeVar("T")
D = TypeVar("D")
K = TypeVar("K")
V = TypeVar("V")
K_co = TypeVar("K_co", covariant=True)
R_contra = TypeVar("R_contra", contravariant=True)
C_contra = TypeVar("C_contra", contravariant=True)
C_co = TypeVar("C_co", covariant=True)


class In(Generic[T]):
    """An input port whose rows are of type T: a row class of the columns that the operator reads, or a single column's.

    ``on_NAME(self, row)`` takes its rows, one at a time; ``orders: In[Order]`` needs a method ``on_orders``. An exception
    there rejects the row.
    """


class BatchIn(Generic[T]):
    """An input port whose rows come as columns: T is a class of columns, a dataclass with ``Column[...]`` fields.

    Types must be those of the input: nothing is converted. ``on_NAME(self, batch)`` takes a ``Batch[T]``.
    """


class Out(Protocol[R_contra]):
    """An output port whose rows are of a row class, or of the type of its one column, ``value``.

    A row has the event time of the item under way, unless its class has an ``EventTime`` field.
    """

    def emit(self, row: R_contra, /) -> None:
        """Emits a copy of a row. Rows of a port keep the order in which they were emitted.

        Raises TypeError, OverflowError or, for decimals, ValueError where a value is not one of its column.
        """
        ...


class BatchOut(Protocol[C_contra]):
    """An output port whose rows are emitted as columns, by a class of columns as for ``BatchIn``."""

    def emit(self, columns: C_contra, /) -> None:
        """Emits one row for each row of the batch under way. The columns must not change before the callback returns."""
        ...

    def emit_for(self, items: Sequence[int], columns: C_contra, /) -> None:
        """Emits rows of which row j belongs to row ``items[j]`` of the batch under way."""
        ...


class Batch(Protocol[C_co]):
    """Some rows of a ``BatchIn``. The host cuts the input where it wants: results must not depend on where."""

    @property
    def columns(self) -> C_co:
        """The columns; their buffers are views of the frame and end with the callback."""
        ...

    @property
    def rows(self) -> int:
        """The number of rows, 1 to 4,096."""
        ...

    def select(self, row: int, /) -> None:
        """Makes a row the item under way: state, timers and the key are its key's, and what an ``Out`` emits belongs to it.

        An exception of the callback rejects the row that was selected last or, without one, has the batch sent again row by
        row.
        """
        ...


class Value(Protocol[T]):
    """A state of one value a key: T is a row class or a type of column. What is written and read is copied."""

    @overload
    def get(self, /) -> T | None: ...
    @overload
    def get(self, default: D, /) -> T | D: ...
    def get(self, default: Any = None, /) -> Any:
        """The value, or the default where there is none."""
        ...

    def has(self) -> bool:
        """Whether there is a value."""
        ...

    def set(self, value: T, /) -> None:
        """Sets the value. Setting an equal value is a write."""
        ...

    def clear(self) -> None:
        """Removes the value."""
        ...


class List(Protocol[T]):
    """A state of any number of values a key, in the order in which they were appended. Appending reads nothing."""

    def append(self, value: T, /) -> None:
        """Appends a value."""
        ...

    def __iter__(self) -> Iterator[T]:
        """Loops over the values that are there when the loop begins."""
        ...

    def __len__(self) -> int:
        """The number of values."""
        ...

    def clear(self) -> None:
        """Removes all values."""
        ...


class Map(Protocol[K, V]):
    """A state of entries by their own key under each key of the input.

    K is bool, a whole number, a decimal, str, a timestamp or date, or a row class of these, none Optional. Entries are read
    and written one by one, so a map may be far larger than memory. Loops show the entries that are there when they begin,
    as they are then.
    """

    @overload
    def get(self, key: K, /) -> V | None: ...
    @overload
    def get(self, key: K, default: D, /) -> V | D: ...
    def get(self, key: K, default: Any = None, /) -> Any:
        """The value of an entry, or the default where there is none."""
        ...

    def has(self, key: K, /) -> bool:
        """Whether there is an entry."""
        ...

    def set(self, key: K, value: V, /) -> None:
        """Sets an entry."""
        ...

    def delete(self, key: K, /) -> None:
        """Removes an entry. Removing what is not there does nothing."""
        ...

    def clear(self) -> None:
        """Removes all entries."""
        ...

    def items(self) -> Iterator[tuple[K, V]]:
        """All entries, in ascending order of their keys."""
        ...

    def backward(self) -> Iterator[tuple[K, V]]:
        """All entries, in descending order of their keys."""
        ...

    def range(self, low: K, high: K, /) -> Iterator[tuple[K, V]]:
        """The entries with keys from low on and before high, in ascending order."""
        ...


class Timer(Protocol):
    """A name for timers. A timer belongs to the key of the item that sets it, and fires by ``on_NAME(self, fired)``.

    By event time it fires once the watermark has reached its time, if declared ``processing=True`` once processing time
    has. There is one timer for a key and a tag, which setting replaces, or with ``many=True`` one for each time. A timer
    set for what the watermark has already reached fires with its next advance; with ``drop=True`` it is dropped. Within a
    key timers fire in order of time, then of the names' declaration, then of tags.
    """

    def set(self, time: int, tag: str = "", /) -> None:
        """Sets a timer of the current key for a time in microseconds, with a tag of at most 256 bytes."""
        ...

    def delete(self, tag: str = "", /) -> None:
        """Deletes the timers of the current key with that tag. It counts at once, also for a timer that is already due.

        Deleting what is not set does nothing.
        """
        ...

    def delete_at(self, time: int, tag: str = "", /) -> None:
        """Deletes the timer of the current key for a time and a tag, where the name is declared ``many=True``."""
        ...


class Fired(NamedTuple):
    """A timer that fires."""

    time: int
    """The time it was set for, in microseconds."""
    tag: str


class Counter(Protocol):
    """A metric that only grows. What is added counts when the items under way take effect."""

    def add(self, n: int = 1, /) -> None:
        """Adds n, 0 or more."""
        ...


class Gauge(Protocol):
    """A metric with a value, the last one set in a subtask."""

    def set(self, value: float, /) -> None:
        """Sets the value."""
        ...


class Key(Protocol[K_co]):
    """The key of the item under way, in timers too. K is a type of column, or a row class of some key columns."""

    def get(self) -> K_co:
        """The current key."""
        ...

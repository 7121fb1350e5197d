"""What a test's host keeps: the state and the timers of all keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tidemill._declare import LIST, MAP_STATE, PROCESSING_DOMAIN, Binding

Plain = tuple[Any, ...]
"""The plain values of some columns, see ``_values``."""

# Operations on timers.
SET, DELETE, DELETE_TAG = 1, 2, 3


class Timer(NamedTuple):
    """A timer that is set; timers of a key fire in the order of these tuples."""

    time: int
    name: int
    tag: str
    domain: int


class TimerChange(NamedTuple):
    """What a frame does to a timer of a key."""

    key: Plain
    op: int
    timer: Timer


def identity(key: Plain) -> Plain:
    """What tells keys apart: NaNs are one key, and so are the two zeros."""
    return tuple("NaN" if v != v else v for v in key)


def empty_cell(kind: int) -> Any:
    """The cell of a key without state: a value's plain values or None, a list's of them, a map's from map key to value."""
    if kind == LIST:
        return []
    return {} if kind == MAP_STATE else None


def copy_cell(cell: Any) -> Any:
    """A cell that can be changed without changing the other."""
    return cell.copy() if isinstance(cell, (list, dict)) else cell


class Store:
    """The state and the timers of all keys."""

    def __init__(self, binding: Binding) -> None:
        self._binding = binding
        self.keys: dict[Plain, Plain] = {}  # from what tells keys apart
        self.cells: list[dict[Plain, Any]] = [{} for _ in binding.states]
        self.timers: dict[Plain, list[Timer]] = {}

    def cell(self, state: int, key: Plain) -> Any:
        """The cell of a key, which must not be changed."""
        found = self.cells[state].get(key)
        return empty_cell(self._binding.states[state].kind) if found is None else found

    def change(self, change: TimerChange, watermark: int, processing_time: int) -> None:
        """Has a change of a timer take effect at a moment in both domains."""
        timer = change.timer
        name = self._binding.timers[timer.name]
        same: Callable[[Timer], bool]
        if change.op == DELETE_TAG or not name.many:

            def same(old: Timer) -> bool:
                return (old.name, old.tag) == (timer.name, timer.tag)
        else:

            def same(old: Timer) -> bool:
                return old == timer

        keep = [old for old in self.timers.get(change.key, ()) if not same(old)]
        if change.op == SET:
            reached = processing_time if timer.domain == PROCESSING_DOMAIN else watermark
            if not name.drop or timer.time > reached:
                keep.append(timer)
        self.timers[change.key] = sorted(keep)

    def unset(self, key: Plain, timer: Timer) -> None:
        """Removes a timer that has fired."""
        self.timers[key] = [t for t in self.timers.get(key, ()) if t != timer]

    def due(self, domain: int, reached: int) -> list[tuple[Plain, Timer]]:
        """The earliest timer of each key that is due, by keys in the order in which they first appeared."""
        out = []
        for key in self.keys:
            for timer in self.timers.get(key, ()):
                if timer.domain == domain and timer.time <= reached:
                    out.append((key, timer))
                    break
        return out

"""What a test's host keeps: the state and the timers of all keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tidemill._declare import LIST, MAP_STATE, PROCESSING_DOMAIN, Binding

Plain = tuple[Any, ...]
"""The plain values of some columns, see ``_values``."""


class Written(NamedTuple):
    """A value, an element of a list or the value of a map's entry."""

    plain: Plain
    at: int  # the processing time of the write


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
    """The cell of a key without state: a value's is a Written or None, a list's has them, a map's by the entry's key."""
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

    def cell(self, state: int, key: Plain, now: int) -> Any:
        """What has not expired of the cell of a key at a processing time. It must not be changed."""
        found, bound = self.cells[state].get(key), self._binding.states[state]
        if found is None:
            return empty_cell(bound.kind)
        if not bound.ttl_ms:
            return found
        expired = now - bound.ttl_ms * 1000  # what was written then or before
        if bound.kind == LIST:
            return [w for w in found if w.at > expired]
        if bound.kind == MAP_STATE:
            return {k: w for k, w in found.items() if w.at > expired}
        return found if found.at > expired else None

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

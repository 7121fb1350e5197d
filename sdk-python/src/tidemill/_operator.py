"""The base class of operators, what declares the options of their parts, and operators that are one function."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from datetime import date as _date
from typing import Any, NamedTuple, TypeVar, overload

from tidemill._parts import Timer

T = TypeVar("T")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

NO_TIME = -(1 << 63)
"""The watermark before the first, and the event time of a row that has none."""
END_OF_TIME = (1 << 63) - 1
"""The watermark after the last record."""

SECOND, MINUTE, HOUR, DAY = 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000
"""Times and their lengths are counted in microseconds: ``t - t % MINUTE`` is the minute of t, ``t // DAY`` its date."""

TRACE, DEBUG, INFO, WARN, ERROR = range(5)
"""Levels of the log."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EPOCH_DAY = _date(1970, 1, 1).toordinal()


def timestamp(time: datetime) -> int:
    """A time with a zone as microseconds since 1970."""
    if time.tzinfo is None:
        raise ValueError("a datetime without a time zone is no point in time: use one with tzinfo, such as datetime.UTC")
    return (time - _EPOCH) // _MICROSECOND


def time_of(timestamp: int) -> datetime:
    """Microseconds since 1970 as a time in UTC. Raises OverflowError outside of the years 1 to 9999."""
    return _EPOCH + timedelta(microseconds=timestamp)


def date_of(day: int) -> _date:
    """Days since 1970 as a date. Raises OverflowError or ValueError outside of the years 1 to 9999."""
    return _date.fromordinal(_EPOCH_DAY + day)


class Options:
    """What an attribute of an operator's class says of a part besides its annotation."""

    __slots__ = ("given", "kind")

    def __init__(self, kind: str, **given: Any) -> None:
        self.kind = kind
        self.given = given

    def __repr__(self) -> str:
        return f"{self.kind}({', '.join(f'{k}={v!r}' for k, v in self.given.items() if v is not None)})"


class _Required:
    __slots__ = ()


REQUIRED = _Required()


@overload
def param(default: T, *, name: str | None = None, doc: str = "") -> T: ...
@overload
def param(*, name: str | None = None, doc: str = "") -> Any: ...
def param(default: Any = REQUIRED, *, name: str | None = None, doc: str = "") -> Any:
    """A parameter of the job, bool, int (or I8 to I64), float, str or timedelta: ``limit: int = param(100, doc="...")``.

    Without a default the job must give it. The attribute holds its value when ``open`` runs, and from then on.
    """
    return Options("param", default=default, name=name, doc=doc)


def state(*, prefetch: bool | tuple[str, ...] | None = None, ttl: timedelta | None = None, name: str | None = None) -> Any:
    """Options of a state: ``pages: Map[str, Page] = state(prefetch=True, ttl=timedelta(hours=24))``.

    Prefetched state comes with each frame, or with those of the input ports and timers that are named; other state is asked
    for when it is read. Values are prefetched by default, lists and maps are not. A cell of more than 64 KiB is never
    prefetched.

    With ``ttl``, whole milliseconds, a value, each element of a list and each entry of a map expires by itself: once
    processing time has reached its last write plus ttl it is absent, also from loops and counts. Reading does not renew it;
    writing an equal value does.

    The name, that of the attribute unless given, is what the state is stored under. A job whose checkpoint has state of a
    name that its operators no longer declare is refused (TM-STATE-007), unless it runs with ``--allow-undeclared``: then a
    renamed state begins empty, and what was stored under the old name is kept, unused.
    """
    return Options("state", prefetch=prefetch, ttl=ttl, name=name)


def timer(*, processing: bool = False, many: bool = False, drop: bool = False, name: str | None = None) -> Timer:
    """Options of a ``Timer``: ``close: Timer = timer(many=True)``."""
    options: Any = Options("timer", processing=processing, many=many, drop=drop, name=name)
    timer: Timer = options
    return timer


def port(*, name: str | None = None, input: str | None = None) -> Any:
    """Options of a port. ``input`` names the input port that an output port passes columns of, where there are several."""
    return Options("port", name=name, input=input)


def metric(*, name: str | None = None, doc: str = "") -> Any:
    """Options of a ``Counter`` or ``Gauge``."""
    return Options("metric", name=name, doc=doc)


class Operator:
    """What operators derive from. Annotations of the class declare its parts, methods named after them handle what comes.

    ::

        class Visits(tidemill.Operator):
            "Counts visits by user."
            limit: int = param(100, doc="visits from which a user is reported")
            visits: In[Visit]                      # an input port, handled by on_visits
            reports: Out[Report]                   # an output port
            count: Value[int]                      # state by key
            flush: Timer                           # a name for timers, handled by on_flush

            def on_visits(self, visit: Visit) -> None: ...
            def on_flush(self, fired: Fired) -> None: ...

    A class is known under its name in snake case, or ``class Visits(Operator, name="...")``; one whose name begins with an
    underscore is only there to be derived from. Parts of base classes come first. Where the class has a constructor, it
    takes no arguments and runs before parameters are set.
    """

    watermark: int = NO_TIME
    """The watermark that the item under way sees: the last before its batch, or the one that makes the timer fire.

    ``NO_TIME`` before the first and ``END_OF_TIME`` after the last. A row is late where its event time is not after it.
    """

    processing_time: int = 0
    """The processing time in microseconds, the same for all items of a frame. It never goes back."""

    job: str = ""
    """The job's name."""

    operator: str = ""
    """The operator's own name in the job."""

    subtask: int = 0
    """The index of the subtask, from 0 to ``parallelism - 1``."""

    parallelism: int = 1
    """The number of subtasks."""

    _seed: tuple[int, int] = (0, 0)
    _seeded: tuple[int, int] | None = None
    _random: random.Random | None = None
    _log: Callable[[int, str], None]

    def __init_subclass__(cls, *, name: str | None = None, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if name is not None or not cls.__name__.startswith("_"):
            registered.append(Entry(name or snake(cls.__name__), cls, "class"))

    def open(self) -> None:
        """Runs when parameters are set and before the first row; it may refuse them by ``ParamError``.

        It must have no other effects, because it also runs when a job is only planned.
        """

    @property
    def random(self) -> random.Random:
        """A source of random numbers that the host seeds for each frame, so that a frame that runs again draws the same."""
        seed = self._seed
        if self._random is None:
            self._random = random.Random(0)
        if self._seeded is not seed:
            self._seeded = seed
            self._random.seed(seed[0] << 64 | seed[1])
        return self._random

    def log(self, line: str, level: int = INFO) -> None:
        """Writes a line to the operator's log, which the host limits in rate and cuts at 8 KiB. ``print`` does so too.

        What is written stays written also where the item under way fails.
        """
        self._log(level, line)


class Entry(NamedTuple):
    """An operator of the program."""

    name: str
    target: Any  # a class or a function
    kind: str  # class, map, filter, flat_map


registered: list[Entry] = []
"""The operators of the program, in the order in which they were defined."""


def snake(name: str) -> str:
    """DepDelay as dep_delay, UserID as user_id."""
    out = []
    for i, c in enumerate(name):
        if c.isupper() and i > 0 and (not name[i - 1].isupper() or i + 1 < len(name) and name[i + 1].islower()):
            out.append("_")
        out.append(c.lower())
    return "".join(out)


def map(function: Callable[[T], R]) -> Callable[[T], R]:
    """Makes a function an operator that makes one row of each: from port ``in`` to port ``out``."""
    return _function(function, "map")


def filter(function: Callable[[T], bool]) -> Callable[[T], bool]:
    """Makes a function an operator that lets through the rows for which it is true, with all their columns.

    Only the columns of the function's row enter the module, and only row numbers leave it.
    """
    return _function(function, "filter")


def flat_map(function: Callable[[T], Iterable[R]]) -> Callable[[T], Iterable[R]]:
    """Makes a function an operator that makes any number of rows of each; a generator is one: ``-> Iterator[Word]``."""
    return _function(function, "flat_map")


def _function(function: F, kind: str) -> F:
    registered.append(Entry(function.__name__.rstrip("_"), function, kind))
    return function

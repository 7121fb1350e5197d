"""The host of a test."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal, NamedTuple, TypeVar, overload

from tidemill import _types as types
from tidemill._declare import LIST, MAP_STATE, PROCESSING_DOMAIN, VALUE, Binding, Declaration, OpenError, OutPort
from tidemill._errors import explain
from tidemill._operator import END_OF_TIME, NO_TIME, Operator, registered, timestamp
from tidemill._rows import Layout, OwnColumn, layout_of
from tidemill._types import Type, takes, type_of
from tidemill._values import from_plain, to_plain
from tidemill.testing._engine import BATCH, END, TIMERS, WATERMARK, Effects, Engine, Failed, Item, make, make_row
from tidemill.testing._store import Plain, Store, identity

R = TypeVar("R")

ROWS_MAX = 4096  # of a frame
FRAME_BYTES_MAX = 16 << 20
CELL_BYTES_MAX = 1 << 20
KEY_BYTES_MAX = 64 << 10
TIMER_ROUNDS_MAX = 10_000

# One frame in so many, with shake, is the first of a new operator.
_REPLACED_ONE_IN = 8


@dataclasses.dataclass(slots=True)
class Rejected:
    """An item that the operator rejected by an exception."""

    port: str
    """The input port of a row; empty for others."""
    row: Any
    """The row as it was sent."""
    timer: str
    """The name of a timer; empty for others."""
    message: str
    """What the host is told: the text of a ``tidemill.Error``, of other exceptions the traceback too."""
    place: str
    """The file and line."""
    error: BaseException


class SetTimer(NamedTuple):
    """A timer that is set."""

    name: str
    time: int
    tag: str = ""
    processing: bool = False


class _Schema(NamedTuple):
    """The columns of an input port."""

    names: list[str]
    fields: list[dict[str, Any]]  # as an open request has them
    columns: list[tuple[str, Type, bool]]
    event_time: str  # of the row class, the field that takes event times; "" where there is none


class Harness:
    """An operator under test.

    ``operator`` is a class or a decorated function. ``key`` names the key columns, the same on every port. ``event_time``
    is the column whose values are the rows' event times, where a row class has no ``EventTime`` field. ``inputs`` gives a
    row class for a port whose input has more columns than the operator reads. ``params`` are the job's; defaults apply.

    ``on_error="fail"`` raises what the operator raised, once the items before it have taken effect; ``"skip"`` goes on
    without the item and keeps it for ``errors``.

    ``shake``, where not 0, seeds the choice of frames and of replacements of the operator. ``frame_bytes`` limits an
    answer.

    Raises OpenError where the operator refuses its parameters or inputs, TypeError where it is declared wrongly.
    """

    def __init__(
        self,
        operator: type[Operator] | Callable[[Any], Any],
        *,
        key: Sequence[str] = (),
        event_time: str = "",
        inputs: Mapping[str, type] | None = None,
        params: Mapping[str, Any] | None = None,
        on_error: Literal["fail", "skip"] = "fail",
        shake: int = 0,
        frame_bytes: int = FRAME_BYTES_MAX,
    ) -> None:
        found = [e for e in registered if e.target is operator]
        if not found:
            raise TypeError(f"{operator!r} is no operator: derive from tidemill.Operator, or decorate a function")
        self._declaration = Declaration(found[-1])
        self._event_time = event_time
        self._on_error = on_error
        self._shake = shake
        self._random = random.Random(shake) if shake else None
        self._layouts: dict[type, Layout] = {}
        self._schemas = [_schema(p.layout, (inputs or {}).get(p.name)) for p in self._declaration.inputs]
        self._request = self._open_request(list(key), params or {}, frame_bytes)
        self._key_columns = [[s.names.index(name) for name in key] for s in self._schemas]
        self._watermark = NO_TIME
        self._now = 0
        self._sequence = 0
        self._errors: list[Rejected] = []
        self._logs: list[str] = []
        self._metrics: dict[str, float] = {}
        binding = self._bind()
        self._store = Store(binding)
        self._emitted: list[list[tuple[Plain, int]]] = [[] for _ in binding.outputs]  # with event times
        self._engine = self._new_engine(binding)

    def _open_request(self, key: list[str], params: Mapping[str, Any], frame_bytes: int) -> dict[str, Any]:
        name = self._declaration.entry.name
        fields: list[dict[str, Any]] = []
        for port, schema in zip(self._declaration.inputs, self._schemas):
            fields = []
            for column in key:
                if column not in schema.names:
                    raise OpenError(f"port {port.name} has no key column {column}: give a class of its rows by inputs")
                fields.append(schema.fields[schema.names.index(column)])
        return {
            "slot": 0,
            "entry": name,
            "job": "test",
            "operator": name,
            "subtask": 0,
            "parallelism": 1,
            "params": {k: v // timedelta(milliseconds=1) if isinstance(v, timedelta) else v for k, v in params.items()},
            "inputs": [
                {"port": p.name, "schema": s.fields, "event_time": self._event_time, "keyed": bool(key)}
                for p, s in zip(self._declaration.inputs, self._schemas)
            ],
            "key": fields,
            "limits": {
                "frame_bytes": frame_bytes,
                "rows": ROWS_MAX,
                "cell_bytes": CELL_BYTES_MAX,
                "key_bytes": KEY_BYTES_MAX,
            },
        }

    def _bind(self) -> Binding:
        return self._declaration.bind(self._request, lambda level, line: self._logs.append(line))

    def _new_engine(self, binding: Binding) -> Engine:
        reads = [[s.names.index(name) for name in p.columns] for s, p in zip(self._schemas, binding.inputs)]
        return Engine(binding, self._store, reads)

    # Moving.

    def send(self, port: str, *rows: Any) -> None:
        """Sends rows to a port, as one batch, and fires the processing-time timers that are due after it.

        Rows are objects whose attributes are the columns of the input, or dicts of them; more columns than the input has do
        not matter.
        """
        index = self._port(port)
        self._run(BATCH, [self._item(index, row) for row in rows])
        self._fire(PROCESSING_DOMAIN)

    def advance_watermark(self, to: int | datetime) -> None:
        """Moves event time: due event timers fire in rounds, then on_watermark runs. Going back does nothing."""
        to = _microseconds(to)
        if to <= self._watermark:
            return
        self._watermark = to
        self._fire(0)
        if self._engine.binding.on_watermark is not None:
            self._run(WATERMARK, [Item()])

    def advance_processing_time(self, to: int | datetime) -> None:
        """Moves processing time and fires the timers that are due. Going back does nothing."""
        to = _microseconds(to)
        if to <= self._now:
            return
        self._now = to
        self._fire(PROCESSING_DOMAIN)

    def end(self) -> None:
        """Ends the input: the watermark becomes maximal, all event timers fire, then the operator's on_end runs."""
        self.advance_watermark(END_OF_TIME)
        if self._engine.binding.on_end is not None:
            self._run(END, [Item()])

    # Looking.

    @overload
    def rows(self, port: str) -> list[dict[str, Any]]: ...
    @overload
    def rows(self, port: str, cls: type[R]) -> list[R]: ...
    def rows(self, port: str, cls: Any = None) -> Any:
        """The rows that a port emitted since the last call: as dicts by column, or as a row class that has some of its
        columns.

        In a dict timestamps are microseconds and dates days, as int, and decimals Decimal. An ``EventTime`` field of the
        class that is no column of the port gets the rows' event times.
        """
        outputs = self._engine.binding.outputs
        names = [o.name for o in outputs]
        if port not in names:
            raise KeyError(f"the operator has no output port {port}")
        index = names.index(port)
        emitted, self._emitted[index] = self._emitted[index], []
        schema = outputs[index].schema
        if cls is None:
            return [
                {name: list(v) if isinstance(v, tuple) else v for (name, _, _), v in zip(schema, row)} for row, _ in emitted
            ]
        layout = self._layout(cls)
        return [_object(layout, schema, row, time) for row, time in emitted]

    def errors(self) -> list[Rejected]:
        """The items that were rejected since the last call."""
        out, self._errors = self._errors, []
        return out

    def logs(self) -> list[str]:
        """The lines that the operator logged since the last call."""
        out, self._logs = self._logs, []
        return out

    def metric(self, name: str) -> float:
        """The value of a counter or gauge, 0 where it was never reported."""
        return self._metrics.get(name, 0)

    def value_of(self, state: str, *key: Any) -> Any:
        """The value state of a key, given as the values of its columns in their order; None where there is none."""
        index, cell = self._cell(VALUE, state, key)
        return None if cell is None else make_row(self._engine.binding.states[index].value, cell.plain)

    def list_of(self, state: str, *key: Any) -> list[Any]:
        """The list state of a key."""
        index, cell = self._cell(LIST, state, key)
        return [make_row(self._engine.binding.states[index].value, written.plain) for written in cell]

    def map_of(self, state: str, *key: Any) -> list[tuple[Any, Any]]:
        """The entries of the map state of a key, in the order of their keys."""
        index, cell = self._cell(MAP_STATE, state, key)
        bound = self._engine.binding.states[index]
        assert bound.key is not None
        return [(make_row(bound.key, k), make_row(bound.value, written.plain)) for k, written in sorted(cell.items())]

    def timers_of(self, *key: Any) -> list[SetTimer]:
        """The timers of a key, in the order in which they will fire."""
        names = self._engine.binding.timers
        found = self._store.timers.get(self._key(key), ())
        return [SetTimer(names[t.name].name, t.time, t.tag, t.domain == PROCESSING_DOMAIN) for t in found]

    def _cell(self, kind: int, state: str, key: tuple[Any, ...]) -> tuple[int, Any]:
        for i, s in enumerate(self._engine.binding.states):
            if s.name == state:
                if s.kind != kind:
                    raise TypeError(f"state {state} is a {('', 'value', 'list', 'map')[s.kind]}")
                return i, self._store.cell(i, self._key(key), self._now)
        raise KeyError(f"the operator has no state {state}")

    def _key(self, key: tuple[Any, ...]) -> Plain:
        fields = self._request["key"]
        if len(key) != len(fields):
            raise TypeError(f"a key has {len(fields)} columns")
        return identity(
            tuple(_plain(v, f["name"], type_of(f["type"]), f.get("nullable", False)) for v, f in zip(key, fields))
        )

    # Running.

    def _port(self, name: str) -> int:
        for i, p in enumerate(self._declaration.inputs):
            if p.name == name:
                return i
        raise KeyError(f"the operator has no port {name}")

    def _layout(self, cls: type) -> Layout:
        if cls not in self._layouts:
            self._layouts[cls] = layout_of(cls, "value")
        return self._layouts[cls]

    def _item(self, port: int, sent: Any) -> Item:
        schema = self._schemas[port]
        values, time = self._values(schema, sent)
        for name in schema.names:
            if name not in values:
                raise TypeError(f"the rows have no column {name}")
        row = tuple(_plain(values[name], name, type, nullable) for name, type, nullable in schema.columns)
        if time is None and self._event_time in schema.names:
            time = row[schema.names.index(self._event_time)]
        key = None
        if self._request["key"]:
            plain = tuple(row[i] for i in self._key_columns[port])
            key = identity(plain)
            self._store.keys.setdefault(key, plain)
        return Item(port, sent, row, key, NO_TIME if time is None else time)

    def _values(self, schema: _Schema, sent: Any) -> tuple[dict[str, Any], int | None]:
        """The values of a row by column, and its event time where the row has it."""
        time = None
        if isinstance(sent, Mapping):
            values = dict(sent)
            if schema.event_time in values:
                time = _microseconds(values[schema.event_time])
            return values, time
        if not dataclasses.is_dataclass(sent):
            return {schema.names[0]: sent}, None
        values = {}
        for c in self._layout(type(sent)).columns:
            if not c.name:
                continue
            value = getattr(sent, c.attribute)
            if isinstance(c, OwnColumn) and c.spec.event_time:
                time = _microseconds(value)
            values[c.name] = value
        return values, time

    def _fire(self, domain: int) -> None:
        """Fires due timers in rounds, one a key each, so that what a round sets or deletes counts for the next."""
        reached = self._now if domain == PROCESSING_DOMAIN else self._watermark
        for _ in range(TIMER_ROUNDS_MAX):
            due = self._store.due(domain, reached)
            if not due:
                return
            self._run(TIMERS, [Item(key=key, time=timer.time, timer=timer) for key, timer in due])
        raise RuntimeError(f"timers fired {TIMER_ROUNDS_MAX} rounds")

    def _run(self, kind: int, items: list[Item]) -> None:
        """Has all items take effect or be rejected: the contract's algorithm for errors and what was not consumed."""
        single = False
        while items:
            n = min(len(items), ROWS_MAX)
            if single:
                n = 1
            elif self._random is not None:
                n = self._random.randint(1, n)
            try:
                items = items[self._frame(kind, items[:n]) :]
            except Failed as failed:
                if failed.item < 0 and n > 1:
                    single = True
                    continue
                at = max(failed.item, 0)
                self._run(kind, items[:at])
                self._reject(items[at], failed.error)
                items = items[at + 1 :]

    def _reject(self, item: Item, error: BaseException) -> None:
        timer = ""
        if item.timer is not None:
            assert item.key is not None
            timer = self._engine.binding.timers[item.timer.name].name
            self._store.unset(item.key, item.timer)
        if self._on_error == "fail":
            raise error
        port = self._declaration.inputs[item.port].name if item.port >= 0 else ""
        message, place = explain(error)
        self._errors.append(Rejected(port, item.sent, timer, message, place, error))

    def _frame(self, kind: int, items: list[Item]) -> int:
        """Runs one frame and has what it did take effect; returns how many items were consumed."""
        if self._random is not None and self._random.randrange(_REPLACED_ONE_IN) == 0:
            self._engine = self._new_engine(self._bind())
        self._sequence += 1
        effects = self._engine.run(kind, items, self._watermark, self._now, (self._shake ^ self._sequence, self._sequence))
        if kind in (WATERMARK, END):
            effects.consumed = 1
        consumed = items[: effects.consumed]
        for item in consumed:
            if item.timer is not None and item.key is not None:
                self._store.unset(item.key, item.timer)
        self._take(effects, consumed)
        return effects.consumed

    def _take(self, effects: Effects, items: list[Item]) -> None:
        binding = self._engine.binding
        for (state, key), cell in effects.cells.items():
            if cell is None or cell == [] or cell == {}:
                self._store.cells[state].pop(key, None)
            else:
                self._store.cells[state][key] = cell
        for change in effects.timers:
            self._store.change(change, self._watermark, self._now)
        for id, n in effects.counters.items():
            name = binding.metrics[id].name
            self._metrics[name] = self._metrics.get(name, 0) + n
        for id, value in effects.gauges.items():
            self._metrics[binding.metrics[id].name] = value
        for port, index, plain in effects.rows:
            item = items[index] if index >= 0 else None
            self._emitted[port].append(self._output(binding.outputs[port], plain, item))

    def _output(self, port: OutPort, plain: Plain, item: Item | None) -> tuple[Plain, int]:
        """A whole row of an output port, and its event time."""
        row: list[Any] = [None] * port.rows.columns
        for f, value in zip(port.rows.fields, plain):
            row[f.column] = value
        for p in port.passed:
            assert item is not None
            if p.flag == 1:
                row[p.column] = item.row[p.source]
            else:
                assert item.key is not None
                row[p.column] = self._store.keys[item.key][p.source]
        time = self._now
        if port.event_time:
            time = row[[name for name, _, _ in port.schema].index(port.event_time)]
        elif item is not None and (item.timer is not None or item.port >= 0) and item.time != NO_TIME:
            time = item.time
        return tuple(row), time


def _schema(read: Layout, given: Any) -> _Schema:
    """The columns of an input: those that a row class has, or that the operator reads."""
    layout = read if given is None else layout_of(given, "value")
    columns = []
    event_time = ""
    for c in layout.columns:
        if not isinstance(c, OwnColumn):
            raise TypeError("a class of input rows has no passed columns")
        if c.spec.event_time:
            event_time = c.name
        else:
            columns.append((c.name, c.spec.type, c.spec.nullable))
    fields = [{"name": name, "type": str(type), "nullable": nullable} for name, type, nullable in columns]
    return _Schema([name for name, _, _ in columns], fields, columns, event_time)


def _plain(value: Any, name: str, type: Type, nullable: bool) -> Any:
    """The plain value of an object for a column of a type, whichever of its forms the object has."""
    if type.element and isinstance(value, (list, tuple)):
        return tuple(_plain(v, name + "[]", type.element, False) for v in value)
    form = _FORMS[type.number]
    if isinstance(value, datetime):
        form = types.FORM_DATETIME
    elif isinstance(value, date):
        form = types.FORM_DATE
    return to_plain(value, name, type, form, nullable)


_FORMS = {1: 1, 2: 2, 3: 2, 4: 2, 5: 2, 6: 3, 7: 3, 8: 8, 9: 2, 11: 2, 12: 2, 13: 4, 14: 5, 15: 9}


def _object(layout: Layout, schema: Iterable[tuple[str, Type, bool]], row: Plain, time: int) -> Any:
    """An output row as an object of a row class, or the value of its only column."""
    columns = {name: (type, value) for (name, type, _), value in zip(schema, row)}
    values = {}
    for c in layout.columns:
        spec = c.spec
        name = c.name
        if layout.cls is None and len(columns) == 1:
            (name,) = columns
        if spec is None:
            raise TypeError("give a class that has all columns")
        if name not in columns:
            if not spec.event_time:
                raise TypeError(f"the port has no column {name}")
            values[c.attribute] = from_plain(time, spec.form)
            continue
        type, value = columns[name]
        if not takes(spec.type, type) or value is None and not spec.nullable:
            raise TypeError(f"column {name} is of type {type} and has {value!r}, its field takes {spec.type}")
        values[c.attribute] = from_plain(value, spec.form, spec.element)
    if layout.cls is None:
        return values[""]
    return make(layout.cls, values)


def _microseconds(time: int | datetime) -> int:
    return timestamp(time) if isinstance(time, datetime) else time

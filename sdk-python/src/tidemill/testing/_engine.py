"""Runs the frames of a test: it calls the operator's handlers and collects what they do.

The objects that it injects into the operator do what those of a module do, on plain Python values.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from tidemill import _declare as declare
from tidemill._column import FORMATS, Buffers, Column, buffers, lay_out
from tidemill._declare import Binding, Field, InPort, OutPort, Rows, State
from tidemill._errors import Error
from tidemill._parts import Fired
from tidemill._types import LIST, WIDTHS, Type
from tidemill._values import from_plain, to_plain
from tidemill.testing import _store as stores
from tidemill.testing._store import Plain, Store, Timer, TimerChange, Written

# Kinds of frames.
BATCH, TIMERS, WATERMARK, END = 1, 2, 3, 4

TAG_BYTES_MAX = 256
NO_ITEM = -1

# The part of frame_bytes at which a frame ends: the rest is room for what its last item does.
ANSWER_SHARE = 2

# An upper bound of what an element of a list takes in an answer, without the contents of texts.
ELEMENT_BYTES = max(WIDTHS.values())

# What a change of a timer takes in an answer, without its tag.
TIMER_BYTES = 4 + 2 + 1 + 1 + 8 + 4


@dataclasses.dataclass(slots=True)
class Item:
    """A row, a timer that fires, or a callback."""

    port: int = NO_ITEM
    sent: Any = None
    row: Plain = ()  # in the order of the port's schema
    key: Plain | None = None  # what tells it apart
    time: int = 0  # event time
    timer: Timer | None = None


@dataclasses.dataclass(slots=True)
class Effects:
    """What a frame did."""

    consumed: int = 0
    cells: dict[tuple[int, Plain], Any] = dataclasses.field(default_factory=dict)
    rows: list[tuple[int, int, Plain]] = dataclasses.field(default_factory=list)  # port, item, own columns
    timers: list[TimerChange] = dataclasses.field(default_factory=list)
    counters: dict[int, int] = dataclasses.field(default_factory=dict)
    gauges: dict[int, float] = dataclasses.field(default_factory=dict)
    bytes: int = 0


class Failed(Exception):
    """A frame of which nothing takes effect."""

    def __init__(self, item: int, error: BaseException) -> None:
        super().__init__(item, error)
        self.item = item
        self.error = error


class Engine:
    """One opened operator."""

    def __init__(self, binding: Binding, store: Store, reads: list[list[int]]) -> None:
        self.binding = binding
        self.store = store
        self.reads = reads  # of each input port, the columns of its schema that are read
        self.effects = Effects()
        self.kind = 0  # of the frame under way; 0 where there is none
        self.items: list[Item] = []
        self.now = 0  # the processing time of the frame
        self.frame = 0  # counts frames and their repetitions
        self.item = NO_ITEM  # under way
        self.key: Plain | None = None  # of that item
        self._inject()

    def _inject(self) -> None:
        b = self.binding
        self.outputs = [(BatchOutput if o.batch else Output)(self, i, o) for i, o in enumerate(b.outputs)]
        states: dict[int, Callable[[Engine, int, State], Any]] = {
            declare.VALUE: ValueState,
            declare.LIST: ListState,
            declare.MAP_STATE: MapState,
        }
        metrics: tuple[Callable[[Engine, int], Any], ...] = (CounterMetric, GaugeMetric)
        objects: list[tuple[str, Any]] = [(o.attribute, self.outputs[i]) for i, o in enumerate(b.outputs)]
        objects += [(s.attribute, states[s.kind](self, i, s)) for i, s in enumerate(b.states)]
        objects += [(t.attribute, TimerName(self, i, t.domain)) for i, t in enumerate(b.timers)]
        objects += [(m.attribute, metrics[m.kind](self, i)) for i, m in enumerate(b.metrics)]
        objects += [(k.attribute, KeyReader(self, k.rows)) for k in b.keys]
        for attribute, part in objects:
            if attribute:
                setattr(b.operator, attribute, part)

    def run(self, kind: int, items: list[Item], watermark: int, processing_time: int, seed: tuple[int, int]) -> Effects:
        """Runs a frame. Raises Failed where nothing of it takes effect."""
        operator = self.binding.operator
        operator.watermark, operator.processing_time, operator._seed = watermark, processing_time, seed
        self.now = processing_time
        limit = self.binding.limits["frame_bytes"]
        count = len(items)
        while True:
            self.kind, self.items, self.effects = kind, items[:count], Effects()
            self.item, self.key = NO_ITEM, None
            self.frame += 1
            try:
                self._call(watermark, limit // ANSWER_SHARE)
            except (Exception, SystemExit) as e:
                raise Failed(self.item, e) from e
            finally:
                self.kind = 0
            if self.effects.bytes <= limit:
                return self.effects
            # One item can go past the limit. What it did cannot be taken back by itself, so fewer items run again.
            if self.effects.consumed <= 1:
                raise Failed(0, Error(f"the answer to one item is larger than frame_bytes ({limit})"))
            count = self.effects.consumed // 2

    def _call(self, watermark: int, stop: int) -> None:
        b = self.binding
        if self.kind == WATERMARK and b.on_watermark is not None:
            b.on_watermark(watermark)
        elif self.kind == END and b.on_end is not None:
            b.on_end()
        elif self.kind == BATCH and b.inputs[self.items[0].port].how == declare.BATCH:
            self._call_batch(b.inputs[self.items[0].port])
        else:
            for i, item in enumerate(self.items):
                self.item, self.key = i, item.key
                if item.timer is not None:
                    b.timers[item.timer.name].handler(Fired(item.timer.time, item.timer.tag))
                else:
                    self._call_row(b.inputs[item.port], item)
                self.effects.consumed = i + 1
                if self.effects.bytes >= stop:
                    return

    def _call_row(self, port: InPort, item: Item) -> None:
        result = port.handler(make_row(port.rows, self._columns(port, item), item.time))
        if port.how == declare.MAP:
            self.outputs[0].emit(result)
        elif port.how == declare.FILTER:
            if result:
                self.outputs[0].pass_row()
        elif port.how == declare.FLAT_MAP:
            for row in result:
                self.outputs[0].emit(row)
        else:
            check_result(port, result)

    def _columns(self, port: InPort, item: Item) -> Plain:
        """The values of the columns that a port reads, in its order."""
        return tuple(item.row[i] for i in self.reads[item.port])

    def _call_batch(self, port: InPort) -> None:
        rows = [self._columns(port, item) for item in self.items]
        views: list[memoryview] = []
        values: dict[str, Any] = {}
        for f in port.rows.fields:
            plain = [item.time for item in self.items] if f.column == declare.EVENT_TIME else [row[f.column] for row in rows]
            values[f.attribute] = input_column(lay_out(plain, f.type), f.type, views)
        batch = InputBatch(self, make(port.rows.cls, values), len(rows))
        try:
            check_result(port, port.handler(batch))
        finally:
            for view in views:
                view.release()
        self.effects.consumed = len(rows)

    def changed(self, state: int) -> Any:
        """The cell of the current key, to be changed."""
        key = self.state_key()
        cell = self.effects.cells.get((state, key), self)
        if cell is self:
            cell = self.effects.cells[state, key] = stores.copy_cell(self.store.cell(state, key, self.now))
        return cell

    def cell(self, state: int) -> Any:
        """The cell of the current key."""
        key = self.state_key()
        cell = self.effects.cells.get((state, key), self)
        return self.store.cell(state, key, self.now) if cell is self else cell

    def state_key(self) -> Plain:
        """The current key, for state."""
        if not self.kind or self.key is None:
            raise RuntimeError("a state is used where no item with a key is under way")
        return self.key


def check_result(port: InPort, result: Any) -> None:
    """Refuses what a handler returns."""
    if result is not None:
        raise TypeError(f"on_{port.name} returned {type(result).__name__}: rows are emitted by output ports")


def make(cls: type | None, values: dict[str, Any]) -> Any:
    """An object of a row class, made without its constructor."""
    row: Any = object.__new__(cls or object)
    for attribute, value in values.items():
        object.__setattr__(row, attribute, value)
    return row


def make_row(rows: Rows, plain: Plain, time: int = 0) -> Any:
    """The object that stands for the values of a section's columns."""
    if rows.cls is None:
        f = rows.fields[0]
        return from_plain(plain[f.column], f.form, f.element)
    values = {}
    for f in rows.fields:
        values[f.attribute] = from_plain(time if f.column == declare.EVENT_TIME else plain[f.column], f.form, f.element)
    return make(rows.cls, values)


def take_row(rows: Rows, row: Any, what: str) -> Plain:
    """The plain values of a row's fields."""
    if rows.cls is None:
        return (_plain_of(row, rows.fields[0]),)
    if not isinstance(row, rows.cls):
        raise TypeError(f"{what}: it takes {rows.cls.__name__}, not {type(row).__name__}")
    return tuple(_plain_of(getattr(row, f.attribute), f) for f in rows.fields)


def _plain_of(value: Any, f: Field) -> Any:
    return to_plain(value, f.name, f.type, f.form, f.nullable, f.element)


def content_bytes(plain: Plain) -> int:
    """What the contents of a row's texts and lists take at most."""
    texts = sum(len(v.encode() if isinstance(v, str) else v) for v in plain if isinstance(v, (str, bytes)))
    return texts + sum(ELEMENT_BYTES * len(v) + content_bytes(v) for v in plain if isinstance(v, tuple))


def input_column(b: Buffers, type: Type, views: list[memoryview]) -> Column[Any]:
    """A column of a batch, whose views are added to a list."""

    def view(buffer: Any, format: Any) -> Any:
        if buffer is None:
            return None
        whole = memoryview(memoryview(buffer).cast("B").tobytes())
        views.append(whole.cast(format))
        return views[-1]

    if b.element and type.element:
        values: Any = input_column(b.element, type.element, views)
    else:
        values = view(b.values, FORMATS[type.number])
    return Column(b.rows, values, view(b.offsets, "i"), view(b.validity, "B"), type.number, type.scale)


def buffer_bytes(b: Buffers) -> int:
    """What the buffers of a column take."""
    own = sum(memoryview(buffer).nbytes for buffer in (b.values, b.offsets, b.validity) if buffer is not None)
    return own + (buffer_bytes(b.element) if b.element else 0)


class Output:
    """An output port."""

    def __init__(self, engine: Engine, id: int, port: OutPort) -> None:
        self._engine = engine
        self._id = id
        self._port = port

    def emit(self, row: Any, /) -> None:
        """See ``_parts.Out``."""
        self._add(take_row(self._port.rows, row, f"port {self._port.name}"))

    def pass_row(self) -> None:
        """Emits a row of passed columns only."""
        self._add(())

    def _add(self, plain: Plain) -> None:
        self.check()
        effects = self._engine.effects
        effects.rows.append((self._id, self._engine.item, plain))
        effects.bytes += self._port.bytes + content_bytes(plain)

    def check(self) -> None:
        """Refuses rows where there are none, or where they have not the columns that the port passes through."""
        e, port = self._engine, self._port
        if not e.kind:
            raise RuntimeError("a row is emitted where no callback is under way")
        if port.input >= 0 and (e.kind != BATCH or e.items[0].port != port.input):
            name = e.binding.inputs[port.input].name
            raise RuntimeError(
                f"port {port.name} passes columns of input {name} through: only rows of it can be emitted there"
            )
        if e.item == NO_ITEM and port.passed and not port.batch:
            raise RuntimeError(f"port {port.name} passes columns through where no item is under way")


class BatchOutput(Output):
    """An output port of columns."""

    def emit(self, columns: Any, /) -> None:
        """See ``_parts.BatchOut``."""
        self._columns(range(len(self._engine.items)), columns)

    def emit_for(self, items: Any, columns: Any, /) -> None:
        """See ``_parts.BatchOut``."""
        for item in items:
            if not 0 <= item < len(self._engine.items):
                raise IndexError(f"there is no row {item} in the batch under way")
        self._columns(items, columns)

    def _columns(self, items: Any, columns: Any) -> None:
        self.check()
        rows, n = self._port.rows, len(items)
        if rows.cls is not None and not isinstance(columns, rows.cls):
            raise TypeError(f"port {self._port.name}: it takes {rows.cls.__name__}, not {type(columns).__name__}")
        effects = self._engine.effects
        plain = [list(self._plain(f, columns, n, effects)) for f in rows.fields]
        effects.rows += [(self._id, item, tuple(column[j] for column in plain)) for j, item in enumerate(items)]
        effects.bytes += n * declare.ROW_BYTES

    def _plain(self, f: Field, columns: Any, n: int, effects: Effects) -> Iterator[Any]:
        b = buffers(getattr(columns, f.attribute), f.name, f.type, f.form, f.nullable, f.element, n)
        effects.bytes += buffer_bytes(b)
        for value in input_column(b, f.type, []):
            yield tuple(value) if f.type.number == LIST and value is not None else value


class InputBatch:
    """See ``_parts.Batch``."""

    def __init__(self, engine: Engine, columns: Any, rows: int) -> None:
        self._engine = engine
        self.columns = columns
        self.rows = rows

    def select(self, row: int, /) -> None:
        """See ``_parts.Batch``."""
        if not 0 <= row < self.rows:
            raise IndexError(f"there is no row {row} in the batch under way")
        self._engine.item, self._engine.key = row, self._engine.items[row].key


class _State:
    """What states of all kinds have."""

    def __init__(self, engine: Engine, id: int, state: State) -> None:
        self._engine = engine
        self._id = id
        self._state = state

    def _take(self, value: Any) -> Written:
        plain = take_row(self._state.value, value, f"state {self._state.name}")
        self._engine.effects.bytes += self._state.bytes + content_bytes(plain)
        return Written(plain, self._engine.now)

    def _make(self, written: Written) -> Any:
        return make_row(self._state.value, written.plain)

    def _loop(self, entries: list[Any], make: Callable[[Any], Any]) -> Iterator[Any]:
        """Loops over what was read, while its frame is under way."""
        engine, frame = self._engine, self._engine.frame

        def loop() -> Iterator[Any]:
            for entry in entries:
                if not engine.kind or engine.frame != frame:
                    raise RuntimeError("a loop over state is used after its frame")
                yield make(entry)

        return loop()

    def _write(self, cell: Any) -> None:
        self._engine.changed(self._id)
        self._engine.effects.cells[self._id, self._engine.state_key()] = cell
        self._engine.effects.bytes += self._state.bytes

    def clear(self) -> None:
        """See ``_parts``."""
        self._write(stores.empty_cell(self._state.kind))


class ValueState(_State):
    """See ``_parts.Value``."""

    def get(self, default: Any = None, /) -> Any:
        """See ``_parts.Value``."""
        written = self._engine.cell(self._id)
        return default if written is None else self._make(written)

    def has(self) -> bool:
        """See ``_parts.Value``."""
        return self._engine.cell(self._id) is not None

    def set(self, value: Any, /) -> None:
        """See ``_parts.Value``."""
        self._engine.state_key()
        self._write(self._take(value))


class ListState(_State):
    """See ``_parts.List``."""

    def append(self, value: Any, /) -> None:
        """See ``_parts.List``."""
        self._engine.state_key()
        written = self._take(value)
        self._engine.changed(self._id).append(written)

    def __iter__(self) -> Iterator[Any]:
        return self._loop(list(self._engine.cell(self._id)), self._make)

    def __len__(self) -> int:
        return len(self._engine.cell(self._id))


class MapState(_State):
    """See ``_parts.Map``."""

    def get(self, key: Any, default: Any = None, /) -> Any:
        """See ``_parts.Map``."""
        written = self._engine.cell(self._id).get(self._key(key))
        return default if written is None else self._make(written)

    def has(self, key: Any, /) -> bool:
        """See ``_parts.Map``."""
        return self._key(key) in self._engine.cell(self._id)

    def set(self, key: Any, value: Any, /) -> None:
        """See ``_parts.Map``."""
        cell = self._engine.changed(self._id)
        plain = self._key(key)
        cell[plain] = self._take(value)
        self._engine.effects.bytes += content_bytes(plain)

    def delete(self, key: Any, /) -> None:
        """See ``_parts.Map``."""
        plain = self._key(key)
        self._engine.changed(self._id).pop(plain, None)
        self._engine.effects.bytes += self._state.bytes + content_bytes(plain)

    def items(self) -> Iterator[tuple[Any, Any]]:
        """See ``_parts.Map``."""
        return self._loop(sorted(self._engine.cell(self._id).items()), self._pair)

    def backward(self) -> Iterator[tuple[Any, Any]]:
        """See ``_parts.Map``."""
        return self._loop(sorted(self._engine.cell(self._id).items(), reverse=True), self._pair)

    def range(self, low: Any, high: Any, /) -> Iterator[tuple[Any, Any]]:
        """See ``_parts.Map``."""
        first, end = self._key(low), self._key(high)
        return self._loop(sorted(e for e in self._engine.cell(self._id).items() if first <= e[0] < end), self._pair)

    def _key(self, key: Any) -> Plain:
        assert self._state.key is not None
        return take_row(self._state.key, key, f"the key of state {self._state.name}")

    def _pair(self, entry: tuple[Plain, Written]) -> tuple[Any, Any]:
        assert self._state.key is not None
        return make_row(self._state.key, entry[0]), self._make(entry[1])


class TimerName:
    """See ``_parts.Timer``."""

    def __init__(self, engine: Engine, name: int, domain: int) -> None:
        self._engine = engine
        self._name = name
        self._domain = domain

    def set(self, time: int, tag: str = "", /) -> None:
        """See ``_parts.Timer``."""
        self._change(stores.SET, time, tag)

    def delete(self, tag: str = "", /) -> None:
        """See ``_parts.Timer``."""
        self._change(stores.DELETE_TAG, 0, tag)

    def delete_at(self, time: int, tag: str = "", /) -> None:
        """See ``_parts.Timer``."""
        self._change(stores.DELETE, time, tag)

    def _change(self, op: int, time: int, tag: str) -> None:
        e = self._engine
        if not e.kind or e.key is None:
            raise RuntimeError("a timer is set or deleted where no item with a key is under way")
        if not isinstance(time, int):
            raise TypeError(f"a timer's time is int, in microseconds, not {type(time).__name__}")
        if not -(1 << 63) <= time < 1 << 63:
            raise OverflowError(f"a timer's time: {time} is out of the range of i64")
        if not isinstance(tag, str):
            raise TypeError(f"a timer's tag is str, not {type(tag).__name__}")
        size = len(tag.encode())
        if size > TAG_BYTES_MAX:
            raise ValueError("a timer's tag is longer than 256 bytes")
        e.effects.timers.append(TimerChange(e.key, op, Timer(time, self._name, tag, self._domain)))
        e.effects.bytes += TIMER_BYTES + size


class CounterMetric:
    """See ``_parts.Counter``."""

    def __init__(self, engine: Engine, id: int) -> None:
        self._engine = engine
        self._id = id

    def add(self, n: int = 1, /) -> None:
        """See ``_parts.Counter``."""
        if n < 0:
            raise ValueError("a counter only grows")
        counters = self._engine.effects.counters
        counters[self._id] = counters.get(self._id, 0) + n


class GaugeMetric:
    """See ``_parts.Gauge``."""

    def __init__(self, engine: Engine, id: int) -> None:
        self._engine = engine
        self._id = id

    def set(self, value: float, /) -> None:
        """See ``_parts.Gauge``."""
        self._engine.effects.gauges[self._id] = float(value)


class KeyReader:
    """See ``_parts.Key``."""

    def __init__(self, engine: Engine, rows: Rows) -> None:
        self._engine = engine
        self._rows = rows

    def get(self) -> Any:
        """See ``_parts.Key``."""
        e = self._engine
        if not e.kind or e.key is None:
            raise RuntimeError("the key is read where no item with a key is under way")
        return make_row(self._rows, e.store.keys[e.key])

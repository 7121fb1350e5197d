"""Declarations: what the class or function of an operator says, as tables for the engine that runs it.

This module is pure and the same natively and in a module. Two engines use it: ``_guest`` with the C module ``_tidemill``,
and ``testing``. What follows is all that they may rely on.

**Describing.** ``describe(language)`` is the description of SPEC.md 4 for all registered operators, in the order of their
definition; ``description_json(language)`` the same as canonical JSON in UTF-8: the bytes of the custom section
``tidemill.describe`` and of the answer of ``tidemill_describe``. ``language`` names the interpreter that will run the
module, such as ``CPython 3.13.5``, also where a native interpreter of another version describes it.

**Opening.** ``bind(request, log)`` takes an open request of SPEC.md 4 as a dict and ``log(level, line)``, and returns a
``Binding`` or raises. An ``OpenError`` has the open answer's error in ``answer()``; any other exception comes from the
user's own constructor or ``open``, and its message is ``_errors.explain(e)[0]``. ``bind`` makes the operator, sets the
parameters, runs the user's ``open``, and resolves all names and types. Opening twice gives two independent operators.

**Injecting.** After ``bind`` the engine does ``setattr(binding.operator, attribute, object)`` for each entry of
``outputs``, ``states``, ``timers``, ``metrics`` and ``keys`` that has an attribute (those of functions have none). The
objects do what the protocols of ``_parts`` say; ``Value``, ``List``, ``Map``, ``Timer``, ``Key``, ``Out``, ``BatchOut``,
``Counter``, ``Gauge``. Before each frame the engine sets ``watermark`` and ``processing_time`` of the operator to ints, and
``_seed`` to a new tuple ``(seed, sequence)``.

**Tables.** All are tuples, nested as the classes below say; C may take them by index. Numbers of types, kinds and domains
are SPEC.md's; a type is a ``_types.Type``. A *form* says which Python objects stand for a column's values; ``None`` stands
for null where ``nullable``:

====  =========  ==================================================  =======================================================
form  object     made of a column of type                            written as
====  =========  ==================================================  =======================================================
1     bool       bool                                                bool only, no other object
2     int        i8 to i64, date32 (days), timestamp(_tz) (us)       int, bool too; its own type's range or OverflowError
3     float      i8, i16, i32, f32, f64                              float or int; f32 is rounded as C does, inf where large
4     str        utf8                                                str; UnicodeEncodeError for lone surrogates
5     bytes      binary, utf8                                        bytes, bytearray or memoryview (C-contiguous)
6     datetime   timestamp, timestamp_tz: aware, in UTC              aware datetime: ``_operator.timestamp(v)``
7     date       date32                                              date that is no datetime
8     Decimal    decimal128                                          Decimal of no more digits than the column has
9     list       list: a new one, of objects of ``Field.element``    list or tuple of what is written as ``Field.element``
====  =========  ==================================================  =======================================================

Forms 6 and 7 may be made by ``_operator.time_of`` and ``_operator.date_of``. What is read in form 8 has just the digits
behind the point that the column has, and the user's decimal context counts for nothing. A column's type may differ from a
field's: then it is one of those in its line that widen to it, and ``Field.type`` is the column's. Subclasses of str, int,
float, Decimal and list are written too, and read as the plain types. Errors of writing have these texts, where n is the
column's name:

- ``TypeError("column n: it cannot be None")``
- ``TypeError("column n: it takes int, not str")``, with the object of the form and ``type(v).__name__``
- ``OverflowError("column n: 300 is out of the range of i8")``
- ``ValueError("column n: 1.005 does not fit decimal128(12,2)")``, for special values too
- those of an element of a list with ``n[]`` as the column's name
- a row that is no instance of its row class: ``TypeError("port p: it takes Order, not dict")``, for state ``state s: ...``,
  for the key of a map ``the key of state s: ...``

``_values.to_plain`` is these rules in Python. A value is converted when it is emitted or set, not later: the error is one
of the user's line, and what becomes of the object afterwards does not matter. What is read from state is a new object each
time, unless it is immutable: changing it changes nothing until it is set.

**Rows** of a row class are made without its constructor: ``cls.__new__(cls)``, then each field by ``object.__setattr__`` or
through the descriptor of its slot, so that frozen classes work. Fields of an output row are read by getattr. A row without
a class is the value of its one field itself.

**Calls.** A handler is called with one argument. ``how`` says what comes of the result:

- ROWS (0): the method of a class. Its result must be None, else ``TypeError("on_orders returned int: rows are emitted by
  output ports")``.
- MAP (1): the result is emitted to output 0. FILTER (2): where it is true, the row is passed to output 0, which has passed
  columns only. FLAT_MAP (3): it is iterated over, and each element emitted to output 0.
- BATCH (4): the argument is a ``Batch``; result as for ROWS. ``InPort.rows.cls`` is made like a row, its fields being
  ``Column`` objects: ``Column(length, values, offsets, validity, type)`` with memoryviews of the formats in
  ``_column.FORMATS``, validity None where no row is null, offsets None but for utf8, binary and lists, whose values are the
  ``Column`` of their elements; a decimal's has its scale too. The engine releases the memoryviews when the handler has
  returned.

A ``BatchOut`` gives the columns of an emitted object by ``_column.buffers``: see there.

Timers' handlers get ``_parts.Fired(time, tag)``, ``on_watermark`` an int, ``on_end`` nothing; all return None.

**Mistakes** have these texts, all but the last three being ``RuntimeError``:

- "a state is used where no item with a key is under way", "a timer is set or deleted where no item with a key is under way",
  "the key is read where no item with a key is under way"; these before a look at the arguments
- "a row is emitted where no callback is under way"
- "port raw passes columns of input payments through: only rows of it can be emitted there", "port totals passes columns
  through where no item is under way"; when the row is emitted
- "a loop over state is used after its frame"
- ``ValueError`` "a counter only grows"; "a timer's tag is longer than 256 bytes"
- ``TypeError`` "a timer's time is int, in microseconds, not float", "a timer's tag is str, not bytes"
- ``OverflowError`` "a timer's time: 9223372036854775808 is out of the range of i64"

**Exceptions** of a callback, of every class, are the answer ERROR with code 1, the item under way (for a batch the row
selected last, else -1), and message and place of ``_errors.explain``. An answer over ``frame_bytes`` for one item is ERROR
with code 2 and the message ``the answer to one item is larger than frame_bytes (N)``.
"""

from __future__ import annotations

import functools
import json
import sys
import types as _builtin_types
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

from tidemill import _parts as parts
from tidemill._column import Column
from tidemill._errors import DeclarationError, ParamError
from tidemill._operator import REQUIRED, Entry, Operator, Options, registered
from tidemill._rows import InputRow, Layout, OwnColumn, PassedColumn, class_hints, column_layout_of, layout_of, plain_name
from tidemill._types import DECIMAL, FORM_LIST, TYPE_NAMES, WIDTHS, Spec, Type, column_of, takes, type_of

ABI_VERSION = 1
SDK_VERSION = "0.1.0"

# How a handler is called.
ROWS, MAP, FILTER, FLAT_MAP, BATCH = range(5)

# Field.column of the event time of an input row, which is no column.
EVENT_TIME = -1

# Flags of passed columns, kinds of state, domains of timers, kinds of metrics: SPEC.md's.
INPUT, KEY = 1, 2
VALUE, LIST, MAP_STATE = 1, 2, 3
EVENT_DOMAIN, PROCESSING_DOMAIN = 0, 1
COUNTER, GAUGE = 0, 1


class Field(NamedTuple):
    """A column whose values a row has."""

    name: str  # of the column
    attribute: str  # of the row class; "" where the row is the value itself
    type: Type  # of the column in the frame
    form: int
    nullable: bool
    column: int  # index among the columns of its section; EVENT_TIME for the item's event time (input rows only)
    element: int  # the form of a list's elements, else 0


class Passed(NamedTuple):
    """A column of an output port that the host fills in."""

    column: int  # index among the port's columns
    flag: int  # INPUT or KEY
    source: int  # index of the input's or the key's column
    type: int  # its number


class Rows(NamedTuple):
    """The rows of a port, a state or a key."""

    cls: type | None  # None: a row is the value of its one field
    fields: tuple[Field, ...]
    columns: int  # of the section, passed ones included; for a map's key and value, of each alone


class InPort(NamedTuple):
    """An input port."""

    name: str
    rows: Rows
    handler: Callable[[Any], Any]
    how: int  # ROWS, MAP, FILTER, FLAT_MAP, BATCH
    event_time: bool  # a field takes the event time
    columns: tuple[str, ...]  # that are read, by name


class OutPort(NamedTuple):
    """An output port."""

    name: str
    attribute: str
    rows: Rows
    passed: tuple[Passed, ...]
    batch: bool
    input: int  # of the input port whose columns it passes through; -1 where none are
    schema: tuple[tuple[str, Type, bool], ...]  # name, type and nullable of all columns
    event_time: str  # the column that is the event time, or ""
    bytes: int  # an upper bound of what a row takes in an answer, without the contents of texts and lists


class State(NamedTuple):
    """A state."""

    name: str
    attribute: str
    kind: int  # VALUE, LIST, MAP_STATE
    key: Rows | None  # of a map
    value: Rows
    bytes: int  # an upper bound of what a change takes in an answer, without the contents of texts and lists
    ttl_ms: int  # after its last write a value, an element or an entry expires; 0 for never


class TimerName(NamedTuple):
    """A name of timers."""

    name: str
    attribute: str
    domain: int
    many: bool
    drop: bool
    handler: Callable[[parts.Fired], Any]


class Metric(NamedTuple):
    """A metric."""

    name: str
    attribute: str
    kind: int  # COUNTER, GAUGE
    doc: str


class KeyReader(NamedTuple):
    """An attribute that reads the key; ``Field.column`` is an index among the key's columns."""

    attribute: str
    rows: Rows


class Binding(NamedTuple):
    """An opened operator."""

    operator: Operator
    inputs: tuple[InPort, ...]
    outputs: tuple[OutPort, ...]
    states: tuple[State, ...]
    timers: tuple[TimerName, ...]
    metrics: tuple[Metric, ...]
    keys: tuple[KeyReader, ...]
    on_watermark: Callable[[int], Any] | None
    on_end: Callable[[], Any] | None
    limits: dict[str, int]  # of the open request
    prefetch: tuple[tuple[str, tuple[str, ...]], ...]  # of each input port and timer, by name: names of states

    def descriptor(self, fault_cell: int = 0) -> dict[str, Any]:
        """The binding descriptor of SPEC.md 4, with the address of the fault cell."""
        prefetch = dict(self.prefetch)
        callbacks = [name for name, f in (("watermark", self.on_watermark), ("end", self.on_end)) if f is not None]
        return {
            "fault_cell": fault_cell,
            "inputs": [
                {
                    "columns": list(p.columns),
                    "event_time": p.event_time,
                    "needs_key": bool(self.keys),
                    "prefetch": list(prefetch[p.name]),
                }
                for p in self.inputs
            ],
            "outputs": [
                {"name": o.name, "schema": [_json_field(*f) for f in o.schema], "event_time": o.event_time}
                for o in self.outputs
            ],
            "states": [_json_state(s) for s in self.states],
            "timers": [
                {
                    "name": t.name,
                    "mode": "many" if t.many else "replace",
                    "past": "drop" if t.drop else "next",
                    "prefetch": list(prefetch[t.name]),
                }
                for t in self.timers
            ],
            "metrics": [{"name": m.name, "kind": ("counter", "gauge")[m.kind], "doc": m.doc} for m in self.metrics],
            "callbacks": callbacks,
        }


def _json_field(name: str, type: Type, nullable: bool) -> dict[str, Any]:
    field: dict[str, Any] = {"name": name, "type": str(type)}
    if nullable:
        field["nullable"] = True
    return field


def _json_fields(rows: Rows) -> list[dict[str, Any]]:
    return [_json_field(f.name, f.type, f.nullable) for f in rows.fields]


def _json_state(state: State) -> dict[str, Any]:
    out: dict[str, Any] = {"name": state.name, "kind": ("", "value", "list", "map")[state.kind], "scope": "key"}
    if state.key is not None:
        out["key"] = _json_fields(state.key)
    out["value"] = _json_fields(state.value)
    if state.ttl_ms:
        out["ttl_ms"] = state.ttl_ms
    return out


class OpenError(Exception):
    """Parameters or inputs that an operator refuses."""

    def __init__(self, message: str, param: str = "", port: str = "", column: str = "") -> None:
        super().__init__(message, param, port, column)
        self.message = message
        self.param = param
        self.port = port
        self.column = column

    def __str__(self) -> str:
        if self.param:
            return f"parameter {self.param}: {self.message}"
        if self.port:
            return f"port {self.port}, column {self.column}: {self.message}"
        return self.message

    def answer(self) -> dict[str, str]:
        """The error of an open answer."""
        out = {"message": self.message}
        if self.param:
            out["param"] = self.param
        if self.port:
            out["column"] = f"{self.port}.{self.column}"
        return out


class _ColumnError(Exception):
    def __init__(self, column: str, message: str) -> None:
        super().__init__(f"column {column}: {message}")
        self.column = column
        self.message = message


class Param(NamedTuple):
    """A parameter."""

    name: str
    attribute: str
    type: str  # bool, int, float, string, duration_ms
    width: int  # of an int, the number of its column type
    default: Any  # as JSON has it; REQUIRED for none
    doc: str


class _Port(NamedTuple):
    name: str
    attribute: str
    layout: Layout
    batch: bool
    input: str | None  # option of an output port


class _State(NamedTuple):
    name: str
    attribute: str
    kind: int
    key: Layout | None
    value: Layout
    prefetch: bool | tuple[str, ...]
    ttl_ms: int


class _Timer(NamedTuple):
    name: str
    attribute: str
    domain: int
    many: bool
    drop: bool


def describe(language: str) -> dict[str, Any]:
    """The description of all registered operators. Raises DeclarationError where one is declared wrongly."""
    names = set()
    for entry in registered:
        if entry.name in names:
            raise DeclarationError(f"operator {entry.name} is registered twice", _place(entry.target))
        names.add(entry.name)
    if not registered:
        raise DeclarationError("the module has no operator: derive a class from tidemill.Operator or decorate a function")
    return {
        "abi": ABI_VERSION,
        "sdk": {"name": "python", "version": SDK_VERSION, "language": language},
        "entries": [declaration_of(entry).describe() for entry in registered],
    }


def description_json(language: str) -> bytes:
    """The description as canonical JSON."""
    return canonical_json(describe(language))


def canonical_json(value: Any) -> bytes:
    """JSON in UTF-8 without spaces, keys sorted, nothing escaped that need not be."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False).encode()


def bind(request: dict[str, Any], log: Callable[[int, str], None]) -> Binding:
    """Opens the operator that an open request names: see above."""
    for entry in registered:
        if entry.name == request["entry"]:
            return declaration_of(entry).bind(request, log)
    raise OpenError(f'the module has no operator "{request["entry"]}"')


@functools.cache
def declaration_of(entry: Entry) -> Declaration:
    """The declaration of an operator, made once: a module that has described itself opens its operators sooner."""
    return Declaration(entry)


_KINDS: dict[Any, int] = {parts.Value: VALUE, parts.List: LIST, parts.Map: MAP_STATE}
_METRICS = {parts.Counter: COUNTER, parts.Gauge: GAUGE}
_OPTIONS: dict[Any, str] = {
    parts.In: "port",
    parts.BatchIn: "port",
    parts.Out: "port",
    parts.BatchOut: "port",
    parts.Value: "state",
    parts.List: "state",
    parts.Map: "state",
    parts.Timer: "timer",
    parts.Counter: "metric",
    parts.Gauge: "metric",
    parts.Key: "port",
}


class Declaration:
    """An operator as its class or function declares it.

    Raises DeclarationError where that is wrong, with the attribute and the reason.
    """

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.doc = _doc(entry.target)
        self.params: list[Param] = []
        self.inputs: list[_Port] = []
        self.outputs: list[_Port] = []
        self.states: list[_State] = []
        self.timers: list[_Timer] = []
        self.metrics: list[Metric] = []
        self.keys: list[tuple[str, Layout]] = []
        try:
            if entry.kind == "class":
                self._declare_class(entry.target)
            else:
                self._declare_function(entry.target)
            self._check_names()
        except TypeError as e:
            raise DeclarationError(f"operator {entry.name}: {e}", _place(entry.target)) from None

    def keyed(self) -> bool:
        """Whether the operator has anything that belongs to a key."""
        return bool(self.states or self.timers or self.keys)

    def describe(self) -> dict[str, Any]:
        """The entry of the description."""
        out: dict[str, Any] = {"name": self.entry.name, "kind": "operator"}
        if self.doc:
            out["doc"] = self.doc
        if self.params:
            out["params"] = [_json_param(p) for p in self.params]
        out["inputs"] = [
            {
                "name": p.name,
                "keyed": self.keyed(),
                "columns": [
                    _json_field(c.name, c.spec.type, c.spec.nullable) for c in p.layout.own() if not c.spec.event_time
                ],
            }
            for p in self.inputs
        ]
        if self.outputs:
            out["outputs"] = [p.name for p in self.outputs]
        return out

    # Declaring.

    def _declare_class(self, cls: type[Operator]) -> None:
        hints = class_hints(cls)
        reserved = set(dir(Operator))
        for base in cls.__mro__:
            if base is Operator:
                break
            for attribute in base.__annotations__:
                if attribute in reserved:
                    raise TypeError(f"attribute {attribute}: every operator has one of that name")
        for attribute, hint in hints.items():
            if attribute in reserved:
                continue
            options = getattr(cls, attribute, None)
            try:
                self._declare_part(attribute, hint, options)
            except TypeError as e:
                raise TypeError(f"attribute {attribute}: {e}") from None
        if not self.inputs:
            raise TypeError("it has no input port: its class needs an attribute with the annotation In[...] or BatchIn[...]")
        self._check_handlers(cls)

    def _declare_part(self, attribute: str, hint: Any, options: Any) -> None:
        origin = get_origin(hint) or hint
        wanted = _OPTIONS.get(origin) if isinstance(origin, type) else None
        given: dict[str, Any] = {}
        if isinstance(options, Options):
            if options.kind != (wanted or "param"):
                raise TypeError(f"{options.kind}(...) does not belong to {hint}")
            given = options.given
        elif wanted is None:
            return  # an attribute of the user's own
        elif options is not None:
            raise TypeError(f"it is set to {options!r}")
        name = given.get("name") or plain_name(attribute)
        if wanted is None:
            self.params.append(_param(name, attribute, hint, given))
            return
        args = get_args(hint)
        if not args and origin not in (parts.Timer, parts.Counter, parts.Gauge):
            raise TypeError(f"say of what it is: {origin.__name__}[...]")
        if wanted == "state":
            self.states.append(_state(name, attribute, origin, args, given))
        elif wanted == "timer":
            domain = PROCESSING_DOMAIN if given.get("processing") else EVENT_DOMAIN
            self.timers.append(_Timer(name, attribute, domain, bool(given.get("many")), bool(given.get("drop"))))
        elif wanted == "metric":
            self.metrics.append(Metric(name, attribute, _METRICS[origin], given.get("doc") or ""))
        elif origin is parts.Key:
            self.keys.append((attribute, _key_layout(args[0])))
        else:
            self._declare_port(name, attribute, origin, args[0], given.get("input"))

    def _declare_port(self, name: str, attribute: str, origin: type, row: Any, input: str | None) -> None:
        batch = origin in (parts.BatchIn, parts.BatchOut)
        layout = column_layout_of(row, Column) if batch else layout_of(row, "value")
        port = _Port(name, attribute, layout, batch, input)
        if origin in (parts.In, parts.BatchIn):
            if layout.passes():
                raise TypeError("from_input, from_key, InputRow and KeyRow belong in output rows")
            if input is not None:
                raise TypeError("the option input belongs to an output port")
            self.inputs.append(port)
        else:
            self.outputs.append(port)

    def _declare_function(self, function: Any) -> None:
        hints = get_type_hints(function, include_extras=True)
        code: _builtin_types.CodeType = function.__code__
        if code.co_argcount != 1 or code.co_kwonlyargcount:
            raise TypeError("its function takes the row and nothing else")
        argument = code.co_varnames[0]
        if argument not in hints:
            raise TypeError(f"its argument {argument} needs an annotation, the class of its rows")
        layout = _plain_layout(hints[argument], plain_name(argument))
        self.inputs.append(_Port("in", "", layout, False, None))
        result = hints.get("return")
        if self.entry.kind == "filter":
            result = InputRow
        elif self.entry.kind == "flat_map":
            args = get_args(result)
            if not args:
                raise TypeError("it needs the annotation of what it gives: -> Iterator[Word]")
            result = args[0]
        elif result is None or result is type(None):
            raise TypeError("it needs the annotation of what it gives: -> Word")
        self.outputs.append(_Port("out", "", layout_of(result, "value"), False, None))

    def _check_handlers(self, cls: type[Operator]) -> None:
        known = {"on_watermark", "on_end"}
        handled = [("input port", p.name, p.attribute, "batch" if p.batch else "row") for p in self.inputs]
        handled += [("timer", t.name, t.attribute, "fired") for t in self.timers]
        for what, name, attribute, argument in handled:
            method = "on_" + plain_name(attribute)
            if method in known:
                raise TypeError(f"{what} {name}: another part has the method {method}")
            known.add(method)
            if not callable(getattr(cls, method, None)):
                raise TypeError(f"{what} {name} has no handler: define {method}(self, {argument})")
        for method in dir(cls):
            if not method.startswith("on_"):
                continue
            if method not in known:
                raise TypeError(f"{method} handles nothing: there is no input port or timer {method[3:]}")
            code = getattr(getattr(cls, method), "__code__", None)
            if code is not None and code.co_flags & (_GENERATOR | _COROUTINE | _ASYNC_GENERATOR):
                raise TypeError(f"{method} is a generator or asynchronous: rows are emitted by output ports")

    def _check_names(self) -> None:
        for what, names in (
            ("parameter", [p.name for p in self.params]),
            ("input port", [p.name for p in self.inputs]),
            ("output port", [p.name for p in self.outputs]),
            ("state", [s.name for s in self.states]),
            ("timer", [t.name for t in self.timers]),
            ("metric", [m.name for m in self.metrics]),
        ):
            for i, name in enumerate(names):
                if not is_name(name):
                    raise TypeError(f"{what} {name!r}: {_NAME_RULE}")
                if name in names[:i]:
                    raise TypeError(f"there are two of {what} {name}")
        if not is_name(self.entry.name):
            raise TypeError(_NAME_RULE)
        known = self._receivers()
        for state in self.states:
            for name in state.prefetch if isinstance(state.prefetch, tuple) else ():
                if name not in known:
                    raise TypeError(f"state {state.name} is to be prefetched for {name}, which is no input port or timer")

    # Opening.

    def bind(self, request: dict[str, Any], log: Callable[[int, str], None]) -> Binding:
        """Opens the operator."""
        target = self.entry.target
        operator: Operator = target() if self.entry.kind == "class" else Operator()
        operator._log = log
        operator.job = request.get("job", "")
        operator.operator = request.get("operator", "")
        operator.subtask = request.get("subtask", 0)
        operator.parallelism = request.get("parallelism", 1)
        self._set_params(operator, request.get("params") or {})
        try:
            operator.open()
        except ParamError as e:
            raise OpenError(e.message, param=e.param) from None
        key = [_column(c) for c in request.get("key") or ()]
        inputs = self._bind_inputs(operator, request["inputs"])
        return Binding(
            operator=operator,
            inputs=inputs,
            outputs=tuple(self._bind_output(p, request["inputs"], key) for p in self.outputs),
            states=tuple(_bind_state(s) for s in self.states),
            timers=tuple(
                TimerName(t.name, t.attribute, t.domain, t.many, t.drop, getattr(operator, "on_" + plain_name(t.attribute)))
                for t in self.timers
            ),
            metrics=tuple(self.metrics),
            keys=tuple(KeyReader(attribute, _bind_key(layout, key)) for attribute, layout in self.keys),
            on_watermark=getattr(operator, "on_watermark", None),
            on_end=getattr(operator, "on_end", None),
            limits=dict(request.get("limits") or {}),
            prefetch=tuple((name, self._prefetch(name)) for name in self._receivers()),
        )

    def _receivers(self) -> list[str]:
        """What state can be prefetched for."""
        return [p.name for p in self.inputs] + [t.name for t in self.timers]

    def _prefetch(self, name: str) -> tuple[str, ...]:
        return tuple(
            s.name for s in self.states if s.prefetch is True or isinstance(s.prefetch, tuple) and name in s.prefetch
        )

    def _set_params(self, operator: Operator, given: dict[str, Any]) -> None:
        for p in self.params:
            if p.name not in given and p.default is REQUIRED:
                raise OpenError("it is required", param=p.name)
            try:
                setattr(operator, p.attribute, _param_value(p, given.get(p.name, p.default)))
            except TypeError as e:
                raise OpenError(str(e), param=p.name) from None
        unknown = sorted(set(given) - {p.name for p in self.params})
        if unknown:
            raise OpenError("the operator has no such parameter", param=unknown[0])

    def _bind_inputs(self, operator: Operator, given: list[dict[str, Any]]) -> tuple[InPort, ...]:
        if len(given) != len(self.inputs):
            raise OpenError(f"the operator has {len(self.inputs)} input ports, the job gives {len(given)}")
        out = []
        for port, input in zip(self.inputs, given):
            if self.keyed() and not input["keyed"]:
                raise OpenError(f"port {port.name} must be keyed, because the operator has state, timers or a key")
            schema = [_column(c) for c in input["schema"]]
            try:
                rows = _bind_columns(port.layout, schema, port.batch)
            except _ColumnError as e:
                raise OpenError(e.message, port=port.name, column=e.column) from None
            if self.entry.kind == "class":
                handler = getattr(operator, "on_" + plain_name(port.attribute))
                how = BATCH if port.batch else ROWS
            else:
                handler = self.entry.target
                how = _FUNCTIONS[self.entry.kind]
            columns = tuple(f.name for f in rows.fields if f.column != EVENT_TIME)
            out.append(InPort(port.name, rows, handler, how, len(columns) < len(rows.fields), columns))
        return tuple(out)

    def _bind_output(self, port: _Port, inputs: list[dict[str, Any]], key: list[tuple[str, Type, bool]]) -> OutPort:
        source = -1
        schema: list[tuple[str, Type, bool]] = []
        fields: list[Field] = []
        passed: list[Passed] = []
        event_time = ""
        try:
            if any(isinstance(c, PassedColumn) and not c.key for c in port.layout.columns):
                source = self._source(port)
            columns = [_column(c) for c in inputs[source]["schema"]] if source >= 0 else []
            for c in port.layout.columns:
                if isinstance(c, PassedColumn):
                    for i, found in _passed(c, key if c.key else columns):
                        passed.append(Passed(len(schema), KEY if c.key else INPUT, i, found[1].number))
                        schema.append(found)
                    continue
                if c.spec.event_time:
                    if event_time:
                        raise TypeError("it has two event times")
                    event_time = c.name
                fields.append(_field(c, c.spec.type, len(schema)))
                schema.append((c.name, c.spec.type, c.spec.nullable))
            names = [name for name, _, _ in schema]
            for name in names:
                if names.count(name) > 1:
                    raise TypeError(f"it has two columns {name}")
        except (_ColumnError, TypeError) as e:
            raise OpenError(f"port {port.name}: {e}") from None
        rows = Rows(port.layout.cls, tuple(fields), len(schema))
        size = _row_bytes(fields) + ROW_BYTES
        return OutPort(port.name, port.attribute, rows, tuple(passed), port.batch, source, tuple(schema), event_time, size)

    def _source(self, port: _Port) -> int:
        names = [p.name for p in self.inputs]
        if port.input is not None:
            if port.input not in names:
                raise TypeError(f"there is no input port {port.input}")
            return names.index(port.input)
        if len(names) > 1:
            raise TypeError(
                "it passes columns of the input through, and there are several inputs: say which by port(input=...)"
            )
        return 0


_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200  # flags of code objects
_FUNCTIONS = {"map": MAP, "filter": FILTER, "flat_map": FLAT_MAP}

# What an emitted row takes besides its columns: its item, and event time and position in the host. What a change of state
# takes: its key index and operation.
ROW_BYTES = 4 + 16
CHANGE_BYTES = 4 + 1


def _row_bytes(fields: list[Field] | tuple[Field, ...]) -> int:
    return sum(WIDTHS[f.type.number] + f.nullable for f in fields)


_NAME_RULE = "a name is a letter or underscore, then letters, digits, '_' and '-', 128 at most"


def is_name(name: str) -> bool:
    """Whether a text can be the name of a part: a letter or underscore, then letters, digits, _ and -, 128 bytes at most."""
    if not name.isascii() or not 0 < len(name) <= 128 or name[0] in "-0123456789":
        return False
    return all(c.isalnum() or c in "_-" for c in name)


def _place(target: Any) -> str:
    """Where a class or function is defined, as far as the interpreter tells."""
    file = getattr(sys.modules.get(target.__module__), "__file__", None) or ""
    code = getattr(target, "__code__", None)
    line = code.co_firstlineno if code else target.__dict__.get("__firstlineno__", 0)
    return f"{file}:{line}" if file and line else file


def _doc(target: Any) -> str:
    """The first paragraph of a doc string, in one line."""
    lines = []
    for line in (target.__doc__ or "").strip().splitlines():
        if not line.strip():
            break
        lines.append(line.strip())
    return " ".join(lines)


def _column(field: dict[str, Any]) -> tuple[str, Type, bool]:
    return field["name"], type_of(field["type"]), bool(field.get("nullable", False))


def _field(c: OwnColumn, type: Type, column: int) -> Field:
    """The field of a column that is of a type, at an index of its section."""
    return Field(c.name, c.attribute, type, c.spec.form, c.spec.nullable, column, c.spec.element)


def _plain_layout(annotation: Any, scalar: str) -> Layout:
    """A layout whose values are all in the row."""
    layout = layout_of(annotation, scalar)
    if layout.passes():
        raise TypeError("from_input, from_key, InputRow and KeyRow belong in output rows")
    return layout


def _key_layout(annotation: Any) -> Layout:
    """The layout of a key, or of a map's."""
    layout = _plain_layout(annotation, "key")
    if any(c.spec.form == FORM_LIST for c in layout.own()):
        raise TypeError("a list cannot be part of a key")
    return layout


def _state(name: str, attribute: str, origin: type, args: tuple[Any, ...], given: dict[str, Any]) -> _State:
    kind = _KINDS[origin]
    key = None
    if kind == MAP_STATE:
        key = _key_layout(args[0])
        if not key.columns or not all(
            c.spec.type.number in _ORDERED and not c.spec.nullable and not c.spec.event_time for c in key.own()
        ):
            raise TypeError(
                "the key of a map is bool, a whole number, a decimal, str, a timestamp or date, or a row class of these"
            )
    value = layout_of(args[-1], "value")
    if value.passes() or any(c.spec.event_time for c in value.own()) or not value.columns:
        raise TypeError("a state holds values only, no passed columns or event times")
    prefetch = given.get("prefetch")
    if prefetch is None:
        prefetch = kind == VALUE
    if not isinstance(prefetch, (bool, tuple)):
        raise TypeError("prefetch is True, False or a tuple of the names of input ports and timers")
    return _State(name, attribute, kind, key, value, prefetch, _ttl_ms(given.get("ttl")))


_ORDERED = {1, 2, 3, 4, 5, DECIMAL, 9, 11, 12, 13}

_TTL_MS_MAX = 1 << 53


def _ttl_ms(ttl: Any) -> int:
    """The option ttl of a state in milliseconds; 0 where there is none."""
    if ttl is None:
        return 0
    millisecond = timedelta(milliseconds=1)
    if not isinstance(ttl, timedelta) or ttl % millisecond or not 0 < ttl // millisecond <= _TTL_MS_MAX:
        raise TypeError(f"ttl is a timedelta of whole milliseconds, 1 to 2^53 of them, not {ttl!r}")
    return ttl // millisecond


def _exact(layout: Layout) -> Rows:
    """The rows of a layout whose columns have its very types, in its order."""
    fields = tuple(_field(c, c.spec.type, i) for i, c in enumerate(layout.own()))
    return Rows(layout.cls, fields, len(fields))


def _bind_state(state: _State) -> State:
    value = _exact(state.value)
    key = _exact(state.key) if state.key is not None else None
    size = CHANGE_BYTES + _row_bytes(value.fields) + (_row_bytes(key.fields) if key else 0)
    return State(state.name, state.attribute, state.kind, key, value, size, state.ttl_ms)


def _bind_columns(layout: Layout, schema: list[tuple[str, Type, bool]], batch: bool) -> Rows:
    """Finds the columns of a layout in the schema of an input, and numbers those that are read."""
    fields: list[Field] = []
    columns = 0
    for c in layout.own():
        if c.spec.event_time:
            fields.append(_field(c, type_of("timestamp"), EVENT_TIME))
            continue
        fields.append(_bind_column(c, schema, columns, batch))
        columns += 1
    return Rows(layout.cls, tuple(fields), columns)


def _bind_column(c: OwnColumn, schema: list[tuple[str, Type, bool]], column: int, batch: bool = False) -> Field:
    for name, type, nullable in schema:
        if name == c.name:
            _fit(c.name, c.spec, type, nullable, batch)
            return _field(c, type, column)
    raise _ColumnError(c.name, "the input does not have it")


def _fit(name: str, spec: Spec, type: Type, nullable: bool, exactly: bool = False) -> None:
    """Checks that a field can take the values of a column."""
    if nullable and not spec.nullable:
        raise _ColumnError(name, "it may be null, so its field must be Optional")
    same = type == spec.type or (spec.type.number, type.number) == (11, 12)
    if not (same if exactly else takes(spec.type, type)):
        raise _ColumnError(name, f"it is of type {type}, its field takes {spec.type}")


def _bind_key(layout: Layout, key: list[tuple[str, Type, bool]]) -> Rows:
    fields = []
    names = [name for name, _, _ in key]
    try:
        for c in layout.own():
            if layout.cls is None and len(key) == 1:
                c = c._replace(name=names[0])
            fields.append(_bind_column(c, key, names.index(c.name) if c.name in names else 0))
    except _ColumnError as e:
        raise OpenError(f"key: {e}") from None
    return Rows(layout.cls, tuple(fields), len(key))


def _passed(c: PassedColumn, columns: list[tuple[str, Type, bool]]) -> Iterator[tuple[int, tuple[str, Type, bool]]]:
    """The columns that a passed one stands for: index in the input or key, and name, type and nullable in the output."""
    if c.spec is None:
        yield from enumerate(columns)
        return
    for i, (name, type, nullable) in enumerate(columns):
        if name == c.source:
            _fit(c.source, c.spec, type, nullable)
            yield i, (c.name, type, nullable)
            return
    raise _ColumnError(c.source, "it is no key column" if c.key else "the input does not have it")


def _param(name: str, attribute: str, hint: Any, given: dict[str, Any]) -> Param:
    width = 0
    spec = column_of(hint)
    if hint is timedelta:
        type = "duration_ms"
    elif spec is None or spec.nullable or spec.event_time or spec.type.number not in _PARAMS:
        raise TypeError(f"a parameter cannot be {hint}: it is bool, int, I8 to I64, float, str or timedelta")
    else:
        width = spec.type.number
        type = _PARAMS[width]
    p = Param(name, attribute, type, width, given["default"], given["doc"])
    if p.default is REQUIRED:
        return p
    default = p.default
    if type == "duration_ms":
        default = default // timedelta(milliseconds=1) if isinstance(default, timedelta) else None
    elif type == "float" and isinstance(default, int):
        default = float(default)
    p = p._replace(default=default)
    try:
        _param_value(p, p.default)
    except TypeError as e:
        raise TypeError(f"default {given['default']!r}: {e}") from None
    return p


_PARAMS = {1: "bool", 2: "int", 3: "int", 4: "int", 5: "int", 7: "float", 13: "string"}


def _param_value(p: Param, value: Any) -> Any:
    """The Python value of a parameter from that of JSON, where a whole number can be a float."""
    if p.type == "bool" and isinstance(value, bool) or p.type == "string" and isinstance(value, str):
        return value
    if p.type == "float" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if p.type in ("int", "duration_ms") and isinstance(value, int) and not isinstance(value, bool):
        if p.type == "duration_ms":
            if value < 0:
                raise TypeError("a duration is not negative")
            return timedelta(milliseconds=value)
        limit = 1 << 8 * WIDTHS[p.width] - 1
        if not -limit <= value < limit:
            raise TypeError(f"{value} is out of the range of {TYPE_NAMES[p.width]}")
        return value
    raise TypeError(f"it must be a {'duration' if p.type == 'duration_ms' else p.type}")


def _json_param(p: Param) -> dict[str, Any]:
    out: dict[str, Any] = {"name": p.name, "type": p.type}
    if p.default is REQUIRED:
        out["required"] = True
    else:
        out["default"] = p.default
    if p.doc:
        out["doc"] = p.doc
    return out

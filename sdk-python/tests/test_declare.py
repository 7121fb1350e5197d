"""Declarations: descriptions, descriptors, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, NewType

import pytest

import tidemill
from tidemill import (
    I8,
    I32,
    Batch,
    BatchIn,
    BatchOut,
    Column,
    Counter,
    Date,
    EventTime,
    Fired,
    Gauge,
    In,
    InputRow,
    Key,
    KeyRow,
    List,
    Map,
    Out,
    Timer,
    Timestamp,
    Value,
    from_input,
    from_key,
    param,
    port,
    state,
    timer,
)
from tidemill import _declare as declare
from tidemill._operator import registered, snake
from tidemill._types import TYPES, WIDTHS, Type, column_of, takes, type_of

SPEC = Path(__file__).parents[2] / "abi" / "SPEC.md"


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """No operators but the test's own."""
    before = list(registered)
    registered.clear()
    yield
    registered[:] = before


UserId = NewType("UserId", str)


@tidemill.row
class Visit:
    user: UserId
    page: str | None
    class_: I8
    size: int = tidemill.column("size in bytes")
    at: EventTime


@tidemill.row
class Report(KeyRow):
    page: str | None = from_input()
    day: Date
    time: EventTime


@tidemill.row
class Columns:
    user: Column[str]
    page: Column[str | None]


class Base(tidemill.Operator, name="base-name"):
    limit: I32 = param(100, doc="a limit")
    visits: In[Visit]

    def on_visits(self, visit: Visit) -> None: ...


def declared() -> None:
    """Defines operators."""

    class Everything(Base):
        """Does everything.

        More of it.
        """

        wait: timedelta = param(timedelta(minutes=1))
        ratio: float = param(1)
        must: str = param(name="must-be")
        batches: BatchIn[Columns]
        reports: Out[Report] = port(input="visits")
        out_: BatchOut[Columns]
        rest: Out[InputRow] = port(name="the-rest", input="batches")
        count: Value[int]
        pages: Map[str, Visits] = state(prefetch=True, ttl=timedelta(hours=24))
        last: List[Timestamp] = state(prefetch=("visits", "late"), name="latest")
        flush: Timer = timer(processing=True, many=True)
        late: Timer = timer(drop=True)
        seen: Counter = tidemill.metric(doc="visits seen")
        level: Gauge
        key: Key[str]
        _cache: dict[str, int]
        own: int = 3

        def on_batches(self, batch: Batch[Columns]) -> None: ...
        def on_flush(self, fired: Fired) -> None: ...
        def on_late(self, fired: Fired) -> None: ...
        def on_end(self) -> None: ...

    class _Hidden(Base):
        pass


@tidemill.row
class Visits:
    n: int
    first: Timestamp | None
    paid: Annotated[Decimal | None, tidemill.decimal(12, 2)]
    tags: list[str]
    times: list[I32] | None


def test_a_description_and_its_descriptor() -> None:
    declared()
    description = declare.describe("CPython 3.13.5")
    visit = [
        {"name": "user", "type": "utf8"},
        {"name": "page", "type": "utf8", "nullable": True},
        {"name": "class", "type": "i8"},
        {"name": "size in bytes", "type": "i64"},
    ]
    assert description == {
        "abi": 1,
        "sdk": {"name": "python", "version": tidemill.__version__, "language": "CPython 3.13.5"},
        "entries": [
            {
                "name": "everything",
                "kind": "operator",
                "doc": "Does everything.",
                "params": [
                    {"name": "limit", "type": "int", "default": 100, "doc": "a limit"},
                    {"name": "wait", "type": "duration_ms", "default": 60_000},
                    {"name": "ratio", "type": "float", "default": 1.0},
                    {"name": "must-be", "type": "string", "required": True},
                ],
                "inputs": [
                    {"name": "visits", "keyed": True, "columns": visit},
                    {"name": "batches", "keyed": True, "columns": visit[:2]},
                ],
                "outputs": ["reports", "out", "the-rest"],
            }
        ],
    }
    request = {
        "slot": 0,
        "entry": "everything",
        "job": "j",
        "operator": "o",
        "subtask": 2,
        "parallelism": 3,
        "params": {"must-be": "x", "wait": 5},
        "inputs": [
            {"port": "visits", "schema": [visit[3], *visit[:3]], "keyed": True},
            {"port": "batches", "schema": visit[:2], "keyed": True},
        ],
        "key": [visit[0]],
        "limits": {"frame_bytes": 1000},
    }
    bound = declare.bind(request, lambda level, line: None)
    o = bound.operator
    assert (o.job, o.operator, o.subtask, o.parallelism) == ("j", "o", 2, 3)
    assert (o.limit, o.wait, o.ratio, o.must) == (100, timedelta(milliseconds=5), 1.0, "x")  # type: ignore[attr-defined]
    assert bound.descriptor(8) == {
        "fault_cell": 8,
        "inputs": [
            {
                "columns": ["user", "page", "class", "size in bytes"],
                "event_time": True,
                "needs_key": True,
                "prefetch": ["count", "pages", "latest"],
            },
            {"columns": ["user", "page"], "event_time": False, "needs_key": True, "prefetch": ["count", "pages"]},
        ],
        "outputs": [
            {
                "name": "reports",
                "schema": [visit[0], visit[1], {"name": "day", "type": "date32"}, {"name": "time", "type": "timestamp"}],
                "event_time": "time",
            },
            {"name": "out", "schema": visit[:2], "event_time": ""},
            {"name": "the-rest", "schema": visit[:2], "event_time": ""},
        ],
        "states": [
            {"name": "count", "kind": "value", "scope": "key", "value": [{"name": "value", "type": "i64"}]},
            {
                "name": "pages",
                "kind": "map",
                "scope": "key",
                "key": [{"name": "key", "type": "utf8"}],
                "value": [
                    {"name": "n", "type": "i64"},
                    {"name": "first", "type": "timestamp", "nullable": True},
                    {"name": "paid", "type": "decimal128(12,2)", "nullable": True},
                    {"name": "tags", "type": "list<utf8>"},
                    {"name": "times", "type": "list<i32>", "nullable": True},
                ],
                "ttl_ms": 86_400_000,
            },
            {"name": "latest", "kind": "list", "scope": "key", "value": [{"name": "value", "type": "timestamp"}]},
        ],
        "timers": [
            {"name": "flush", "mode": "many", "past": "next", "prefetch": ["count", "pages"]},
            {"name": "late", "mode": "replace", "past": "drop", "prefetch": ["count", "pages", "latest"]},
        ],
        "metrics": [
            {"name": "seen", "kind": "counter", "doc": "visits seen"},
            {"name": "level", "kind": "gauge", "doc": ""},
        ],
        "callbacks": ["end"],
    }
    assert [(p.column, p.flag, p.source, p.type) for p in bound.outputs[0].passed] == [(0, 2, 0, 13), (1, 1, 2, 13)]


def test_canonical_json() -> None:
    declared()
    text = declare.description_json("CPython ü").decode()
    assert json.loads(text) == declare.describe("CPython ü")
    assert text.startswith('{"abi":1,"entries":[{"doc":"Does everything.","inputs":[{"columns":[{"name":"user",')
    assert text.endswith('"sdk":{"language":"CPython ü","name":"python","version":"0.1.0"}}')


def _no_port() -> None:
    class Wrong(tidemill.Operator):
        count: Value[int]


def _no_handler() -> None:
    class Wrong(tidemill.Operator):
        in_: In[int]


def _handles_nothing() -> None:
    class Wrong(tidemill.Operator):
        in_: In[int]

        def on_in(self, value: int) -> None: ...
        def on_inn(self, value: int) -> None: ...


def _generator() -> None:
    class Wrong(tidemill.Operator):
        in_: In[int]

        def on_in(self, value: int) -> Iterator[int]:
            yield value


def _reserved() -> None:
    class Wrong(Base):
        watermark: int = param(1)


def _bare() -> None:
    class Wrong(Base):
        count: Value  # type: ignore[type-arg]


def _no_column() -> None:
    class Wrong(Base):
        count: Value[set[int]]


def _no_digits() -> None:
    class Wrong(Base):
        total: Value[Decimal]


def _optional_elements() -> None:
    class Wrong(Base):
        last: Value[list[int | None]]


def _list_key() -> None:
    class Wrong(Base):
        pages: Map[list[int], int]


def _list_of_the_key() -> None:
    class Wrong(Base):
        key: Key[list[int]]


def _ttl() -> None:
    class Wrong(Base):
        count: Value[int] = state(ttl=timedelta(microseconds=1500))


def _no_ttl() -> None:
    class Wrong(Base):
        count: Value[int] = state(ttl=timedelta(0))


def _duration() -> None:
    class Wrong(Base):
        wait: timedelta = param("1h")  # type: ignore[assignment]


def _float_key() -> None:
    class Wrong(Base):
        pages: Map[float, int]


def _passed_state() -> None:
    class Wrong(Base):
        last: Value[Report]


def _passed_input() -> None:
    class Wrong(Base):
        reports: In[Report]


def _options() -> None:
    class Wrong(Base):
        flush: Timer = state(prefetch=True)


def _set() -> None:
    class Wrong(Base):
        count: Value[int] = 3  # type: ignore[assignment]


def _unknown() -> None:
    class Wrong(Base):
        orders: In[Ordr]  # type: ignore[name-defined]  # noqa: F821


def _param() -> None:
    class Wrong(Base):
        names: list[str] = param()


def _default() -> None:
    class Wrong(Base):
        small: I8 = param(128)


def _prefetch() -> None:
    class Wrong(Base):
        count: Value[int] = state(prefetch=("nobody",))


def _twice() -> None:
    class Wrong(Base):
        count: Value[int]
        other: Value[int] = state(name="count")


def _name() -> None:
    class Wrong(Base):
        count: Value[int] = state(name="über")


def _not_columns() -> None:
    class Wrong(Base):
        out: BatchOut[Visit]


def _no_argument() -> None:
    @tidemill.map  # type: ignore[arg-type]
    def wrong() -> int:
        return 1


def _no_result() -> None:
    @tidemill.map
    def wrong(value: int):  # type: ignore[no-untyped-def]
        return 1


def _no_annotation() -> None:
    @tidemill.filter
    def wrong(value):  # type: ignore[no-untyped-def]
        return True


def _no_iterator() -> None:
    @tidemill.flat_map
    def wrong(value: int) -> Iterator:  # type: ignore[type-arg]
        yield 1


def _again() -> None:
    class Wrong(Base):
        pass

    class Other(Base, name="wrong"):
        pass


@pytest.mark.parametrize(
    ("define", "want"),
    [
        (_no_port, "it has no input port: its class needs an attribute with the annotation In[...] or BatchIn[...]"),
        (_no_handler, "input port in has no handler: define on_in(self, row)"),
        (_handles_nothing, "on_inn handles nothing: there is no input port or timer inn"),
        (_generator, "on_in is a generator or asynchronous: rows are emitted by output ports"),
        (_reserved, "attribute watermark: every operator has one of that name"),
        (_bare, "attribute count: say of what it is: Value[...]"),
        (_no_column, "attribute count: set[int] is no row: it must be a dataclass or a type of column"),
        (_no_digits, "attribute total: say how many digits a Decimal has: Annotated[Decimal, tidemill.decimal(12, 2)]"),
        (_optional_elements, "attribute last: the elements of a list cannot be Optional, event times or lists"),
        (_list_key, "attribute pages: a list cannot be part of a key"),
        (_list_of_the_key, "attribute key: a list cannot be part of a key"),
        (
            _ttl,
            "attribute count: ttl is a timedelta of whole milliseconds, 1 to 2^53 of them, "
            "not datetime.timedelta(microseconds=1500)",
        ),
        (
            _no_ttl,
            "attribute count: ttl is a timedelta of whole milliseconds, 1 to 2^53 of them, not datetime.timedelta(0)",
        ),
        (_duration, "attribute wait: default '1h': it must be a duration"),
        (
            _float_key,
            "attribute pages: the key of a map is bool, a whole number, a decimal, str, a timestamp or date, "
            "or a row class of these",
        ),
        (_passed_state, "attribute last: a state holds values only, no passed columns or event times"),
        (_passed_input, "attribute reports: from_input, from_key, InputRow and KeyRow belong in output rows"),
        (_options, "attribute flush: state(...) does not belong to <class 'tidemill._parts.Timer'>"),
        (_set, "attribute count: it is set to 3"),
        (_unknown, "the annotations of Wrong: name 'Ordr' is not defined"),
        (_param, "attribute names: a parameter cannot be list[str]: it is bool, int, I8 to I64, float, str or timedelta"),
        (_default, "attribute small: default 128: 128 is out of the range of i8"),
        (_prefetch, "state count is to be prefetched for nobody, which is no input port or timer"),
        (_twice, "there are two of state count"),
        (_name, "state 'über': a name is a letter or underscore, then letters, digits, '_' and '-', 128 at most"),
        (_not_columns, "attribute out: field user of Visit: there is no column type for test_declare.UserId"),
        (_no_argument, "its function takes the row and nothing else"),
        (_no_result, "it needs the annotation of what it gives: -> Word"),
        (_no_annotation, "its argument value needs an annotation, the class of its rows"),
        (_no_iterator, "it needs the annotation of what it gives: -> Iterator[Word]"),
        (_again, "operator wrong is registered twice"),
    ],
)
def test_a_wrong_declaration_is_refused(define: Callable[[], None], want: str) -> None:
    define()
    with pytest.raises(TypeError) as e:
        declare.describe("")
    assert str(e.value).removeprefix("operator wrong: ") == want


@pytest.mark.parametrize(
    ("inputs", "params", "want"),
    [
        ([], {}, "the operator has 1 input ports, the job gives 0"),
        ([{"schema": [], "keyed": False}], {}, "port visits, column user: the input does not have it"),
        ([{"schema": [], "keyed": False}], {"limit": "1"}, "parameter limit: it must be a int"),
        (None, {}, 'the module has no operator "nobody"'),
    ],
)
def test_what_cannot_be_opened(inputs: Any, params: dict[str, Any], want: str) -> None:
    class Opened(Base):
        pass

    entry = "nobody" if inputs is None else "opened"
    with pytest.raises(declare.OpenError) as e:
        declare.bind({"entry": entry, "inputs": inputs, "params": params}, lambda level, line: None)
    assert str(e.value) == want


@tidemill.row
class WrongPass:
    size: I32 = from_input("size in bytes")
    user: str = from_key("nobody")


@tidemill.row
class TwoUsers(InputRow):
    user: str


@pytest.mark.parametrize(
    ("annotation", "want"),
    [
        (Out[WrongPass], "port wrong: column size in bytes: it is of type i64, its field takes i32"),
        (Out[TwoUsers], "port wrong: it has two columns user"),
    ],
)
def test_passed_columns_that_do_not_fit(annotation: Any, want: str) -> None:
    type("Opened", (Base,), {"__annotations__": {"wrong": annotation}, "__module__": __name__})
    schema = [
        {"name": "user", "type": "utf8"},
        {"name": "page", "type": "utf8"},
        {"name": "class", "type": "i8"},
        {"name": "size in bytes", "type": "i64"},
    ]
    with pytest.raises(declare.OpenError, match=re.escape(want)):
        declare.bind({"entry": "opened", "inputs": [{"schema": schema, "keyed": False}]}, lambda level, line: None)


@pytest.mark.parametrize(
    ("annotation", "want"),
    [
        (Annotated[Decimal, tidemill.decimal(38, 0)], "decimal128(38,0)"),
        (list[bytes], "list<binary>"),
        (list[Annotated[Decimal, tidemill.decimal(1, 1)]], "list<decimal128(1,1)>"),
        (list[Date], "list<date32>"),
    ],
)
def test_types_have_names(annotation: Any, want: str) -> None:
    spec = column_of(annotation)
    assert spec is not None
    assert str(spec.type) == want
    assert type_of(want) == spec.type


@pytest.mark.parametrize(
    "name",
    [
        "decimal128",
        "decimal128(39,2)",
        "decimal128(2,3)",
        "decimal128(0,0)",
        "decimal128(5, 2)",
        "list",
        "list<>",
        "list<list<i8>>",
    ],
)
def test_what_is_no_type_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"decimal has 1 to 38 digits|no column type"):
        tidemill.ColumnType(name)


@tidemill.row
class Lists:
    lists: list[list[int]]


@pytest.mark.parametrize("annotation", [In[Lists], Out[Lists], Value[Lists], BatchIn[Lists]])
def test_lists_of_lists_are_refused(annotation: Any) -> None:
    type("Nested", (Base,), {"__annotations__": {"wrong": annotation}, "__module__": __name__})
    want = "field lists of Lists: (the elements of a list cannot be Optional, event times or lists|there is no column type)"
    with pytest.raises(TypeError, match=want):
        declare.describe("")


@pytest.mark.parametrize(
    ("field", "column", "want"),
    [
        ("decimal128(12,2)", "decimal128(12,2)", True),
        ("decimal128(12,2)", "decimal128(9,2)", True),
        ("decimal128(12,2)", "decimal128(13,2)", False),
        ("decimal128(12,2)", "decimal128(9,1)", False),
        ("decimal128(12,2)", "i32", False),
        ("i64", "decimal128(1,0)", False),
        ("list<i64>", "list<i32>", True),
        ("list<binary>", "list<utf8>", True),
        ("list<i32>", "list<i64>", False),
        ("list<i32>", "i32", False),
        ("i32", "list<i32>", False),
    ],
)
def test_decimals_and_lists_widen(field: str, column: str, want: bool) -> None:
    assert takes(type_of(field), type_of(column)) is want


def test_names_are_in_snake_case() -> None:
    names = ["DepDelay", "UserID", "HTTPServer", "X", "lower"]
    assert [snake(name) for name in names] == ["dep_delay", "user_id", "http_server", "x", "lower"]


def test_the_types_are_those_of_the_contract() -> None:
    table = SPEC.read_text().partition("| type | number | value |")[2].partition("\n\n")[0]
    types: dict[str, int] = {}
    for line in table.splitlines()[2:]:
        names, numbers, *_ = (cell.strip() for cell in line.strip("|").split("|"))
        types.update(zip(names.split(", "), map(int, numbers.split(", ")), strict=True))
    assert types == TYPES
    assert set(WIDTHS) == set(TYPES.values())


def test_columns_are_read_as_in_go() -> None:
    source = (SPEC.parents[1] / "sdk-go" / "internal" / "row" / "read.go").read_text()
    table = source.partition("var conversions =")[2].partition("\n}")[0]
    names = {name.replace("_", "").lower(): number for name, number in TYPES.items()}
    lines = re.findall(r"abi\.(\w+): +\{(.*)\}", table)
    pairs = [(field, column) for field, columns in lines for column in re.findall(r"abi\.(\w+):", columns)]
    assert len(pairs) > 20
    reads = {(names[field.lower()], names[column.lower()]) for field, column in pairs}
    plain = [Type(number) for name, number in TYPES.items() if name not in ("decimal128", "list")]
    assert reads == {(field.number, column.number) for field in plain for column in plain if takes(field, column)}


def test_the_ten_rules_are_those_of_the_contract() -> None:
    def words(text: str) -> str:
        return " ".join(re.sub(r"[*`]", "", text).split())

    rules = SPEC.read_text().partition("## 12 The ten rules")[2].partition("## 13")[0]
    rules = rules.partition("1. **Order")[2]
    assert tidemill.__doc__
    assert words("1. Order" + rules) in words(tidemill.__doc__)


def test_the_smallest_operator_has_ten_lines() -> None:
    assert tidemill.__doc__
    program = tidemill.__doc__.partition("one function::\n\n")[2].partition("\n\nOthers")[0]
    lines = [line for line in program.splitlines() if line.strip()]
    assert len(lines) <= 10
    names: dict[str, Any] = {"__name__": __name__}
    exec("\n".join(line.removeprefix("    ") for line in program.splitlines()), names)
    assert [e["name"] for e in declare.describe("")["entries"]] == ["sizes"]
    assert names["sizes"]("ü") == names["Sized"]("ü", 2)

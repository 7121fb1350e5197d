"""Random programs on states and timers of every kind, against a model that knows nothing of frames.

The operator runs one command a row and writes down what it reads. The model is Python dicts, one command after another.
"""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest

import tidemill
from tidemill import I16, I32, Counter, EventTime, Fired, Gauge, In, List, Map, Out, Timer, Value, state, timer
from tidemill.testing import Harness


@tidemill.row(frozen=True)
class Command:
    key: str
    op: str
    n: int
    text: str
    at: EventTime


@tidemill.row
class Note:
    key: str = tidemill.from_key()
    text: str


@tidemill.row
class Noted:
    key: str
    text: str
    at: EventTime


@tidemill.row
class Copied(tidemill.InputRow):
    copy: bytes


@tidemill.row
class Cell:
    n: int
    text: str
    bytes: bytes
    maybe: I32 | None


@tidemill.row(frozen=True)
class Part:
    n: I16
    text: str


def cell_of(n: int, text: str) -> Cell:
    return Cell(n, text, text.encode() + b"!", n if n % 3 else None)


class Program(tidemill.Operator):
    """Runs one command a row."""

    in_: In[Command]
    notes: Out[Note]
    others: Out[Copied]
    cell: Value[Cell]
    count: Value[int] = state(prefetch=False)
    cells: List[Cell]
    names: List[str] = state(prefetch=True)
    parts: Map[Part, Cell]
    small: Map[int, str] = state(prefetch=("in", "late"))
    early: Timer
    late: Timer = timer(many=True)
    once: Timer = timer(drop=True)
    clock: Timer = timer(processing=True, many=True)
    notch: Counter
    level: Gauge

    def note(self, *what: Any) -> None:
        self.notes.emit(Note(text=" ".join(map(str, what))))

    def on_in(self, c: Command) -> None:
        self.notch.add()
        getattr(self, f"do_{c.op}")(c, Part(c.n, c.text))

    def do_set(self, c: Command, key: Part) -> None:
        value = cell_of(c.n, c.text)
        self.cell.set(value)
        value.n = 99  # what was written is a copy

    def do_edit(self, c: Command, key: Part) -> None:
        value = self.cell.get() or Cell(0, "", b"", None)
        value.n += c.n
        value.text += c.text
        self.cell.set(value)
        value.n = 99
        read = self.cell.get()
        assert read is not None
        read.n = 99  # what was read is a copy
        self.count.set(self.count.get(0) + c.n)

    def do_clear(self, c: Command, key: Part) -> None:
        self.cell.clear()
        self.count.clear()

    def do_get(self, c: Command, key: Part) -> None:
        self.note(self.cell.has(), self.cell.get(), self.count.has(), self.count.get("nothing"))

    def do_append(self, c: Command, key: Part) -> None:
        self.cells.append(cell_of(c.n, c.text))
        self.names.append(c.text)

    def do_list(self, c: Command, key: Part) -> None:
        for i, value in enumerate(self.cells):
            self.cells.append(value)  # is not seen by this loop
            if i == 2:
                break
        self.note(len(self.cells), len(self.names), *self.cells, *self.names)

    def do_drop(self, c: Command, key: Part) -> None:
        self.cells.clear()
        if c.n % 2 == 0:
            self.names.clear()

    def do_put(self, c: Command, key: Part) -> None:
        self.parts.set(key, cell_of(c.n, c.text))
        self.small.set(c.n, c.text)

    def do_delete(self, c: Command, key: Part) -> None:
        self.parts.delete(key)
        self.small.delete(c.n)

    def do_look(self, c: Command, key: Part) -> None:
        self.note(self.parts.get(key), self.parts.has(key), self.small.get(c.n, "nothing"), self.small.has(c.n))

    def do_wipe(self, c: Command, key: Part) -> None:
        self.parts.clear()
        if c.n % 2 == 0:
            self.small.clear()

    def do_scan(self, c: Command, key: Part) -> None:
        self.note(*self.scan(c.n))

    def do_early(self, c: Command, key: Part) -> None:
        self.early.set(c.n, c.text)

    def do_late(self, c: Command, key: Part) -> None:
        self.late.set(c.n)

    def do_once(self, c: Command, key: Part) -> None:
        self.once.set(c.n)

    def do_clock(self, c: Command, key: Part) -> None:
        self.clock.set(c.n, c.text)

    def do_cancel(self, c: Command, key: Part) -> None:
        self.early.delete(c.text)
        self.late.delete_at(c.n)
        if c.n % 4 == 0:
            self.clock.delete(c.text)
            self.once.delete()

    def do_pass(self, c: Command, key: Part) -> None:
        self.others.emit(Copied(c.text.encode()))
        self.level.set(c.n)

    def do_fail(self, c: Command, key: Part) -> None:
        self.note("nothing of this takes effect")
        self.cell.set(cell_of(0, "nor of this"))
        self.parts.clear()
        self.scan(0)
        self.cells.append(cell_of(0, ""))
        self.early.set(0)
        raise tidemill.Error("refused: " + c.text)

    def do_divide(self, c: Command, key: Part) -> None:
        self.parts.set(key, cell_of(0, ""))
        self.cell.set(cell_of(1 // (c.n - c.n), ""))

    def scan(self, n: int) -> list[Any]:
        """Loops over both maps, changes them inside the loop, and looks into one loop from another."""
        seen: list[Any] = []
        for k, v in self.parts.items():
            inner = sum(1 for _ in self.parts.range(k, Part(k.n + 2, "")))
            self.parts.set(Part(k.n, k.text + "'"), v)  # is not seen by the outer loop
            if k.n % 4 == 0:
                self.parts.delete(k)
            seen += [k, v, inner]
        for number, text in self.small.backward():
            seen += [number, text]
            if number == n:
                break
        return seen

    def on_early(self, fired: Fired) -> None:
        self.fired("early", fired)

    def on_late(self, fired: Fired) -> None:
        self.fired("late", fired)

    def on_once(self, fired: Fired) -> None:
        self.fired("once", fired)

    def on_clock(self, fired: Fired) -> None:
        self.fired("clock", fired)

    def fired(self, name: str, fired: Fired) -> None:
        self.note(name, fired.time, fired.tag, self.watermark)
        n = self.count.get(0)
        self.count.set(n + 1)
        if self.small.has(fired.time):
            self.note("small", self.small.get(fired.time))
        if name == "early" and n % 3 == 0:
            self.late.set(fired.time + 1)  # often due in the same advance
        elif name == "late" and n % 5 == 0:
            self.early.delete("b")
        elif name == "late" and n % 7 == 0:
            raise tidemill.Error("a timer is refused")


NAMES = ["early", "late", "once", "clock"]


@dataclasses.dataclass
class ModelKey:
    """What is kept of a key. A timer is (time, name, tag)."""

    cell: Cell | None = None
    count: int | None = None
    cells: list[Cell] = dataclasses.field(default_factory=list)
    names: list[str] = dataclasses.field(default_factory=list)
    parts: dict[tuple[int, str], Cell] = dataclasses.field(default_factory=dict)
    small: dict[int, str] = dataclasses.field(default_factory=dict)
    timers: set[tuple[int, int, str]] = dataclasses.field(default_factory=set)


class Model:
    """The operator and its host in the plainest form."""

    def __init__(self) -> None:
        self.keys: dict[str, ModelKey] = {}
        self.watermark = tidemill.NO_TIME
        self.now = 0
        self.notes: dict[str, list[Noted]] = {}
        self.passed: list[Command] = []
        self.errors: list[str] = []
        self.rows = 0
        self.level = 0

    def note(self, key: str, at: int, *what: Any) -> None:
        self.notes.setdefault(key, []).append(Noted(key, " ".join(map(str, what)), at))

    def row(self, c: Command) -> None:
        k, key = self.keys.setdefault(c.key, ModelKey()), (c.n, c.text)
        self.rows += 1
        match c.op:
            case "set":
                k.cell = cell_of(c.n, c.text)
            case "edit":
                old = k.cell or Cell(0, "", b"", None)
                k.cell = Cell(old.n + c.n, old.text + c.text, old.bytes, old.maybe)
                k.count = (k.count or 0) + c.n
            case "clear":
                k.cell = k.count = None
            case "get":
                self.note(
                    c.key, c.at, k.cell is not None, k.cell, k.count is not None, "nothing" if k.count is None else k.count
                )
            case "append":
                k.cells.append(cell_of(c.n, c.text))
                k.names.append(c.text)
            case "list":
                k.cells += k.cells[:3]
                self.note(c.key, c.at, len(k.cells), len(k.names), *k.cells, *k.names)
            case "drop":
                k.cells = []
                if c.n % 2 == 0:
                    k.names = []
            case "put":
                k.parts[key], k.small[c.n] = cell_of(c.n, c.text), c.text
            case "delete":
                k.parts.pop(key, None)
                k.small.pop(c.n, None)
            case "look":
                self.note(c.key, c.at, k.parts.get(key), key in k.parts, k.small.get(c.n, "nothing"), c.n in k.small)
            case "wipe":
                k.parts = {}
                if c.n % 2 == 0:
                    k.small = {}
            case "scan":
                self.note(c.key, c.at, *self.scan(k, c.n))
            case "early" | "clock":
                self.set(k, c.n, NAMES.index(c.op), c.text)
            case "late" | "once":
                self.set(k, c.n, NAMES.index(c.op), "")
            case "cancel":
                k.timers = {
                    (time, name, tag)
                    for time, name, tag in k.timers
                    if not ((name, tag) == (0, c.text) or (time, name) == (c.n, 1))
                    and not (c.n % 4 == 0 and ((name, tag) == (3, c.text) or name == 2))
                }
            case "pass":
                self.passed.append(c)
                self.level = c.n
            case "fail":
                self.rows -= 1
                self.errors.append("refused: " + c.text)
            case "divide":
                self.rows -= 1
                self.errors.append("ZeroDivisionError: integer division or modulo by zero")

    def scan(self, k: ModelKey, n: int) -> list[Any]:
        seen: list[Any] = []
        for (number, text), v in sorted(k.parts.items(), key=lambda e: e[0]):
            inner = sum(1 for other in k.parts if (number, text) <= other < (number + 2, ""))
            k.parts[number, text + "'"] = v
            if number % 4 == 0:
                k.parts.pop((number, text), None)
            seen += [Part(number, text), v, inner]
        for number in sorted(k.small, reverse=True):
            seen += [number, k.small[number]]
            if number == n:
                break
        return seen

    def set(self, k: ModelKey, time: int, name: int, tag: str) -> None:
        if name in (0, 2):
            k.timers = {t for t in k.timers if t[1:] != (name, tag)}
        if name != 2 or time > self.watermark:
            k.timers.add((time, name, tag))

    def fire(self, processing: bool) -> None:
        """Fires what is due of one key, one after another."""
        reached = self.now if processing else self.watermark
        for name, k in self.keys.items():
            while due := sorted(t for t in k.timers if (t[1] == 3) == processing and t[0] <= reached):
                k.timers.remove(due[0])
                self.timer(name, k, *due[0])

    def timer(self, key: str, k: ModelKey, time: int, name: int, tag: str) -> None:
        n = k.count or 0
        if name == 1 and n % 5 != 0 and n % 7 == 0:
            self.errors.append("a timer is refused")
            return
        self.note(key, time, NAMES[name], time, tag, self.watermark)
        k.count = n + 1
        if time in k.small:
            self.note(key, time, "small", k.small[time])
        if name == 0 and n % 3 == 0:
            self.set(k, time + 1, 1, "")
        elif name == 1 and n % 5 == 0:
            k.timers = {t for t in k.timers if t[1:] != (0, "b")}


# How often each command comes.
WEIGHTS = {
    **{"set": 1, "edit": 2, "clear": 1, "get": 2, "append": 3, "list": 1, "drop": 1, "put": 4, "delete": 1, "look": 2},
    **{"wipe": 1, "scan": 2, "early": 2, "late": 2, "once": 2, "clock": 1, "cancel": 1, "pass": 2, "fail": 1, "divide": 1},
}
OPS = [op for op, n in WEIGHTS.items() for _ in range(n)]


@pytest.mark.parametrize("seed", range(40))
def test_programs_equal_the_model(seed: int) -> None:
    r = random.Random(seed)
    frame_bytes = (16 << 20, 20 << 10, 64 << 10)[seed % 3]
    h = Harness(Program, key=["key"], shake=seed, frame_bytes=frame_bytes, on_error="skip")
    m = Model()
    for _ in range(20):
        rows = [
            Command(r.choice("ABCD"), r.choice(OPS), r.randrange(40) - 8, r.choice("abc") * r.randrange(3), r.randrange(100))
            for _ in range(r.randrange(60))
        ]
        for c in rows:
            m.row(c)
        h.send("in", *rows)
        m.fire(True)
        move = r.randrange(3)
        if move == 0:
            to = r.randrange(60) - 20
            h.advance_watermark(to)
            if to > m.watermark:
                m.watermark = to
                m.fire(False)
        elif move == 1:
            m.now = max(m.now, r.randrange(60))
            h.advance_processing_time(m.now)
            m.fire(True)
    m.watermark = tidemill.END_OF_TIME
    h.end()
    m.fire(False)
    compare(h, m)


def compare(h: Harness, m: Model) -> None:
    notes: dict[str, list[Noted]] = {}
    for note in h.rows("notes", Noted):
        notes.setdefault(note.key, []).append(note)
    for key, k in m.keys.items():
        assert notes.get(key, []) == m.notes.get(key, []), key
        assert h.value_of("cell", key) == k.cell, key
        assert h.value_of("count", key) == k.count, key
        assert h.list_of("cells", key) == k.cells, key
        assert h.list_of("names", key) == k.names, key
        assert h.map_of("parts", key) == [(Part(*p), v) for p, v in sorted(k.parts.items(), key=lambda e: e[0])], key
        assert dict(h.map_of("small", key)) == k.small, key
        assert [(t.time, NAMES.index(t.name), t.tag) for t in h.timers_of(key)] == sorted(k.timers), key
    copies = h.rows("others")
    assert [Command(c["key"], c["op"], c["n"], c["text"], 0) for c in copies] == [
        dataclasses.replace(c, at=0) for c in m.passed
    ]
    assert [c["copy"] for c in copies] == [c.text.encode() for c in m.passed]
    assert sorted(e.message.splitlines()[0] for e in h.errors()) == sorted(m.errors)
    assert (h.metric("notch"), h.metric("level")) == (m.rows, m.level)

"""The command interpreter of abi/conformance/PROGRAM.md on the Python SDK."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import os
import struct
from array import array
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, TypeAlias

import tidemill
from tidemill import (
    END_OF_TIME,
    F32,
    I8,
    I16,
    I32,
    NO_TIME,
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
    Key,
    List,
    Map,
    Out,
    Timer,
    Timestamp,
    TimestampTZ,
    Value,
    from_input,
    from_key,
)

# What operands choose from.
NUMBERS = (
    *(NO_TIME, END_OF_TIME, -(2**53) - 1, 2**53 + 1, -(2**32), 2**32 - 1, -(2**31), 2**31 - 1),
    *(-(2**31) - 1, 2**31, -(2**15), 2**15 - 1, 2**15, -128, 127, 128),
)
GREATEST = 2.0**127 * (2 - 2.0**-23)  # f32
REALS = (
    *(math.nan, math.inf, -math.inf, -0.0, 2.0**-149, -(2.0**-149), 2.0**-126, GREATEST),
    *(-GREATEST, 2.0**24, 0.5, -1.5, 1024.25, 2.0**100, -(2.0**100), 2.0**-100),
)
TIMES = (
    *(NO_TIME, NO_TIME + 1, END_OF_TIME - 1, END_OF_TIME, -1, -2, -1000000, 240),
    *(256, 300, 500, 1000, 1000000, 2**31, 2**53 + 1, 253402300800000000),
)
DECIMALS = (
    *(10**20 - 1, -(10**20) + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64 - 1, 2**64),
    *(-(2**64), -(2**64) - 1, 10**19, -(10**19), 10000, -10000, 2**32, -(2**32)),
)
SYMBOLS = ("a", "b", "c", "z", "A", "0", " ", "\0", "é", "ß", "中", "😀", "\n", '"', "\x7f", "\ue000")


Amount: TypeAlias = Annotated[Decimal, tidemill.decimal(20, 4)]


def amount_of(number: int) -> Decimal:
    """The amount whose number without its point is given."""
    return Decimal(number).scaleb(-4)


@tidemill.row
class Record:
    """The record of PROGRAM.md."""

    flag: bool = False
    tiny: I8 | None = None
    small: I16 = 0
    medium: I32 | None = None
    large: int = 0
    single: F32 | None = None
    double: float = 0.0
    day: Date | None = None
    at: Timestamp = 0
    zoned: TimestampTZ | None = None
    text: str | None = None
    bytes: bytes = b""
    amount: Amount | None = None
    numbers: list[int] = dataclasses.field(default_factory=list)
    names: list[str] | None = None


FIELDS = tuple(f.name for f in dataclasses.fields(Record))


@tidemill.row
class InRow(Record):
    """A row of port in."""

    program: bytes = b""
    time: EventTime = 0


@tidemill.row
class MoreRow:
    """A row of port more."""

    program: bytes
    large: int
    text: str | None
    time: EventTime


@tidemill.row
class KeyColumns:
    """The key."""

    k: str | None
    g: int


@tidemill.row
class ValuesRow:
    """A row of port values: the record follows its head."""

    k: str | None
    g: int | None
    command: I16
    n: int | None
    name: str | None
    flag: bool
    tiny: I8 | None
    small: I16
    medium: I32 | None
    large: int
    single: F32 | None
    double: float
    day: Date | None
    at: Timestamp
    zoned: TimestampTZ | None
    text: str | None
    bytes: bytes
    amount: Amount | None
    numbers: list[int]
    names: list[str] | None


@tidemill.row
class PassedRow:
    """A row of port passed."""

    k: str | None = from_key()
    g: int = from_key()
    n: int
    text: str | None = from_input()
    unread: str | None = from_input()
    moved: Timestamp = from_input("at")
    bytes: bytes = from_input()
    flag: bool = from_input()
    single: F32 | None = from_input()
    tiny: I8 | None = from_input()
    amount: Amount | None = from_input()
    numbers: list[int] = from_input()
    names: list[str] | None = from_input()
    cost: Amount
    ramp: list[int]


@tidemill.row
class TimedRow:
    """A row of port timed."""

    k: str | None = from_key()
    g: int = from_key()
    due: EventTime
    n: int


@tidemill.row
class DrawnRow:
    """A row of port drawn."""

    k: str | None
    g: int | None
    number: int


@tidemill.row
class Pair:
    """A key of the map pairs."""

    small: I16
    amount: Amount
    flag: bool
    day: Date
    at: Timestamp
    text: str


@tidemill.row
class InColumns:
    """Rows of port in as columns, those of a record first."""

    flag: Column[bool]
    tiny: Column[I8 | None]
    small: Column[I16]
    medium: Column[I32 | None]
    large: Column[int]
    single: Column[F32 | None]
    double: Column[float]
    day: Column[Date | None]
    at: Column[Timestamp]
    zoned: Column[TimestampTZ | None]
    text: Column[str | None]
    bytes: Column[bytes]
    amount: Column[Amount | None]
    numbers: Column[list[int]]
    names: Column[list[str] | None]
    program: Column[bytes]
    time: Column[EventTime]


@tidemill.row
class MoreColumns:
    """Rows of port more as columns, of the very types of the input."""

    program: Column[bytes]
    large: Column[I32]
    text: Column[str]
    time: Column[EventTime]


@tidemill.row
class PassedColumns:
    """Rows of port passed as columns."""

    k: Column[str | None] = from_key()
    g: Column[int] = from_key()
    n: Column[int]
    text: Column[str | None] = from_input()
    unread: Column[str | None] = from_input()
    moved: Column[Timestamp] = from_input("at")
    bytes: Column[bytes] = from_input()
    flag: Column[bool] = from_input()
    single: Column[F32 | None] = from_input()
    tiny: Column[I8 | None] = from_input()
    amount: Column[Amount | None] = from_input()
    numbers: Column[list[int]] = from_input()
    names: Column[list[str] | None] = from_input()
    cost: Column[Amount]
    ramp: Column[list[int]]


def low_bits(n: int, bits: int) -> int:
    """The low bits of a number, as two's complement."""
    n &= (1 << bits) - 1
    return n - (1 << bits) if n >> (bits - 1) else n


class Reader:
    """Takes a program apart. Past its end every byte is zero."""

    def __init__(self, program: bytes) -> None:
        self.program = program
        self.next = 0

    def left(self) -> int:
        return len(self.program) - self.next

    def byte(self) -> int:
        self.next += 1
        return self.program[self.next - 1] if self.next <= len(self.program) else 0

    def index(self, n: int) -> int:
        return self.byte() % n

    def number(self, bits: int = 64) -> int:
        b = self.byte()
        return low_bits(NUMBERS[b - 240], bits) if b >= 240 else low_bits(b - 120, bits)

    def real(self) -> float:
        b = self.byte()
        return REALS[b - 240] if b >= 240 else (b - 120) / 3

    def time(self) -> int:
        b = self.byte()
        return TIMES[b - 240] if b >= 240 else b

    def symbols(self, n: int) -> str:
        return "".join(SYMBOLS[self.byte() % 16] for _ in range(n))

    def text(self) -> str:
        c = self.byte()
        return self.symbols(c % 8) * (64 if c >= 248 else 1)

    def octets(self) -> bytes:
        c = self.byte()
        return bytes(self.byte() for _ in range(c % 8)) * (64 if c >= 248 else 1)

    def decimal(self) -> Decimal:
        b = self.byte()
        return amount_of(DECIMALS[b - 240] if b >= 240 else b - 120)

    def numbers(self) -> list[int]:
        c = self.byte()
        return [self.number() for _ in range(c % 4)] * (64 if c >= 248 else 1)

    def word(self) -> str:
        return self.symbols(self.byte() % 4)

    def words(self) -> list[str]:
        c = self.byte()
        return [self.word() for _ in range(c % 4)] * (64 if c >= 248 else 1)

    def part(self) -> bytes:
        n = self.byte()
        part = self.program[self.next : self.next + n]
        self.next += len(part)
        return part

    def record(self) -> Record:
        mask = self.byte() | self.byte() << 8
        record = Record()
        for i, name in enumerate(FIELDS):
            if mask >> i & 1:
                setattr(record, name, READS[name](self))
        return record

    def pair(self) -> Pair:
        small, amount, b = self.number(16), self.decimal(), self.byte()
        return Pair(small, amount, b & 1 != 0, (b >> 1 & 7) - 4, (b >> 4) - 8, self.word())


READS: dict[str, Callable[[Reader], Any]] = {
    "flag": lambda r: r.byte() & 1 != 0,
    "tiny": lambda r: r.number(8),
    "small": lambda r: r.number(16),
    "medium": lambda r: r.number(32),
    "large": lambda r: r.number(),
    "single": lambda r: struct.unpack("<f", struct.pack("<f", r.real()))[0],
    "double": lambda r: r.real(),
    "day": lambda r: r.number(32),
    "at": lambda r: r.number(),
    "zoned": lambda r: r.number(),
    "text": lambda r: r.text(),
    "bytes": lambda r: r.octets(),
    "amount": lambda r: r.decimal(),
    "numbers": lambda r: r.numbers(),
    "names": lambda r: r.words(),
}

# How many steps an item may take.
BUDGET = 256


class Over(Exception):
    """The item's budget is used up."""


class _Program(tidemill.Operator):
    """Runs programs, wherever they come from."""

    watermark_program: str = tidemill.param("", name="on_watermark", doc="program of the watermark callback, in hexadecimal")
    end_program: str = tidemill.param("", name="on_end", doc="program of the end callback, in hexadecimal")

    key: Key[KeyColumns]

    values: Out[ValuesRow]
    timed: Out[TimedRow]
    drawn: Out[DrawnRow]

    cell: Value[Record]
    plain: Value[Record] = tidemill.state(prefetch=False)
    brief: Value[Record] = tidemill.state(prefetch=("in",), ttl=timedelta(milliseconds=100))
    items: List[Record]
    near: List[Record] = tidemill.state(prefetch=True)
    fading: List[Record] = tidemill.state(prefetch=("in",), ttl=timedelta(milliseconds=250))
    words: Map[str, Record]
    close: Map[str, Record] = tidemill.state(prefetch=True)
    mist: Map[str, Record] = tidemill.state(prefetch=("in",), ttl=timedelta(seconds=1))
    pairs: Map[Pair, int] = tidemill.state(prefetch=("in",))
    programs: Map[str, bytes]

    event: Timer
    event_many: Timer = tidemill.timer(many=True)
    event_drop: Timer = tidemill.timer(drop=True)
    event_many_drop: Timer = tidemill.timer(many=True, drop=True)
    clock: Timer = tidemill.timer(processing=True)
    clock_many: Timer = tidemill.timer(processing=True, many=True)
    clock_drop: Timer = tidemill.timer(processing=True, drop=True)
    clock_many_drop: Timer = tidemill.timer(processing=True, many=True, drop=True)

    counted: Counter
    gauged: Gauge

    def open(self) -> None:
        """Decodes the programs of the callbacks."""
        self.at_watermark = bytes.fromhex(self.watermark_program)
        self.at_end = bytes.fromhex(self.end_program)

    def pass_row(self, n: int) -> None:
        """Emits to port passed."""
        raise NotImplementedError

    def fired(self, name: int, fired: Fired) -> None:
        """Runs the program that was set with the timer."""
        self.run(self.programs.get(fired.tag, b""), 2 + name, keyed=True, time=fired.time, tag=fired.tag)

    def on_event(self, fired: Fired) -> None:
        self.fired(0, fired)

    def on_event_many(self, fired: Fired) -> None:
        self.fired(1, fired)

    def on_event_drop(self, fired: Fired) -> None:
        self.fired(2, fired)

    def on_event_many_drop(self, fired: Fired) -> None:
        self.fired(3, fired)

    def on_clock(self, fired: Fired) -> None:
        self.fired(4, fired)

    def on_clock_many(self, fired: Fired) -> None:
        self.fired(5, fired)

    def on_clock_drop(self, fired: Fired) -> None:
        self.fired(6, fired)

    def on_clock_many_drop(self, fired: Fired) -> None:
        self.fired(7, fired)

    def on_watermark(self, watermark: int) -> None:
        """Runs the program of the parameter."""
        self.run(self.at_watermark, 20)

    def on_end(self) -> None:
        """Runs the program of the parameter."""
        self.run(self.at_end, 21)

    def run(
        self,
        program: bytes,
        kind: int,
        *,
        keyed: bool = False,
        record: Record | None = None,
        time: int | None = None,
        tag: str | None = None,
    ) -> None:
        """Runs the program of an item."""
        self.kind, self.keyed, self.record, self.time, self.tag = kind, keyed, record, time, tag
        self.steps = 0
        with contextlib.suppress(Over):
            self.commands(program)

    def spend(self) -> None:
        if self.steps == BUDGET:
            raise Over
        self.steps += 1

    def commands(self, program: bytes) -> None:
        r = Reader(program)
        while r.left() > 0:
            self.spend()
            number = r.byte() % len(COMMANDS)
            COMMANDS[number](self, number, r)

    def own(self) -> tuple[str | None, int | None]:
        """The key, as the operator writes it itself."""
        if not self.keyed:
            return None, None
        key = self.key.get()
        return key.k, key.g

    def observe(self, command: int, n: int | None, name: str | None, record: Record) -> None:
        """Emits a row to port values."""
        self.spend()
        self.values.emit(ValuesRow(*self.own(), command, n, name, *(getattr(record, field) for field in FIELDS)))

    def do_values(self, command: int, r: Reader) -> None:
        self.observe(command, None, None, r.record())

    def do_echo(self, command: int, r: Reader) -> None:
        if self.record is not None:
            self.observe(command, None, None, self.record)

    def do_pass(self, command: int, r: Reader) -> None:
        n = r.number()
        if self.record is not None and self.kind == 0:
            self.spend()
            self.pass_row(n)

    def do_due(self, command: int, r: Reader) -> None:
        due, n = r.time(), r.number()
        if self.keyed:
            self.spend()
            self.timed.emit(TimedRow(due, n))

    def do_draw(self, command: int, r: Reader) -> None:
        self.spend()
        self.drawn.emit(DrawnRow(*self.own(), self.random.randrange(1000)))

    def do_clock(self, command: int, r: Reader) -> None:
        record = Record(large=self.watermark, at=self.processing_time, zoned=self.time)
        self.observe(command, self.kind, self.tag, record)

    def read(self, command: int, found: bool, record: Record | None) -> None:
        """Emits what was read."""
        self.observe(command, 1 if found else 0, None, record if found and record is not None else Record())

    def do_value(self, command: int, r: Reader) -> None:
        value = (self.cell, self.plain, self.brief)[r.index(3)]
        if command == 6:
            if self.keyed:
                self.read(command, value.has(), value.get())
        elif command == 7:
            record = r.record()
            if self.keyed:
                value.set(record)
        elif command == 8:
            n = r.number()
            if self.keyed:
                value.set(plus(value.get(), n))
        elif self.keyed:
            value.clear()

    def do_list(self, command: int, r: Reader) -> None:
        elements = (self.items, self.near, self.fading)[r.index(3)]
        record = r.record() if command == 12 else None
        if not self.keyed:
            return
        if command == 10:
            for i, element in enumerate(elements):
                self.observe(command, i, None, element)
        elif command == 11:
            self.observe(command, len(elements), None, Record())
        elif record is not None:
            elements.append(record)
        else:
            elements.clear()

    def do_map(self, command: int, r: Reader) -> None:
        entries = ENTRIES[r.index(4)](self)
        if command == 19:
            self.scan(command, r, entries)
            return
        key = entries.key(r) if command != 18 else None
        record = r.record() if command == 15 else None
        n = r.number() if command == 16 else 0
        if not self.keyed:
            return
        if command == 14:
            value = entries.map.get(key)
            self.read(command, entries.map.has(key), None if value is None else entries.show(value))
        elif record is not None:
            entries.map.set(key, entries.keep(record))
        elif command == 16:
            entries.add(key, n)
        elif command == 17:
            entries.map.delete(key)
        else:
            entries.map.clear()

    def scan(self, command: int, r: Reader, entries: Entries) -> None:
        mode = r.byte()
        low, high = (entries.key(r), entries.key(r)) if mode & 3 >= 2 else (None, None)
        if not self.keyed:
            return
        if mode & 3 == 0:
            loop = entries.map.items()
        elif mode & 3 == 1:
            loop = entries.map.backward()
        else:
            loop = entries.map.range(low, high)
        for n, (key, value) in enumerate(loop):
            self.observe(command, n, entries.name(key), entries.show(value))
            then = mode >> 2 & 3
            if then == 1:
                entries.map.delete(key)
            elif then == 2:
                entries.map.clear()
            elif then == 3:
                entries.add(key, 1)
            if n + 1 == mode >> 4:
                return

    def do_timer(self, command: int, r: Reader) -> None:
        name = r.index(8)
        timers = (self.event, self.event_many, self.event_drop, self.event_many_drop)
        clocks = (self.clock, self.clock_many, self.clock_drop, self.clock_many_drop)
        timer = (timers + clocks)[name]
        time = r.time() if command != 21 else 0
        tag = r.word()
        program = r.part() if command == 20 else b""
        if not self.keyed:
            return
        if command == 20:
            self.programs.set(tag, program)
            timer.set(time, tag)
        elif command == 21:
            timer.delete(tag)
        else:
            timer.delete_at(time, tag)

    def do_log(self, command: int, r: Reader) -> None:
        level = r.index(5)
        self.log(str(r.number()), level)

    def do_count(self, command: int, r: Reader) -> None:
        self.counted.add(r.byte())

    def do_gauge(self, command: int, r: Reader) -> None:
        self.gauged.set(r.real())

    def do_fault(self, command: int, r: Reader) -> None:
        kind, text = r.byte() % 16, r.text()
        if kind < 4:
            raise tidemill.Error("refused: " + text)
        if kind < 6:
            os.abort()
        if kind == 6:
            while True:
                pass
        if kind == 7:
            hoard = [b""]
            while True:
                hoard.append(bytes(1 << 20))

    def do_repeat(self, command: int, r: Reader) -> None:
        times = 1 + r.index(8)
        program = r.part()
        for _ in range(times):
            self.commands(program)


def plus(record: Record | None, n: int) -> Record:
    """A record with n added to large."""
    record = record or Record()
    record.large = low_bits(record.large + n, 64)
    return record


class Entries:
    """One of the maps: how its keys are read and shown, and what it keeps of a record."""

    def __init__(self, map: Map[Any, Any]) -> None:
        self.map = map

    def key(self, r: Reader) -> Any:
        return r.text()

    def name(self, key: Any) -> str:
        return str(key)

    def keep(self, record: Record) -> Any:
        return record

    def show(self, value: Any) -> Record:
        record: Record = value
        return record

    def add(self, key: Any, n: int) -> None:
        self.map.set(key, plus(self.map.get(key), n))


class PairEntries(Entries):
    """The map pairs."""

    def key(self, r: Reader) -> Any:
        return r.pair()

    def name(self, key: Pair) -> str:
        return f"{key.small},{key.amount:f},{int(key.flag)},{key.day},{key.at},{key.text}"

    def keep(self, record: Record) -> Any:
        return record.large

    def show(self, value: Any) -> Record:
        return Record(large=value)

    def add(self, key: Any, n: int) -> None:
        self.map.set(key, low_bits(self.map.get(key, 0) + n, 64))


ENTRIES: tuple[Callable[[_Program], Entries], ...] = (
    lambda o: Entries(o.words),
    lambda o: Entries(o.close),
    lambda o: PairEntries(o.pairs),
    lambda o: Entries(o.mist),
)

# By number.
COMMANDS: tuple[Callable[[_Program, int, Reader], None], ...] = (
    *(
        _Program.do_values,
        _Program.do_echo,
        _Program.do_pass,
        _Program.do_due,
        _Program.do_draw,
        _Program.do_clock,
    ),
    *[_Program.do_value] * 4,
    *[_Program.do_list] * 4,
    *[_Program.do_map] * 6,
    *[_Program.do_timer] * 3,
    *(_Program.do_log, _Program.do_count, _Program.do_gauge, _Program.do_fault, _Program.do_repeat),
)


class Interpreter(_Program):
    """Runs the program that each row carries."""

    in_: In[InRow]
    more: In[MoreRow]
    passed: Out[PassedRow] = tidemill.port(input="in")

    def on_in(self, row: InRow) -> None:
        """Runs the row's program."""
        record = Record(*(getattr(row, name) for name in FIELDS))
        self.run(row.program, 0, keyed=True, record=record, time=row.time)

    def on_more(self, row: MoreRow) -> None:
        """Runs the row's program."""
        self.run(row.program, 1, keyed=True, record=Record(large=row.large, text=row.text), time=row.time)

    def pass_row(self, n: int) -> None:
        """Emits to port passed."""
        self.passed.emit(PassedRow(n, amount_of(n), [n] * (n & 3)))


class Columnar(_Program):
    """Does what interpreter does, by columns."""

    in_: BatchIn[InColumns]
    more: BatchIn[MoreColumns]
    passed: BatchOut[PassedColumns] = tidemill.port(input="in")

    def on_in(self, batch: Batch[InColumns]) -> None:
        """Runs the rows' programs."""
        self.emitted: list[tuple[int, int]] = []
        c = batch.columns
        columns = [getattr(c, name) for name in FIELDS]
        for self.row in range(batch.rows):
            batch.select(self.row)
            record = Record(*(column[self.row] for column in columns))
            self.run(c.program[self.row], 0, keyed=True, record=record, time=c.time[self.row])
        rows, numbers = [row for row, _ in self.emitted], [n for _, n in self.emitted]
        lengths = [n & 3 for n in numbers]
        elements = array("q", [n for n, length in zip(numbers, lengths) for _ in range(length)])
        self.passed.emit_for(
            rows,
            PassedColumns(
                n=Column(len(rows), array("q", numbers)),
                cost=Column(len(rows), b"".join(n.to_bytes(16, "little", signed=True) for n in numbers)),
                ramp=Column(
                    len(rows), Column(len(elements), elements), array("i", itertools.accumulate(lengths, initial=0))
                ),
            ),
        )

    def on_more(self, batch: Batch[MoreColumns]) -> None:
        """Runs the rows' programs."""
        c = batch.columns
        for i in range(batch.rows):
            batch.select(i)
            self.run(c.program[i], 1, keyed=True, record=Record(large=c.large[i], text=c.text[i]), time=c.time[i])

    def pass_row(self, n: int) -> None:
        """Keeps a row of port passed for the end of the batch."""
        self.emitted.append((self.row, n))

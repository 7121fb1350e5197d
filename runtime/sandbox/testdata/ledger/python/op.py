"""The guest that the sandbox's tests run beside their model, as ledger/go, and what Python adds to the ways of failing."""

import re
import sys
from array import array

import tidemill
from tidemill import BatchIn, BatchOut, Column, Counter, Fired, In, List, Map, Out, Timer, Value, from_input, from_key


@tidemill.row
class Row:
    n: int


@tidemill.row
class Kept:
    k: str | None = from_key()
    n: int = from_input()
    count: int
    seen: int
    payload: str | None = from_input()


@tidemill.row
class Sum:
    k: str | None = from_key()
    count: int
    sum: int
    list: str


class Book:
    """What the operators do with what they keep."""

    def record(self, n: int) -> tuple[int, int]:
        """Keeps a row of the current key. A row that fails has been kept before, which must not take effect."""
        count = self.count.get(0) + 1
        self.count.set(count)
        seen = self.seen.get(n, 0) + 1
        self.seen.set(n, seen)
        self.list.append(n)
        self.at.set(n)
        self.rows.add(1)
        return count, seen

    def on_at(self, fired: Fired) -> None:
        total = sum(times for _, times in self.seen.items())
        text = "[" + " ".join(str(n) for n in self.list) + "]"
        self.fired.emit(Sum(self.count.get(0), total, text))


class Ledger(Book, tidemill.Operator):
    """Counts, and fails in many ways."""

    in_: In[Row]
    rows_: Out[Kept] = tidemill.port(name="rows")
    fired: Out[Sum]
    count: Value[int]
    seen: Map[int, int]
    list: List[int]
    at: Timer = tidemill.timer(many=True)
    rows: Counter

    def on_in(self, row: Row) -> None:
        count, seen = self.record(row.n)
        self.rows_.emit(Kept(count, seen))
        if row.n < 0:
            FAILURES[-row.n]()


@tidemill.row
class Columns:
    n: Column[int]


@tidemill.row
class Made:
    k: Column[str | None] = from_key()
    n: Column[int] = from_input()
    count: Column[int]
    seen: Column[int]
    payload: Column[str | None] = from_input()


class Columnar(Book, tidemill.Operator):
    """Does what ledger does, by columns."""

    in_: BatchIn[Columns]
    rows_: BatchOut[Made] = tidemill.port(name="rows")
    fired: Out[Sum]
    count: Value[int]
    seen: Map[int, int]
    list: List[int]
    at: Timer = tidemill.timer(many=True)
    rows: Counter

    def on_in(self, batch: tidemill.Batch[Columns]) -> None:
        counts, seens = array("q"), array("q")
        for i, n in enumerate(batch.columns.n):
            batch.select(i)
            count, seen = self.record(n)
            counts.append(count)
            seens.append(seen)
            if n < 0:
                FAILURES[-n]()
        self.rows_.emit(Made(Column(batch.rows, counts), Column(batch.rows, seens)))


def rejects():
    raise tidemill.Error("bad row")


def raises():
    return 1 // 0


def imports():
    import numpy  # noqa: F401


def opens():
    open("/etc/passwd")


def connects():
    import socket

    socket.create_connection(("localhost", 80))


def threads():
    import threading

    threading.Thread(target=print).start()


def recurses():
    return recurses() + 1


def allocates():
    kept = []
    while True:
        kept.append(bytearray(1 << 20))


def loops():
    n = 0
    while True:
        n += 1


def calls():
    re.match(r"(a+)+$", "a" * 60 + "b")


def exits():
    sys.exit(3)


def catches():
    while True:
        try:
            loops()
        except BaseException:
            pass


FAILURES = [None, rejects, raises, imports, opens, connects, threads, recurses, allocates, loops, calls, exits, catches]

"""An operator that asserts what its parts do: classes of all kinds as rows, conversions, state, and what a package brings along."""

import importlib.resources
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

import tidemill
from pkg import inner
from tidemill import In, Key, List, Map, Operator, Out, state

AT = datetime(2020, 2, 29, 12, 30, 1, 5, tzinfo=timezone(timedelta(hours=2)))


@dataclass
class Record:
    """A row without slots."""

    n: int
    k: str


@dataclass(frozen=True)
class Entry:
    """A key of two columns that cannot be changed."""

    a: str
    b: int


@tidemill.row
class Part:
    """A row with slots, defaults and forms of time."""

    n: int
    ratio: float | None
    at: datetime
    day: date | None
    tag: bytes = b"x"


class Parts(Operator):
    """Asserts in each of its methods."""

    records: In[Record]
    out: Out[Part]
    asked: Map[Entry, Part]
    sent: Map[int, str] = state(prefetch=True)
    history: List[str]
    key: Key[str]

    def on_records(self, r: Record) -> None:
        assert vars(r) == {"n": r.n, "k": r.k}
        assert repr(r) == f"Record(n={r.n}, k={r.k!r})"
        r.extra = 1  # of this object alone
        assert self.key.get() == r.k
        self.out.emit(Part(n=r.n, ratio=None, at=AT, day=date(1, 1, 1)))
        self.maps()
        self.lists()
        self.mistakes()
        assert inner.X == 1
        assert importlib.resources.files("pkg").joinpath("data.json").read_text() == '{"a": 1}'
        if r.n == 4:
            inner.fails()

    def maps(self) -> None:
        for i in range(5):
            self.asked.set(Entry("x" * i, i), Part(i, i * 0.5, AT, None, bytes([i])))
            self.sent.set(5 - i, str(i))
        for _ in range(200):  # loops that are left early
            for key, part in self.asked.items():
                assert key == Entry("", 0)
                assert (part.at, part.tag, part.day) == (AT, b"\0", None)
                break
        assert [k.b for k, _ in self.asked.backward()] == [4, 3, 2, 1, 0]
        assert [k.b for k, _ in self.asked.range(Entry("x", 0), Entry("xxx", 3))] == [1, 2]
        assert list(self.sent.items()) == [(1, "4"), (2, "3"), (3, "2"), (4, "1"), (5, "0")]
        self.sent.delete(3)
        assert [k for k, _ in self.sent.range(2, 5)] == [2, 4]
        assert self.sent.get(3) is None
        assert self.sent.has(2)
        assert self.sent.get(9, "none") == "none"
        changed = self.asked.get(Entry("x", 1))
        changed.n = 99
        assert self.asked.get(Entry("x", 1)).n == 1

    def lists(self) -> None:
        self.history.append("a")
        self.history.append("é")
        n = len(self.history)
        loop = iter(self.history)
        self.history.append("later")
        assert list(loop)[-2:] == ["a", "é"]
        assert len(self.history) == n + 1
        if n > 4:
            self.history.clear()
            assert list(self.history) == []

    def mistakes(self) -> None:
        refuses(TypeError, "the key of state asked: it takes Entry, not str", lambda: self.asked.set("no", None))
        refuses(ValueError, "without a time zone", lambda: self.out.emit(Part(1, 2.0, datetime(2020, 1, 1), None)))
        refuses(TypeError, "column n: it takes int, not str", lambda: self.out.emit(Part("1", 2.0, AT, None)))
        refuses(OverflowError, "out of the range of i64", lambda: self.out.emit(Part(1 << 63, 2.0, AT, None)))
        refuses(TypeError, "missing 3 required positional arguments", lambda: Part(1))
        refuses(TypeError, "positional arguments but 7 were given", lambda: Part(1, 2, 3, 4, 5, 6))
        refuses(TypeError, "multiple values for argument 'n'", lambda: Part(1, 2, 3, 4, n=5))
        refuses(TypeError, "unexpected keyword argument 'm'", lambda: Part(1, 2, 3, 4, m=5))


def refuses(error: type[Exception], text: str, call) -> None:
    """Asserts that a call raises."""
    try:
        call()
    except error as e:
        assert text in str(e), e
    else:
        raise AssertionError(f"no {error.__name__}: {text}")

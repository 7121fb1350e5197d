"""State that expires, against a model of the rule: absent from processing time = last write + ttl on."""

from __future__ import annotations

import dataclasses
import random
from datetime import timedelta
from typing import Any

import pytest

import tidemill
from tidemill import Fired, In, List, Map, Out, Timer, Value, state
from tidemill.testing import Harness

TTL_MS = 5


@tidemill.row
class Command:
    key: str
    op: str
    n: int


class Expiring(tidemill.Operator):
    """Runs a command a row and writes down what is there."""

    in_: In[Command]
    seen: Out[str]
    value: Value[int] = state(ttl=timedelta(milliseconds=TTL_MS))
    items: List[int] = state(ttl=timedelta(milliseconds=TTL_MS))
    entries: Map[int, int] = state(ttl=timedelta(milliseconds=TTL_MS), prefetch=True)
    kept: Value[int]
    tick: Timer = tidemill.timer(processing=True)

    def on_in(self, c: Command) -> None:
        match c.op:
            case "set":
                self.value.set(c.n)
                self.kept.set(c.n)
            case "append":
                self.items.append(c.n)
            case "put":
                self.entries.set(c.n % 3, c.n)
            case "delete":
                self.entries.delete(c.n % 3)
            case "clear":
                self.value.clear()
                self.items.clear()
                self.entries.clear()
            case "tick":
                self.tick.set(self.processing_time + c.n)
            case "fail":
                self.value.set(c.n)
                self.items.append(c.n)
                self.entries.set(c.n % 3, c.n)
                raise tidemill.Error("no write of this renews anything")
        self.look()

    def on_tick(self, fired: Fired) -> None:
        self.look()

    def look(self) -> None:
        value, items, entries = self.value.get(), list(self.items), dict(self.entries.items())
        assert self.value.has() == (value is not None)
        assert len(self.items) == len(items)
        assert [n for n in range(3) if self.entries.has(n)] == list(entries)
        assert entries == {n: self.entries.get(n) for n in entries}
        assert entries == dict(self.entries.backward())
        assert {n: v for n, v in entries.items() if n < 2} == dict(self.entries.range(0, 2))
        self.seen.emit(f"{value} {items} {entries} {self.kept.get()}")


@dataclasses.dataclass
class Model:
    """What is kept of a key, each with the processing time of its write."""

    value: tuple[int, int] | None = None
    items: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    entries: dict[int, tuple[int, int]] = dataclasses.field(default_factory=dict)
    kept: int | None = None
    tick: int | None = None

    def run(self, c: Command, now: int) -> None:
        match c.op:
            case "set":
                self.value, self.kept = (c.n, now), c.n
            case "append":
                self.items.append((c.n, now))
            case "put":
                self.entries[c.n % 3] = (c.n, now)
            case "delete":
                self.entries.pop(c.n % 3, None)
            case "clear":
                self.value, self.items, self.entries = None, [], {}
            case "tick":
                self.tick = now + c.n

    def look(self, now: int) -> str:
        def there(written: tuple[int, int]) -> bool:
            return now < written[1] + TTL_MS * 1000

        value = self.value[0] if self.value and there(self.value) else None
        items = [w[0] for w in self.items if there(w)]
        entries = {n: self.entries[n][0] for n in sorted(self.entries) if there(self.entries[n])}
        return f"{value} {items} {entries} {self.kept}"


OPS = ["set", "append", "append", "put", "put", "delete", "clear", "look", "look", "tick", "fail"]


@pytest.mark.parametrize("seed", range(20))
def test_state_expires(seed: int) -> None:
    r = random.Random(seed)
    h = Harness(Expiring, key=["key"], shake=seed, on_error="skip")
    models: dict[str, Model] = {}
    now = 0
    for _ in range(150):
        rows = [Command(r.choice("ab"), r.choice(OPS), r.randrange(9)) for _ in range(r.randrange(4))]
        want = []
        for c in rows:
            model = models.setdefault(c.key, Model())
            model.run(c, now)
            want += [model.look(now)] * (c.op != "fail")
        h.send("in", *rows)
        ticks(models, now, want)
        assert sorted(h.rows("seen", str)) == sorted(want)
        now += r.choice([0, 1, 999, 1000, 2500, TTL_MS * 1000 - 1, TTL_MS * 1000])
        h.advance_processing_time(now)
        want = []
        ticks(models, now, want)
        assert sorted(h.rows("seen", str)) == sorted(want)
        for key, model in models.items():
            values = (
                h.value_of("value", key),
                h.list_of("items", key),
                dict(h.map_of("entries", key)),
                h.value_of("kept", key),
            )
            assert " ".join(map(str, values)) == model.look(now)


def ticks(models: dict[str, Model], now: int, want: list[Any]) -> None:
    """Fires the timers that are due."""
    for model in models.values():
        if model.tick is not None and model.tick <= now:
            model.tick = None
            want.append(model.look(now))


def test_the_moment_of_expiry() -> None:
    h = Harness(Expiring, key=["key"])
    h.send("in", Command("k", "set", 1))
    h.advance_processing_time(TTL_MS * 1000 - 1)
    assert h.value_of("value", "k") == 1
    h.advance_processing_time(TTL_MS * 1000)
    assert h.value_of("value", "k") is None
    assert h.value_of("kept", "k") == 1

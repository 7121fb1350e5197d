"""The operators of the bench: what flink_job.py does, on Tidemill."""

from __future__ import annotations

import tidemill
from tidemill import In, KeyRow, Out, Value


@tidemill.row
class Sample:
    """What score reads."""

    name: str
    n: int
    x: float


@tidemill.map
def score(s: Sample) -> float:
    """Computes one number of a row."""
    return s.n % 7 + len(s.name) + (1.0 if s.x >= 0 else 2.0)


@tidemill.row
class Nothing:
    """What count reads: its key says all."""


@tidemill.row
class Counted(KeyRow):
    """A row of count."""

    count: int


class Count(tidemill.Operator):
    """Counts the rows of each key and says each count."""

    in_: In[Nothing]
    out: Out[Counted]
    count: Value[int]

    def on_in(self, row: Nothing) -> None:
        """Counts a row."""
        n = self.count.get(0) + 1
        self.count.set(n)
        self.out.emit(Counted(n))

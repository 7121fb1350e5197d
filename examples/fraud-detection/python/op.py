"""An operator, keyed by card, that looks at a card's transactions in the order in which they were made and raises alerts."""

from __future__ import annotations

import tidemill
from tidemill import NO_TIME, SECOND, EventTime, Fired, In, InputRow, KeyRow, Map, Out, Timer, Timestamp, Value, param


@tidemill.row
class Transaction:
    """A row of port in."""

    id: int
    time: EventTime
    amount_cents: int
    country: str
    present: bool  # the card was at the terminal


@tidemill.row
class Alert(KeyRow):
    """A row of port alerts. A transaction raises one for each rule that it breaks."""

    id: int
    rule: str
    time: Timestamp
    amount_cents: int


@tidemill.row
class Moment:
    """Puts a card's transactions in order."""

    time: Timestamp
    id: int


@tidemill.row
class Charge:
    """What is kept of a transaction until its turn comes."""

    amount_cents: int
    country: str
    present: bool


@tidemill.row
class History:
    """What the rules need to know of a card besides its last minutes. The times are NO_TIME until there is one."""

    small: Timestamp  # of the last small charge without the card
    seen: Timestamp  # the card was last at a terminal
    country: str  # and there


class Fraud(tidemill.Operator):
    """Raises alerts for card transactions that look like fraud."""

    small_cents: int = param(100, doc="a charge of at most so much, without the card, may be a probe")
    dear_cents: int = param(50_000, doc="a charge of so much or more is worth stealing a number for")
    probe_window_s: int = param(600, doc="seconds from a small charge within which a dear one is suspicious")
    burst_count: int = param(6, doc="so many charges within burst_window_s are suspicious")
    burst_window_s: int = param(120, doc="seconds in which charges are counted")
    clone_window_s: int = param(3600, doc="seconds within which a card cannot be in two countries")

    in_: In[Transaction]
    alerts: Out[Alert]
    late: Out[InputRow]  # transactions that came after their turn
    history: Value[History]
    pending: Map[Moment, Charge]  # transactions whose turn has not come
    recent: Map[Moment, int]  # amounts of the last burst_window_s
    due: Timer = tidemill.timer(many=True)  # the turn of the transactions of a moment

    def on_in(self, t: Transaction) -> None:
        """Keeps a transaction until no earlier one can come: they arrive out of order."""
        if t.time <= self.watermark:
            self.late.emit(InputRow())
            return
        self.pending.set(Moment(t.time, t.id), Charge(t.amount_cents, t.country, t.present))
        self.due.set(t.time)

    def on_due(self, fired: Fired) -> None:
        """Judges the transactions of a moment."""
        for moment, charge in self.pending.range(Moment(fired.time, 0), Moment(fired.time + 1, 0)):
            self.judge(moment, charge)
            self.pending.delete(moment)

    def judge(self, m: Moment, c: Charge) -> None:
        """Holds a transaction against the rules, after all earlier ones of the card."""
        h = self.history.get() or History(NO_TIME, NO_TIME, "")
        if not c.present and c.amount_cents >= self.dear_cents and within(h.small, m.time, self.probe_window_s):
            self.alert("probe", m, c)
        if self.burst(m, c) >= self.burst_count:
            self.alert("burst", m, c)
        if c.present and c.country != h.country and within(h.seen, m.time, self.clone_window_s):
            self.alert("clone", m, c)
        if c.present:
            h.seen, h.country = m.time, c.country
        elif c.amount_cents <= self.small_cents:
            h.small = m.time
        self.history.set(h)

    def burst(self, m: Moment, c: Charge) -> int:
        """Notes a charge and returns how many there were within the window that ends with it."""
        self.recent.set(m, c.amount_cents)
        first = m.time - self.burst_window_s * SECOND
        n = 0
        for r, _ in self.recent.items():
            if r.time < first:
                self.recent.delete(r)
            else:
                n += 1
        return n

    def alert(self, rule: str, m: Moment, c: Charge) -> None:
        """Raises an alert."""
        self.alerts.emit(Alert(m.id, rule, m.time, c.amount_cents))


def within(earlier: int, at: int, seconds: int) -> bool:
    """Whether a moment is at most so many seconds after an earlier one, if that was at all."""
    return earlier != NO_TIME and at - earlier <= seconds * SECOND

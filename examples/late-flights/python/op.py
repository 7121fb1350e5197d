"""An operator, keyed by carrier, that sums up each carrier's day and raises an alert for each flight that left very late."""

from __future__ import annotations

import tidemill
from tidemill import DAY, I32, Date, EventTime, Fired, In, InputRow, Map, Out, Timer, from_input, from_key


@tidemill.row
class Flight:
    """What the operator reads of a flight. A cancelled one has no dep_time."""

    carrier: str
    flight: I32
    origin: str
    dest: str
    dep_time: I32 | None
    dep_delay: I32 | None  # minutes
    time: EventTime


@tidemill.row
class Daily:
    """A carrier's day, in UTC."""

    carrier: str = from_key()
    day: str
    flights: int
    cancelled: int
    delayed: int
    mean_delay_min: float | None
    max_delay_min: I32 | None
    worst_dest: str | None


@tidemill.row
class Alert:
    """A flight that left very late."""

    carrier: str = from_input()
    flight: I32 = from_input()
    origin: str = from_input()
    dest: str = from_input()
    day: str
    dep_delay: I32 | None = from_input()


@tidemill.row
class Totals:
    """Totals of a carrier's day."""

    flights: int = 0
    departed: int = 0
    delayed: int = 0
    sum: int = 0  # of delays, minutes
    max: I32 = 0  # zero until a flight has departed


@tidemill.row
class Route:
    """A destination on a day: all of a day lie together in the map, the names ascending."""

    day: Date
    dest: str


@tidemill.row
class Departures:
    """Departures to a destination on a day."""

    flights: int = 0
    sum: int = 0


# So many departures make a destination comparable.
ROUTE_FLIGHTS_MIN = 3


class Delays(tidemill.Operator):
    """Sums up each carrier's day and raises an alert for each flight that left very late."""

    threshold_minutes: I32 = tidemill.param(30, doc="a flight that leaves so many minutes late counts as delayed")
    alert_minutes: I32 = tidemill.param(120, doc="a flight that leaves so many minutes late raises an alert")

    in_: In[Flight]
    daily: Out[Daily]
    alerts: Out[Alert]
    late: Out[InputRow]  # flights of a day that is closed already
    days: Map[Date, Totals] = tidemill.state(prefetch=True)
    routes: Map[Route, Departures] = tidemill.state(prefetch=True)
    close: Timer = tidemill.timer(many=True)  # the end of a day

    def on_in(self, flight: Flight) -> None:
        """Adds a flight to its day."""
        if flight.time <= self.watermark:
            self.late.emit(InputRow())
            return
        day = flight.time // DAY
        totals = self.days.get(day)
        if totals is None:
            totals = Totals()
            self.close.set((day + 1) * DAY - 1)
        totals.flights += 1
        if flight.dep_time is not None:
            self.depart(totals, Route(day, flight.dest), flight.dep_delay or 0)
        self.days.set(day, totals)
        if flight.dep_delay is not None and flight.dep_delay >= self.alert_minutes:
            self.alerts.emit(Alert(text(day)))

    def depart(self, totals: Totals, route: Route, delay: int) -> None:
        """Counts a departure."""
        if totals.departed == 0 or delay > totals.max:
            totals.max = delay
        totals.departed += 1
        totals.sum += delay
        if delay >= self.threshold_minutes:
            totals.delayed += 1
        departures = self.routes.get(route) or Departures()
        departures.flights += 1
        departures.sum += delay
        self.routes.set(route, departures)

    def on_close(self, fired: Fired) -> None:
        """Sums up the day that has ended and forgets it."""
        day = fired.time // DAY
        t = self.days.get(day) or Totals()
        daily = Daily(text(day), t.flights, t.flights - t.departed, t.delayed, None, None, None)
        if t.departed > 0:
            daily.mean_delay_min = hundredths(t.sum, t.departed) / 100
            daily.max_delay_min = t.max
        worst = Departures()
        for route, s in self.routes.range(Route(day, ""), Route(day + 1, "")):
            # s.sum/s.flights > worst.sum/worst.flights in whole numbers; names ascend, so the first of equals stays
            worse = daily.worst_dest is None or s.sum * worst.flights > worst.sum * s.flights
            if s.flights >= ROUTE_FLIGHTS_MIN and worse:
                daily.worst_dest, worst = route.dest, s
            self.routes.delete(route)
        self.days.delete(day)
        self.daily.emit(daily)


def text(day: int) -> str:
    """A day as 2013-01-31."""
    return tidemill.date_of(day).isoformat()


def hundredths(sum: int, n: int) -> int:
    """sum/n in hundredths, rounded half away from zero."""
    if sum < 0:
        return -hundredths(-sum, n)
    return (sum * 200 + n) // (2 * n)

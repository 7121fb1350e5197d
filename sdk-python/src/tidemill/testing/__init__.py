"""Runs an operator in an ordinary test, without WebAssembly: on rows that the test gives, with times that the test moves.

::

    def test_a_day_is_summed_up() -> None:
        h = Harness(Delays, key=["carrier"], event_time="time_hour", inputs={"flights": FlightRow})
        h.send("flights", FlightRow(carrier="UA", dest="IAH", ...))
        h.advance_watermark(tidemill.END_OF_TIME)
        assert h.rows("daily") == [{"carrier": "UA", "flights": 1, ...}]

It is a small host in memory that keeps the ten rules of the contract: what an item does takes effect as a whole or not at
all, timers fire in rounds, values pass through the types of their columns. With ``shake`` frames are cut at random and the
operator is replaced by a new one between frames: what it emits must not depend on any of this.
"""

from tidemill._declare import OpenError
from tidemill.testing._harness import Harness, Rejected, SetTimer

__all__ = ["Harness", "OpenError", "Rejected", "SetTimer"]

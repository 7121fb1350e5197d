"""The programs of the README run."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest

import tidemill
from tidemill.testing import Harness

README = Path(__file__).parents[1] / "README.md"


@tidemill.row
class ShopOrder:
    """A row of the input of the README's operator."""

    shop: str
    amount: int
    at: tidemill.EventTime


def test_the_programs_of_the_readme_run(monkeypatch: pytest.MonkeyPatch) -> None:
    programs = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    module = types.ModuleType("readme")
    monkeypatch.setitem(sys.modules, "readme", module)
    module.__dict__["ShopOrder"] = ShopOrder
    for program in programs:
        exec(program, module.__dict__)
    module.test_a_day()
    h = Harness(module.sizes)
    h.send("in", "ü")
    assert h.rows("out") == [{"text": "ü", "bytes": 2}]
    h = Harness(module.Totals, key=["shop"], inputs={"orders": ShopOrder}, params={"min_amount": 6}, on_error="skip")
    h.send("orders", ShopOrder("a", 5, 1), ShopOrder("a", 6, 2), ShopOrder("b", 7, tidemill.DAY))
    h.advance_watermark(tidemill.DAY)
    h.send("orders", ShopOrder("a", 8, 3))
    assert [e.message for e in h.errors()] == ["an order of a day that is over"]
    h.end()
    assert h.rows("totals") == [
        {"shop": "a", "day": 0, "amount": 6},
        {"shop": "b", "day": tidemill.DAY, "amount": 7},
    ]

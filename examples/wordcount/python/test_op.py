"""Counts the words of the book, natively."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from op import Count, Word, split

import tidemill
from tidemill.testing import Harness

TESTDATA = Path(__file__).parent.parent / "testdata"


@tidemill.row
class Counted:
    """A row of the output."""

    word: str
    count: int


@pytest.mark.parametrize("shake", [0, 1])
def test_the_book(shake: int) -> None:
    """Line by line through both operators, against the counts of the script."""
    splits = Harness(split, shake=shake)
    counts = Harness(Count, inputs={"in": Word}, key=["word"], shake=shake)
    splits.send("in", *(TESTDATA / "opticks.txt").read_text().split("\n"))
    counts.send("in", *splits.rows("out", Word))
    assert counts.rows("counts") == []
    counts.end()
    expected = [json.loads(line) for line in (TESTDATA / "expected.jsonl").read_text().splitlines()]
    assert {c.word: c.count for c in counts.rows("counts", Counted)} == {e["word"]: e["count"] for e in expected}


def test_words() -> None:
    """Letters beyond ASCII belong to words and are not changed."""
    splits = Harness(split)
    splits.send("in", "The Prisme, 3rd: Ünïted-", "", "İx")
    assert [w.word for w in splits.rows("out", Word)] == ["the", "prisme", "rd", "Ünïted", "İx"]

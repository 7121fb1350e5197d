"""Two operators: split makes words of lines, count, keyed by word, says at the end of the input how often each was there."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator

import tidemill
from tidemill import Fired, In, KeyRow, Out, Timer, Value

# Words are runs of letters: those of ASCII and all beyond it, so that a word with an accent stays whole.
WORD = re.compile("[A-Za-z\x80-\U0010ffff]+")
LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


@tidemill.row
class Word:
    """A row of split."""

    word: str


@tidemill.flat_map
def split(text: str) -> Iterator[Word]:
    """Gives the words of a line, in lower case."""
    for word in WORD.findall(text):
        yield Word(word.translate(LOWER))


@tidemill.row
class Occurrence:
    """What count reads of a word: nothing, its key says all."""


@tidemill.row
class Total(KeyRow):
    """How often a word was there."""

    count: int


class Count(tidemill.Operator):
    """Counts the occurrences of each word."""

    in_: In[Occurrence]
    counts: Out[Total]
    count: Value[int]
    done: Timer  # the end of the input

    def on_in(self, occurrence: Occurrence) -> None:
        """Counts a word."""
        n = self.count.get(0)
        if n == 0:
            self.done.set(tidemill.END_OF_TIME)  # event time is at the end of the input
        self.count.set(n + 1)

    def on_done(self, fired: Fired) -> None:
        """Tells the count of a word."""
        self.counts.emit(Total(self.count.get(0)))

"""Errors of building."""

from __future__ import annotations


class BuildError(Exception):
    """Sources that no module can be built of: what is wrong, where, and what to do."""

    def __init__(self, message: str, place: str = "", hint: str = "") -> None:
        super().__init__(message, place, hint)
        self.message = message
        self.place = place
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.place}: {self.message}" if self.place else self.message
        return f"{text}\n  {self.hint}" if self.hint else text

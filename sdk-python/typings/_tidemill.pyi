"""The C module that is built into the interpreter of a module; see interpreter/module."""

from tidemill._declare import Binding

FAULT_CELL: int
"""The address of the fault cell."""

class Engine:
    """Processes the frames of an opened operator."""

    def __init__(self, binding: Binding) -> None: ...

def use(engine: Engine) -> None:
    """Makes an engine the one that frames go to."""

def log(level: int, line: str) -> None:
    """Writes a line to the operator's log."""

def quicken(cls: type, fields: tuple[tuple[str, bool] | tuple[str, bool, object], ...]) -> None:
    """Gives a row class a constructor in C."""

"""Errors of operators, and how an exception is told to the host."""

from __future__ import annotations

import traceback

MESSAGE_BYTES_MAX = 4096  # of a message and of a place, each


class Error(Exception):
    """Rejects the item under way: ``raise tidemill.Error("a click without a page")``.

    The job's policy says what happens to the item; nothing that was done for it takes effect. Its text goes to the host as
    it is, where any other exception goes there with its traceback.
    """


class DeclarationError(TypeError):
    """An operator that is declared wrongly; no input could make it right."""

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(message)
        self.place = place  # of its class or function, op.py:12


class ParamError(Exception):
    """Refuses a parameter; for ``Operator.open``."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(param, message)
        self.param = param
        self.message = message

    def __str__(self) -> str:
        return f"parameter {self.param}: {self.message}"


# Frames of a traceback that are shown: the outermost and the innermost, which is all but of an endless recursion.
FIRST_FRAMES = 4
LAST_FRAMES = 16


def explain(error: BaseException) -> tuple[str, str]:
    """The message of an exception and its place, ``op.py:12``, the innermost line of the user's.

    The message of an ``Error`` or a wrong declaration is its text. That of another exception begins with its type and text,
    and its traceback follows, without the lines of this package. Both have at most 4,096 bytes; of a longer traceback the
    middle is left out.
    """
    if isinstance(error, DeclarationError):
        return _cut(_head(error)), _cut(error.place)
    if isinstance(error, SyntaxError) and error.filename and not _is_ours(error.filename):
        lines = list(traceback.TracebackException(type(error), error, None).format_exception_only())
        return _cut(_head(error) + "\n" + "".join(lines[:-1]).rstrip("\n")), _cut(f"{error.filename}:{error.lineno}")
    frames = [f for f in traceback.walk_tb(error.__traceback__) if not _is_ours(f[0].f_code.co_filename)]
    if not frames:
        return _cut(_head(error)), ""
    place = _cut(f"{frames[-1][0].f_code.co_filename}:{frames[-1][1]}")
    if isinstance(error, Error):
        return _cut(_head(error)), place
    lines = ["Traceback (most recent call last):\n"]
    if len(frames) > FIRST_FRAMES + LAST_FRAMES:
        lines += [*traceback.StackSummary.extract(iter(frames[:FIRST_FRAMES])).format(), "  ...\n"]
        frames = frames[-LAST_FRAMES:]
    lines += traceback.StackSummary.extract(iter(frames)).format()
    return _cut(_head(error) + "\n" + "".join(lines).rstrip("\n")), place


def _head(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:
        text = "its text cannot be made"
    if isinstance(error, (Error, ParamError, DeclarationError)):
        return text or type(error).__name__
    if isinstance(error, SyntaxError):
        text = error.msg
    name = type(error).__name__
    return f"{name}: {text}" if text else name


_FOLDER = __file__.rpartition("/")[0] + "/" if "__file__" in globals() else "<frozen tidemill."


def _is_ours(filename: str) -> bool:
    """Whether a file is this package's or the interpreter's own."""
    return filename.startswith((_FOLDER, "<frozen "))


def _cut(text: str) -> str:
    data = text.encode("utf-8", "replace")
    if len(data) <= MESSAGE_BYTES_MAX:
        return data.decode()
    half = MESSAGE_BYTES_MAX // 2 - 8
    return data[:half].decode("utf-8", "ignore") + "\n...\n" + data[-half:].decode("utf-8", "ignore")

"""Modules of WebAssembly, as far as code is put into them."""

from __future__ import annotations

import struct
from typing import NamedTuple

from tidemill._build._errors import BuildError

HEADER = b"\0asm\x01\0\0\0"
MODULE_BYTES_MAX = 64 << 20
MEMORY_BYTES_MAX = 256 << 20
PAGE_BYTES = 1 << 16

# Ids of sections.
CUSTOM, IMPORT, MEMORY, GLOBAL, EXPORT, DATA, DATA_COUNT = 0, 2, 5, 6, 7, 11, 12

# The export that says where the interpreter's code cell is: two words, address and length of an archive in its memory.
CODE_GLOBAL = b"tidemill_code"

_GLOBAL_KIND = 3
_I32_CONST, _END = 0x41, 0x0B
_FLAG_MAX = 1


def u32(n: int) -> bytes:
    """LEB128 of an unsigned number."""
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def s32(n: int) -> bytes:
    """LEB128 of a signed number."""
    out = bytearray()
    while not -64 <= n < 64:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n & 0x7F)
    return bytes(out)


def section(id: int, body: bytes) -> bytes:
    """A section."""
    return bytes([id]) + u32(len(body)) + body


def custom(name: str, body: bytes) -> bytes:
    """A custom section."""
    return section(CUSTOM, u32(len(name)) + name.encode() + body)


def user_module(sections: list[tuple[str, bytes]]) -> bytes:
    """A module of custom sections."""
    return _limited(HEADER + b"".join(custom(name, body) for name, body in sections))


def _limited(module: bytes) -> bytes:
    if len(module) > MODULE_BYTES_MAX:
        raise BuildError(f"the module has {len(module)} bytes, at most {MODULE_BYTES_MAX} are allowed")
    return module


class Reader:
    """Reads numbers and names from bytes."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def byte(self) -> int:
        """The next byte."""
        self.at += 1
        return self.data[self.at - 1]

    def u32(self) -> int:
        """The next unsigned number."""
        n = shift = 0
        while True:
            b = self.byte()
            n |= (b & 0x7F) << shift
            shift += 7
            if b < 0x80:
                return n

    def s32(self) -> int:
        """The next signed number."""
        n = shift = 0
        while True:
            b = self.byte()
            n |= (b & 0x7F) << shift
            shift += 7
            if b < 0x80:
                return n - (1 << shift) if b & 0x40 else n

    def name(self) -> bytes:
        """The next name."""
        n = self.u32()
        self.at += n
        return self.data[self.at - n : self.at]


class Limits(NamedTuple):
    """Pages of a memory."""

    min: int
    max: int | None


def standalone(base: bytes, code: bytes, description: bytes) -> bytes:
    """The interpreter with an archive in it: behind its initial memory, where the code cell leads to it."""
    sections = _sections(base)
    bodies = dict(sections)
    memory = _memory(bodies[MEMORY])
    at = memory.min * PAGE_BYTES
    pages = memory.min + (len(code) + PAGE_BYTES - 1) // PAGE_BYTES
    if at + len(code) > MEMORY_BYTES_MAX or (memory.max is not None and pages > memory.max):
        raise BuildError(f"the interpreter's memory has no room for {len(code)} bytes of sources")
    added = _segment(at, code) + _segment(_code_cell(bodies), struct.pack("<II", at, len(code)))
    segments = Reader(bodies[DATA])
    count = u32(segments.u32() + 2)
    changed = {
        MEMORY: u32(1) + _limits(Limits(pages, memory.max)),
        DATA: count + bodies[DATA][segments.at :] + added,
        DATA_COUNT: count,
    }
    out = [HEADER, *(section(id, changed.get(id, body)) for id, body in sections), custom("tidemill.describe", description)]
    return _limited(b"".join(out))


def _sections(module: bytes) -> list[tuple[int, bytes]]:
    if module[: len(HEADER)] != HEADER:
        raise BuildError("the interpreter is no module")
    r = Reader(module, len(HEADER))
    out = []
    while r.at < len(module):
        id = r.byte()
        out.append((id, r.name()))
    return out


def _memory(body: bytes) -> Limits:
    r = Reader(body)
    if r.u32() != 1:
        raise BuildError("the interpreter has not one memory")
    flags = r.byte()
    return Limits(r.u32(), r.u32() if flags & _FLAG_MAX else None)


def _limits(limits: Limits) -> bytes:
    return b"\0" + u32(limits.min) if limits.max is None else b"\1" + u32(limits.min) + u32(limits.max)


def _code_cell(bodies: dict[int, bytes]) -> int:
    r = Reader(bodies[EXPORT])
    for _ in range(r.u32()):
        name, kind, index = r.name(), r.byte(), r.u32()
        if (name, kind) == (CODE_GLOBAL, _GLOBAL_KIND):
            return _constant(bodies[GLOBAL], index)  # the interpreter imports functions only
    raise BuildError("the interpreter does not say where code can be put")


def _constant(body: bytes, index: int) -> int:
    """The value of an i32 global; those before it must be constants too."""
    r = Reader(body)
    r.u32()
    value = 0
    for _ in range(index + 1):
        r.at += 2  # type and mutability
        if r.byte() not in (_I32_CONST, _I32_CONST + 1):
            raise BuildError("the interpreter does not say where code can be put")
        value = r.s32()
        r.at += 1  # end
    return value


def _segment(at: int, content: bytes) -> bytes:
    signed = at - (1 << 32) if at >= 1 << 31 else at
    return bytes([0, _I32_CONST]) + s32(signed) + bytes([_END]) + u32(len(content)) + content

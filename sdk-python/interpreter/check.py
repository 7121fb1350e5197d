"""check.py MODULE PATH...: proves of the linked module what nobody else would notice.

It exports what the contract wants and imports no more than it should; its one mutable global is the stack pointer, so
that a copy of the memory is all there is to copy of an instance; none of the given paths of the building machine is in
it.
"""

import sys

EXPORTS = {
    "_initialize", "memory", "tidemill_abi_1", "tidemill_code", "tidemill_describe", "tidemill_load", "tidemill_open", "tidemill_process",
    "tidemill_reserve",
}
IMPORTS = {
    "tidemill_v1.fuel_left", "tidemill_v1.log", "tidemill_v1.state_apply", "tidemill_v1.state_get", "tidemill_v1.state_scan_next",
    "tidemill_v1.state_scan_open", "wasi_snapshot_preview1.clock_time_get", "wasi_snapshot_preview1.fd_write",
    "wasi_snapshot_preview1.poll_oneoff", "wasi_snapshot_preview1.proc_exit", "wasi_snapshot_preview1.random_get",
}

IMPORT, GLOBAL, EXPORT = 2, 6, 7


class Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def number(self) -> int:
        value = shift = 0
        while True:
            b = self.byte()
            value |= (b & 0x7F) << shift
            shift += 7
            if b < 0x80:
                return value

    def text(self) -> str:
        n = self.number()
        self.at += n
        return self.data[self.at - n : self.at].decode()


def sections(data: bytes) -> dict[int, bytes]:
    r = Reader(data)
    r.at = 8
    found = {}
    while r.at < len(data):
        number, size = r.byte(), r.number()
        found[number] = data[r.at : r.at + size]
        r.at += size
    return found


def imports(data: bytes) -> set[str]:
    r = Reader(data)
    found = set()
    for _ in range(r.number()):
        found.add(r.text() + "." + r.text())
        if r.byte() != 0:
            sys.exit("check: an import is no function")
        r.number()
    return found


def exports(data: bytes) -> set[str]:
    r = Reader(data)
    found = set()
    for _ in range(r.number()):
        found.add(r.text())
        r.byte()
        r.number()
    return found


def mutable_globals(data: bytes) -> int:
    r = Reader(data)
    count = 0
    for _ in range(r.number()):
        r.byte()
        count += r.byte()
        while r.byte() != 0x0B:  # the initial value: i32.const and a number without this byte at its end, or longer
            r.number()
    return count


def main(path: str, *forbidden: str) -> None:
    data = open(path, "rb").read()
    found = sections(data)
    wrong = []
    if exports(found[EXPORT]) != EXPORTS:
        wrong.append(f"exports {sorted(exports(found[EXPORT]) ^ EXPORTS)}")
    if imports(found[IMPORT]) != IMPORTS:
        wrong.append(f"imports {sorted(imports(found[IMPORT]) ^ IMPORTS)}")
    if mutable_globals(found[GLOBAL]) != 1:
        wrong.append("mutable globals besides the stack pointer")
    wrong += [f"the path {p}" for p in forbidden if p.encode() in data]
    if wrong:
        sys.exit("check: the module has " + "; ".join(wrong))


main(*sys.argv[1:])

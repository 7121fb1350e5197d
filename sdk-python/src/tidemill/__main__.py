"""``python -m tidemill build``: builds an operator without Go."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tidemill._build import Base, BuildError, build


def main(arguments: list[str]) -> int:
    """Runs a command and returns the exit status: 1 where the sources are wrong, 2 where the arguments are."""
    parser = argparse.ArgumentParser(prog="python -m tidemill", description="Tidemill operators in Python.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "build",
        help="build an operator's sources into a .wasm module",
        description="Builds a module of a Python file, or of a folder. The same sources give the same bytes.",
    )
    command.add_argument("sources", type=Path, metavar="PATH", help="op.py, or a folder that has one")
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="the module's path; without it, op.wasm beside op.py, or in a folder the name of its project or its own",
    )
    command.add_argument(
        "--standalone", action="store_true", help="put the interpreter into the module, for hosts that do not have it"
    )
    given = parser.parse_args(arguments)
    try:
        built = build(given.sources, given.output, given.standalone, Base.installed())
    except BuildError as e:
        print(e, file=sys.stderr)
        return 1
    print(f"{built.path}: {built.bytes:,} bytes, sha256:{built.sha256[:12]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

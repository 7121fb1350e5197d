"""Builds modules of an operator's Python sources, as ``tidemill build`` does: the same bytes for the same sources.

A module is small: it holds the sources and a description, and names the interpreter that the host has. A standalone one
holds the interpreter too. No toolchain is needed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tidemill._build import _wasm
from tidemill._build._base import Base
from tidemill._build._errors import BuildError
from tidemill._build._sources import Archive, collect

__all__ = ["Base", "BuildError", "Built", "build"]

ABI_VERSION = 1


class Built(NamedTuple):
    """A module that was built."""

    path: Path
    bytes: int
    sha256: str  # hex


def build(sources: Path, out: Path | None, standalone: bool, base: Base) -> Built:
    """Builds the operator of a file or folder and writes its module.

    Without ``out`` that is beside the file, op.wasm for op.py, or in the folder under the project's name or else its own.
    Raises BuildError.
    """
    sources = sources.absolute()
    if out is None:
        out = sources.with_suffix(".wasm") if sources.suffix == ".py" else sources / (project(sources) + ".wasm")
    archive = collect(sources)
    code = archive.encode()
    archive.check_imports(base.modules)
    module = make(code, describe(archive, base), standalone, base)
    try:
        partial = out.with_name(out.name + ".tmp")
        partial.write_bytes(module)
        os.replace(partial, out)
    except OSError as e:
        raise BuildError(f"{out} could not be written: {e.strerror}", hint="choose a writable place with --output") from e
    return Built(out, len(module), hashlib.sha256(module).hexdigest())


def project(folder: Path) -> str:
    """The name of a folder's project, as ``tidemill build`` reads it from pyproject.toml, or else the folder's."""
    try:
        manifest = (folder / "pyproject.toml").read_text(encoding="utf-8")
    except OSError:
        return folder.name
    found = re.search(r'(?m)^\[project\]\s*\n(?:[^\[].*\n|\n)*?name\s*=\s*"([A-Za-z0-9._-]+)"', manifest)
    return found[1] if found else folder.name


def make(code: bytes, description: bytes, standalone: bool, base: Base) -> bytes:
    """The bytes of a module."""
    if standalone:
        return _wasm.standalone(base.binary(), code, description)
    reference = f'{{"abi":{ABI_VERSION},"language":"python","version":"{base.version}","sha256":"{base.sha256}"}}'
    return _wasm.user_module(
        [("tidemill.base", reference.encode()), ("tidemill.code", code), ("tidemill.describe", description)]
    )


def describe(archive: Archive, base: Base) -> bytes:
    """The description of the operators of an archive, in canonical JSON.

    The sources are imported by a Python of its own, which sees nothing but them, the standard library and this package.
    """
    with tempfile.TemporaryDirectory(prefix="tidemill-") as folder:
        for path, text in archive.files:
            file = Path(folder, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode())
        program = Path(__file__).with_name("_describe.py")
        result = Path(folder, "-description")
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-B", program, folder, archive.entry, base.language, result],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if not result.exists():
            said = done.stdout.decode(errors="replace").strip()
            raise BuildError(f"importing {archive.entry} ended Python with status {done.returncode}", hint=said)
        answer = json.loads(result.read_bytes())
    if "error" in answer:
        message, place = answer["error"]
        hint = "mend the sources; `python -m pytest` shows the same errors"
        if message.startswith("SyntaxError") and sys.version_info[:2] < tuple(map(int, base.version.split(".")[:2])):
            hint = f"if that is newer than this Python, build with Python {base.version} or by `tidemill build`"
        raise BuildError(message, place=place, hint=hint)
    description: str = answer["description"]
    return description.encode()

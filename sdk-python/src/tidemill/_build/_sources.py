"""The sources of an operator: which files belong to them, and the archive that holds them."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from tidemill._build._errors import BuildError

ARCHIVE_BYTES_MAX = 16 << 20
FILES_MAX = 10_000
PATH_BYTES_MAX = 512

# What is read in packages besides Python.
_DATA = (".json", ".txt", ".csv", ".toml")
_NATIVE = (".so", ".pyd", ".dylib")
_LEFT_OUT = {"__pycache__", "tests", "testdata", "build", "dist", "bin", "conftest.py", "setup.py"}
_VENDOR = "vendor"


class Archive(NamedTuple):
    """The sources of an operator."""

    entry: str  # the file that is imported as the operator's module
    files: list[tuple[str, str]]  # path and text, ascending by path

    def encode(self) -> bytes:
        """The archive's canonical JSON."""
        content = {"entry": self.entry, "files": self.files}
        data = json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
        if len(data) > ARCHIVE_BYTES_MAX:
            raise BuildError(
                f"the sources take {len(data)} bytes, at most {ARCHIVE_BYTES_MAX} are allowed",
                hint="leave out what the operator does not import, and read large data from a source of the job",
            )
        return data

    def check_imports(self, modules: frozenset[str]) -> None:
        """Refuses imports, outside of functions and try statements, of what is nowhere in a module."""
        if not modules:
            return
        own = {path.partition("/")[0].removesuffix(".py") for path, _ in self.files}
        for path, text in self.files:
            if not path.endswith(".py"):
                continue
            try:
                tree = ast.parse(text, path)
            except SyntaxError:
                continue  # importing it tells more
            for line, name in _imports(tree.body):
                top = name.partition(".")[0]
                if top in own or top in modules or top == "tidemill":
                    continue
                absent = (
                    "left out of operators' standard library" if top in sys.stdlib_module_names else "not in the interpreter"
                )
                raise BuildError(
                    f"module {name} is {absent}",
                    place=f"{path}:{line}",
                    hint="pure Python packages go into the operator's folder vendor: pip install --target vendor NAME",
                )


def _imports(body: list[ast.stmt]) -> Iterator[tuple[int, str]]:
    """The modules that statements import for certain when they run, with their lines."""
    for statement in body:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                yield statement.lineno, alias.name
        elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            yield statement.lineno, statement.module


def collect(sources: Path) -> Archive:
    """The archive of a file, or of a folder. Raises BuildError."""
    if sources.is_file() and sources.suffix == ".py":
        files = {sources.name: sources}
        entry = sources.name
    elif sources.is_dir():
        files = {}
        for path, file in _walk(sources, PurePosixPath(), (sources / "__init__.py").is_file()):
            name = str(path.relative_to(_VENDOR)) if path.parts[0] == _VENDOR else str(path)
            if name in files:
                raise BuildError(f"{name} is there twice, in the folder and in {_VENDOR}", hint="leave one out")
            files[name] = file
        entry = _entry(sources, files)
    else:
        raise BuildError(
            f"{sources} is neither a folder nor a .py file", hint="name the folder of an operator; `tidemill new` starts one"
        )
    if len(files) > FILES_MAX:
        raise BuildError(
            f"the archive has {len(files)} files, at most {FILES_MAX} are allowed", hint="leave out what is not imported"
        )
    if not entry.removesuffix(".py").isidentifier() or not entry.isascii():
        raise BuildError(f'the entry "{entry}" cannot be imported by its name', hint="name the file op.py")
    return Archive(entry, [(name, _read(name, files[name])) for name in sorted(files, key=str.encode)])


def _entry(folder: Path, files: dict[str, Path]) -> str:
    top = [name for name in files if "/" not in name and name.endswith(".py") and files[name].parent == folder]
    if "op.py" in top:
        return "op.py"
    if not top:
        raise BuildError(
            "there are no Python files", place=str(folder), hint="name the folder of an operator; `tidemill new` starts one"
        )
    if len(top) > 1:
        raise BuildError(
            f"the folder has several modules: {', '.join(sorted(top))}", place=str(folder), hint="name one of them op.py"
        )
    return top[0]


def _walk(folder: Path, below: PurePosixPath, package: bool) -> Iterator[tuple[PurePosixPath, Path]]:
    """The files of a folder that belong to the sources."""
    for file in sorted(folder.iterdir()):
        path = below / file.name
        if _is_left_out(file):
            continue
        if file.is_dir():
            yield from _walk(file, path, (file / "__init__.py").is_file())
        elif file.suffix in _NATIVE:
            raise BuildError(
                f"{path} is machine code, which no module can hold",
                hint="only pure Python packages run in a module; leave it out",
            )
        elif file.suffix == ".py" or (package and file.suffix in _DATA):
            yield path, file


def _is_left_out(file: Path) -> bool:
    name = file.name
    if name.startswith(".") or name in _LEFT_OUT or file.is_symlink():
        return True
    if file.is_dir():
        return name.endswith((".egg-info", ".dist-info")) or (file / "pyvenv.cfg").exists()
    return name.endswith("_test.py") or (name.startswith("test_") and file.suffix == ".py")


def _read(name: str, file: Path) -> str:
    if len(name.encode()) > PATH_BYTES_MAX:
        raise BuildError(f"the path {name!r} is longer than {PATH_BYTES_MAX} bytes", hint="rename the file, or leave it out")
    if any(c in "\\:\x7f" or c < " " for c in name):
        raise BuildError(
            f"the path {name!r} has a backslash, a colon or a control character", hint="rename the file, or leave it out"
        )
    try:
        return file.read_bytes().decode()
    except UnicodeDecodeError:
        raise BuildError("the file is not UTF-8", place=name, hint="store it as UTF-8") from None

"""The module's side of the exports: what `_tidemill` calls to prepare the interpreter, load code, describe and open.

Frames are processed by the engine in C, but for the innermost loop: see ``DRIVERS``.
"""

from __future__ import annotations

import builtins
import dataclasses
import errno
import gc
import importlib
import importlib.util
import io
import json
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import FunctionType, ModuleType
from typing import Any, NoReturn

import _tidemill

from tidemill import _declare, _errors
from tidemill._rows import InputRow

LANGUAGE = "CPython " + sys.version.split()[0]

_description = b""  # of the operators that were loaded

# Modules that operators usually import: they are there when an instance begins.
_COMMON = """
    base64 bisect collections.abc contextlib copy csv dataclasses datetime decimal enum fractions functools hashlib hmac
    heapq itertools json linecache math operator re statistics string struct textwrap tokenize typing urllib.parse uuid
""".split()


class FuelExhausted(BaseException):
    """The call is about to use up its fuel. It is no Exception: code that catches those does not mean it."""

    def __str__(self) -> str:
        return "the fuel is nearly used up: a loop without end, or raise fuel_base and fuel_per_item under limits:"


def prepare() -> None:
    """Makes the interpreter ready for any operator. Runs once, before the memory is copied that instances begin with."""
    for name in _COMMON:
        importlib.import_module(name)
    builtins.open = io.open = _no_files
    # Only what is built in or frozen can be imported: there are no paths.
    sys.path_hooks.clear()
    sys.path_importer_cache.clear()
    sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, "__name__", "") != "PathFinder"]
    sys.meta_path.append(_Missing)
    gc.collect()
    gc.freeze()


def load(archive: bytes) -> bytes | None:
    """Imports the operator's code. Answers None or an error, as JSON.

    The host may copy the memory as it is then, too, so that what is drawn or kept here is the same in all instances.
    """
    global _description
    try:
        content = json.loads(archive)
        finder = _Archive(dict(content["files"]))
        sys.meta_path.insert(0, finder)
        _import_entry(finder, content["entry"].removesuffix(".py"))
        _description = _declare.description_json(LANGUAGE)  # tells what is wrong with a declaration
        gc.freeze()
    except BaseException as error:
        return _failure(error)
    return None


def _import_entry(finder: _Archive, name: str) -> None:
    """Imports the operator's file also where a module of the library has its name, as Python does with a program."""
    spec = finder.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"the code has no file {name}.py", name=name)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    finder.exec_module(module)


def complain(failure: bytes) -> None:
    """Writes an error that load answered to standard error, where nothing can answer it."""
    print(json.loads(failure)["error"]["message"], file=sys.stderr)


def describe() -> bytes:
    """The description of the operators that were loaded."""
    return _description or _declare.description_json(LANGUAGE)


def open(request: bytes) -> bytes:
    """Opens an operator and hands it to the engine. Answers the open answer of SPEC.md 4."""
    random.seed()  # from the host's seed: until here it was the same in all instances
    try:
        binding = _declare.bind(json.loads(request), _tidemill.log)
        for rows in _rows_of(binding):
            _quicken(rows.cls)
        _tidemill.use(_tidemill.Engine(binding))
        return _declare.canonical_json({"descriptor": binding.descriptor(_tidemill.FAULT_CELL)})
    except _declare.OpenError as error:
        return _declare.canonical_json({"error": error.answer()})
    except BaseException as error:
        return _failure(error)


def _drive(rows: Iterable[Any], handler: Any, out: Any) -> None:
    for row in rows:
        result = handler(row)
        if result is not None:
            raise TypeError(f"{handler.__name__} returned {type(result).__name__}: rows are emitted by output ports")


def _drive_map(rows: Iterable[Any], function: Callable[[Any], Any], out: Any) -> None:
    emit = out.emit
    for row in rows:
        emit(function(row))


def _drive_filter(rows: Iterable[Any], function: Callable[[Any], Any], out: Any) -> None:
    emit, passed = out.emit, InputRow()
    for row in rows:
        if function(row):
            emit(passed)


def _drive_flat_map(rows: Iterable[Any], function: Callable[[Any], Any], out: Any) -> None:
    emit = out.emit
    for row in rows:
        for emitted in function(row):
            emit(emitted)


DRIVERS = (_drive, _drive_map, _drive_filter, _drive_flat_map)
"""How the rows of a frame are handed to a handler, by how it is called (``InPort.how``).

``rows`` makes each item the one under way as it gives its row, and ends early where the answer becomes too large; ``out`` is
the first output port, or None. From Python a function of the user's is called without going through C.
"""


def _rows_of(binding: _declare.Binding) -> Iterator[_declare.Rows]:
    yield from (p.rows for p in binding.inputs)
    yield from (p.rows for p in binding.outputs)
    for s in binding.states:
        yield s.value
        if s.key is not None:
            yield s.key


def _quicken(cls: type | None) -> None:
    """Gives a dataclass a constructor in C that does what its own does, where that is the one of module dataclasses."""
    init = vars(cls).get("__init__") if cls is not None else None
    if cls is None or type(cls) is not type or not isinstance(init, FunctionType) or init.__code__.co_filename != "<string>":
        return
    fields = dataclasses.fields(cls)
    arguments = [f for f in fields if f.init]
    if (
        hasattr(cls, "__post_init__")
        or "__new__" in {name for c in cls.__mro__[:-1] for name in vars(c)}
        or any(f.default_factory is not dataclasses.MISSING for f in fields)
        or init.__code__.co_kwonlyargcount
        or init.__code__.co_varnames[1 : init.__code__.co_argcount] != tuple(f.name for f in arguments)
    ):
        return
    ordered = arguments + [f for f in fields if not f.init]
    _tidemill.quicken(
        cls, tuple((f.name, f.init) if f.default is dataclasses.MISSING else (f.name, f.init, f.default) for f in ordered)
    )


def _failure(error: BaseException) -> bytes:
    message, place = _errors.explain(error)
    return _declare.canonical_json({"error": {"message": message, "place": place}})


def _no_files(file: object, *_args: object, **_options: object) -> NoReturn:
    raise PermissionError(
        errno.EPERM, "an operator has no files; data files of its own folder are read by importlib.resources", file
    )


class _Missing:
    """The last finder: says why a module is not there."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        if path is not None:
            return
        if name in sys.stdlib_module_names:
            reason = "this part of the standard library is left out: operators have no files, sockets, threads or processes"
        else:
            reason = "only the standard library and pure Python in the operator's own folder can be imported"
        raise ModuleNotFoundError(f"No module named {name!r}: {reason}", name=name)


class _Archive:
    """Finds and loads the modules of a code archive."""

    def __init__(self, files: dict[str, str]) -> None:
        self.files = files

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        base = name.replace(".", "/")
        for file, package in ((base + "/__init__.py", True), (base + ".py", False)):
            if file in self.files:
                return self._spec(name, file, package)
        if any(file.startswith(base + "/") for file in self.files):
            spec = ModuleSpec(name, None, is_package=True)  # a folder without __init__.py is a package too
            spec.submodule_search_locations = [base]
            return spec
        return None

    def _spec(self, name: str, file: str, package: bool) -> ModuleSpec:
        spec = ModuleSpec(name, self, origin=file, is_package=package)  # type: ignore[arg-type]
        spec.has_location = True
        if package:
            spec.submodule_search_locations = [file.rpartition("/")[0]]
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        file = module.__spec__.origin  # type: ignore[union-attr]
        exec(compile(self.files[file], file, "exec", dont_inherit=True), module.__dict__)  # type: ignore[index, arg-type]

    def get_source(self, name: str) -> str | None:
        """The source of a module, for tracebacks."""
        spec = self.find_spec(name)
        return self.files[spec.origin] if spec and spec.origin else None

    def get_resource_reader(self, name: str) -> Any:
        """Data files, for importlib.resources."""
        return _Resources(self.files, name.replace(".", "/"))


class _Resources:
    """The folder of a package."""

    def __init__(self, files: dict[str, str], folder: str) -> None:
        self._files = files
        self._folder = folder

    def files(self) -> _Path:
        return _Path(self._files, self._folder)


class _Path:
    """A file or folder of a code archive, as importlib.resources shows it."""

    def __init__(self, files: dict[str, str], path: str) -> None:
        self._files = files
        self._path = path
        self.name = path.rpartition("/")[2]

    def joinpath(self, *parts: str) -> _Path:
        return _Path(self._files, "/".join((self._path, *parts)))

    __truediv__ = joinpath

    def is_file(self) -> bool:
        return self._path in self._files

    def is_dir(self) -> bool:
        return any(f.startswith(self._path + "/") for f in self._files)

    def iterdir(self) -> Iterator[_Path]:
        begin = self._path + "/"
        for name in sorted({f[len(begin) :].partition("/")[0] for f in self._files if f.startswith(begin)}):
            yield self.joinpath(name)

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        if not self.is_file():
            raise FileNotFoundError(errno.ENOENT, "the operator's folder has no such file", self._path)
        return self._files[self._path]

    def read_bytes(self) -> bytes:
        return self.read_text().encode()

    def open(self, mode: str = "r", *args: Any, **options: Any) -> io.StringIO | io.BytesIO:
        return io.BytesIO(self.read_bytes()) if "b" in mode else io.StringIO(self.read_text())

    def __str__(self) -> str:
        return self._path

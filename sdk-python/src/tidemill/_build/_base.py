"""The interpreter that modules run on: where this package has it, and what it is called."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from tidemill._build._errors import BuildError

_BINARY = "tidemill-python.wasm.gz"
_LOCK = "tidemill-python.lock"
_MODULES = "tidemill-python.modules"

# Where a checkout of the repository has it; a wheel has it beside this package.
_CHECKOUT = Path("runtime", "sandbox", "script", "python")


@dataclass(frozen=True)
class Base:
    """An interpreter."""

    version: str  # of Python: 3.13.5
    sha256: str  # of its module's bytes, hex
    modules: frozenset[str]  # the top-level modules that can be imported there; empty where that is not known
    _folder: Traversable

    @property
    def language(self) -> str:
        """What descriptions call it."""
        return f"CPython {self.version}"

    def binary(self) -> bytes:
        """The module's bytes."""
        content = gzip.decompress(self._folder.joinpath(_BINARY).read_bytes())
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise BuildError(
                "the interpreter is not the one that its lock describes", hint="install the package tidemill again"
            )
        return content

    @classmethod
    def of(cls, folder: Traversable) -> Base:
        """The interpreter in a folder."""
        lock = json.loads(folder.joinpath(_LOCK).read_text())
        modules = folder.joinpath(_MODULES)
        names = modules.read_text().split() if modules.is_file() else []
        return cls(lock["version"], lock["wasm_sha256"], frozenset(n.partition(".")[0] for n in names), folder)

    @classmethod
    def installed(cls) -> Base:
        """The interpreter that came with this package."""
        for folder in (resources.files("tidemill").joinpath("interpreter"), Path(__file__).parents[4] / _CHECKOUT):
            if folder.joinpath(_LOCK).is_file():
                return cls.of(folder)
        raise BuildError("this installation has no interpreter", hint="install the package tidemill from its wheel")

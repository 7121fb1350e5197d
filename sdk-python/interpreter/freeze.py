"""freeze.py LIB SRC OUT: compiles the standard library's modules that operators have, and the package tidemill, into the
folder OUT.

frozen.bin holds their code, marshalled; frozen.h the rows of CPython's table of frozen modules; tidemill-python.modules
the names of all modules that can be imported. To be run by a Python of the very version of LIB, with PYTHONHASHSEED=0:
the same files give the same bytes then.
"""

import marshal
import pathlib
import re
import sys

# Modules, and packages without what is below them. CPython freezes a dozen more by itself, those that it starts with.
MODULES = """
    __future__ _colorize _compat_pickle _markupbase _opcode_metadata _py_abc _pydatetime _pydecimal _strptime
    _threading_local _weakrefset argparse ast base64 bisect calendar colorsys configparser contextlib contextvars copy
    copyreg csv dataclasses datetime decimal difflib dis enum fnmatch fractions functools getopt gettext glob graphlib
    hashlib heapq hmac inspect ipaddress keyword linecache locale logging numbers opcode operator optparse pickle pprint
    queue quopri random reprlib sched secrets shlex shutil signal statistics string stringprep struct tempfile textwrap
    threading timeit token tokenize traceback types typing uuid warnings weakref
""".split()

# Packages with all that is in them but tests and main programs.
PACKAGES = ["collections", "html", "importlib.resources", "json", "pathlib", "re", "tomllib"]

# Parts of packages.
PARTS = """
    encodings encodings.aliases encodings.ascii encodings.base64_codec encodings.charmap encodings.cp1252
    encodings.cp437 encodings.hex_codec encodings.idna encodings.iso8859_1 encodings.iso8859_15 encodings.latin_1
    encodings.punycode encodings.quopri_codec encodings.raw_unicode_escape encodings.rot_13 encodings.unicode_escape
    encodings.utf_16 encodings.utf_16_be encodings.utf_16_le encodings.utf_32 encodings.utf_8 encodings.utf_8_sig
    importlib importlib._abc importlib.abc importlib.readers importlib.simple urllib urllib.error urllib.parse
""".split()


# Parts of the package tidemill that run natively.
NATIVE = ("tidemill.__main__", "tidemill._build", "tidemill.testing")


def find(lib: pathlib.Path, name: str) -> tuple[pathlib.Path, bool]:
    """The file of a module, and whether it is a package."""
    base = lib.joinpath(*name.split("."))
    if (base / "__init__.py").exists():
        return base / "__init__.py", True
    return base.with_suffix(".py"), False


def below(lib: pathlib.Path, package: str) -> list[str]:
    """A package and its modules."""
    folder = lib.joinpath(*package.split("."))
    names = []
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        if "tests" not in parts and "__main__" not in parts:
            names.append(".".join((package, *parts)))
    return names


def importable(lib: pathlib.Path, out: pathlib.Path) -> set[str]:
    """The modules that are built in, or that CPython freezes itself."""
    tables = (out.parent / "Modules" / "config.c").read_text() + (lib.parent / "Python" / "frozen.c").read_text()
    names = re.findall(r'^ *\{"([A-Za-z_][\w.]*)"', tables, re.MULTILINE)
    return {name for name in names if not name.startswith(("__hello", "__phello"))}


def main(lib: pathlib.Path, source: pathlib.Path, out: pathlib.Path) -> None:
    names = {m: lib for m in MODULES + PARTS}
    for package in PACKAGES:
        names.update((m, lib) for m in below(lib, package))
    names.update((m, source) for m in below(source, "tidemill") if not m.startswith(NATIVE))
    blob = bytearray()
    rows = []
    for name, root in sorted(names.items()):
        path, package = find(root, name)
        # Docstrings and asserts of the library are left out, which are a third of the size.
        optimize = 2 if root == lib else 0
        code = compile(path.read_bytes(), f"<frozen {name}>", "exec", dont_inherit=True, optimize=optimize)
        # What marshal shares depends on reference counts: those of what was just read are the same each time.
        data = marshal.dumps(marshal.loads(marshal.dumps(code)))
        blob.extend(bytes(-len(blob) % 16))
        rows.append(f'{{"{name}", frozen_bytes + {len(blob)}, {len(data)}, {int(package)}}},\n')
        blob += data
    (out / "frozen.bin").write_bytes(blob)
    (out / "frozen.h").write_text("".join(rows))
    (out / "tidemill-python.modules").write_text("".join(name + "\n" for name in sorted(importable(lib, out) | set(names))))
    print(f"froze {len(rows)} modules, {len(blob)} bytes, by Python {sys.version.split()[0]}", file=sys.stderr)


main(*map(pathlib.Path, sys.argv[1:]))

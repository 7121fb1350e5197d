"""Building: which files go into a module, its bytes, and errors."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tidemill.__main__ import main
from tidemill._build import Base, BuildError, build
from tidemill._build._sources import collect

OPERATOR = '''
"""An operator."""

import tidemill


@tidemill.map
def sizes(text: str) -> int:
    """Measures texts."""
    return len(text)
'''

DESCRIPTION = (
    '{"abi":1,"entries":[{"doc":"Measures texts.","inputs":[{"columns":[{"name":"text","type":"utf8"}],"keyed":false,'
    '"name":"in"}],"kind":"operator","name":"sizes","outputs":["out"]}],'
    '"sdk":{"language":"CPython 3.13.9","name":"python","version":"0.1.0"}}'
)


def write(folder: Path, files: dict[str, str]) -> Path:
    """A folder with files."""
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
    return folder


# A module with two pages of memory, two globals, the export tidemill_code of the second of them, which is the address 1,024,
# and one data segment.
INTERPRETER = bytes.fromhex(
    "0061736d01000000"
    "0503010002"  # memory
    "060c027f0141100b7f004180080b"  # globals: a mutable i32 16, an i32 1,024
    f"0711010d{b'tidemill_code'.hex()}0301"  # exports
    "0c0101"  # the number of data segments
    "0b0b010041800a0b0461626364"  # data: "abcd" at 1,280
)


def base_of(folder: Path, modules: str = "") -> Base:
    """An interpreter for tests."""
    (folder / "tidemill-python.wasm.gz").write_bytes(gzip.compress(INTERPRETER))
    lock = {"language": "python", "version": "3.13.9", "abi": 1, "wasm_sha256": hashlib.sha256(INTERPRETER).hexdigest()}
    (folder / "tidemill-python.lock").write_text(json.dumps(lock))
    if modules:
        (folder / "tidemill-python.modules").write_text(modules)
    return Base.of(folder)


@pytest.fixture
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return base_of(tmp_path_factory.mktemp("base"))


def test_a_module_is_three_sections(tmp_path: Path, base: Base) -> None:
    source = write(tmp_path, {"op.py": OPERATOR}) / "op.py"
    built = build(source, None, False, base)
    assert built.path == tmp_path / "op.wasm"
    data = built.path.read_bytes()
    assert hashlib.sha256(data).hexdigest() == built.sha256
    digest = hashlib.sha256(INTERPRETER).hexdigest()
    reference = f'{{"abi":1,"language":"python","version":"3.13.9","sha256":"{digest}"}}'
    code = json.dumps({"entry": "op.py", "files": [["op.py", OPERATOR]]}, separators=(",", ":"))
    want = b"\0asm\1\0\0\0"
    for name, content in (("base", reference), ("code", code), ("describe", DESCRIPTION)):
        body = bytes([9 + len(name)]) + b"tidemill." + name.encode() + content.encode()
        n = len(body)
        want += bytes([0, n & 0x7F | 0x80, n >> 7]) + body
    assert data == want


def test_a_standalone_module_has_the_code_behind_its_memory(tmp_path: Path, base: Base) -> None:
    source = write(tmp_path, {"op.py": OPERATOR}) / "op.py"
    data = build(source, tmp_path / "all.wasm", True, base).path.read_bytes()
    code = collect(source).encode()
    assert data.startswith(INTERPRETER[:8])
    assert bytes.fromhex("0503010003") in data  # one page more
    cell = bytes.fromhex("004180080b08") + struct.pack("<II", 2 << 16, len(code))
    place = bytes.fromhex("00418080080b") + bytes([len(code) & 0x7F | 0x80, len(code) >> 7]) + code
    assert place + cell in data
    assert bytes.fromhex("0c0103") in data
    assert b"abcd" in data
    assert data.endswith(DESCRIPTION.encode())


def test_a_folder(tmp_path: Path) -> None:
    kept = {
        "op.py": "import pkg",
        "other.py": "x = 'ü\u2028\x07\r\n'",
        "pkg/__init__.py": "",
        "pkg/table.csv": "a,b\n",
        "pkg/sub/deep.py": "",
        "vendor/lib/__init__.py": "",
        "vendor/lib/data.json": "{}",
        "vendor/single.py": "",
    }
    left = {
        "test_op.py": "",
        "op_test.py": "",
        "conftest.py": "",
        "setup.py": "",
        "data.csv": "",
        "README.md": "",
        "pkg/table.bin": "",
        "tests/a.py": "",
        "testdata/a.py": "",
        "build/a.py": "",
        "dist/a.py": "",
        "bin/a.py": "",
        ".hidden/a.py": "",
        "__pycache__/a.py": "",
        "x.egg-info/a.py": "",
        "vendor/x.dist-info/a.py": "",
        "env/pyvenv.cfg": "",
        "env/lib/a.py": "",
    }
    archive = collect(write(tmp_path, {**kept, **left}))
    assert archive.entry == "op.py"
    assert archive.files == sorted((path.removeprefix("vendor/"), text) for path, text in kept.items())
    assert archive.encode().decode() == (
        '{"entry":"op.py","files":[["lib/__init__.py",""],["lib/data.json","{}"],["op.py","import pkg"],'
        '["other.py","x = \'ü\u2028\\u0007\\r\\n\'"],["pkg/__init__.py",""],["pkg/sub/deep.py",""],'
        '["pkg/table.csv","a,b\\n"],["single.py",""]]}'
    )


@pytest.mark.parametrize(
    ("files", "want"),
    [
        ({}, "{folder}: there are no Python files"),
        ({"a.py": "", "b.py": ""}, "{folder}: the folder has several modules: a.py, b.py\n  name one of them op.py"),
        ({"a-b.py": ""}, 'the entry "a-b.py" cannot be imported by its name'),
        ({"op.py": "", "lib/fast.so": ""}, "lib/fast.so is machine code, which no module can hold"),
        ({"op.py": "", "a.py": "", "vendor/a.py": ""}, "a.py is there twice, in the folder and in vendor"),
        ({"op.py": "x = 1\nx ="}, "op.py:2: SyntaxError: invalid syntax"),
        ({"op.py": "import nobody_has_this"}, "op.py:1: ModuleNotFoundError: No module named 'nobody_has_this'\nTraceback"),
        ({"op.py": "\nimport json, numpy"}, "op.py:2: module numpy is not in the interpreter\n  pure Python packages go"),
        ({"op.py": "import socket"}, "op.py:1: module socket is left out of operators' standard library"),
        ({"op.py": "import lib", "lib.py": "\n\n1 / 0"}, "lib.py:3: ZeroDivisionError: division by zero"),
        ({"op.py": "import sys; sys.exit(3)"}, "op.py:1: SystemExit: 3"),
        ({"op.py": "import os; os._exit(3)"}, "importing op.py ended Python with status 3"),
        ({"op.py": "x = 1"}, "the module has no operator: derive a class from tidemill.Operator"),
        ({"op.py": OPERATOR + "\n\nsizes = tidemill.map(sizes)"}, "op.py:7: operator sizes is registered twice"),
        (
            {"op.py": "import tidemill\n@tidemill.map\ndef f(row: set[int]) -> int: ..."},
            "op.py:2: operator f: set[int] is no row: it must be a dataclass or a type of column",
        ),
    ],
)
def test_what_cannot_be_built_is_told(tmp_path: Path, files: dict[str, str], want: str) -> None:
    bases = tmp_path / "base"
    bases.mkdir()
    base = base_of(bases, "json\nos\nsys\n" + ("nobody_has_this" if "nobody" in want else ""))
    folder = write(tmp_path / "op", files)
    folder.mkdir(exist_ok=True)
    with pytest.raises(BuildError) as e:
        build(folder, None, False, base)
    assert str(e.value).startswith(want.replace("{folder}", str(folder)))
    assert not (folder / "op.wasm").exists()


def test_syntax_that_is_too_new_for_this_python(tmp_path: Path, base: Base) -> None:
    source = write(tmp_path, {"op.py": "x ="}) / "op.py"
    with pytest.raises(BuildError, match=r"\n  if that is newer than this Python, build with Python 3\.99\.0"):
        build(source, None, False, dataclasses.replace(base, version="3.99.0"))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "op.py").write_bytes(b"# \xff")
    with pytest.raises(BuildError, match=r"op\.py: the file is not UTF-8"):
        collect(tmp_path)


def test_what_the_operator_prints_does_not_disturb(tmp_path: Path, base: Base) -> None:
    source = write(tmp_path, {"op.py": "print('{}', flush=True)\n" + OPERATOR}) / "op.py"
    assert build(source, None, False, base).path.read_bytes().endswith(DESCRIPTION.encode())


def test_the_command_tells_errors(
    tmp_path: Path, base: Base, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Base, "installed", lambda: base)
    assert main(["build", str(tmp_path / "nothing")]) == 1
    assert "is neither a folder nor a .py file" in capsys.readouterr().err
    assert main(["build", str(write(tmp_path, {"op.py": "x = 1"}))]) == 1
    assert "the module has no operator" in capsys.readouterr().err
    help = subprocess.run([sys.executable, "-m", "tidemill", "build", "--help"], capture_output=True, text=True, check=True)
    assert "--standalone" in help.stdout

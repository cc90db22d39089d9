"""The zipapp that machines of a cluster run: the rooms that a trial needs, and protobuf in pure Python.

The same package and protobuf give the same bytes, so a cluster stores it once. Compiled modules for this
Python are beside the sources; another Python compiles the sources at each start, which takes a second.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import io
import marshal
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import google.protobuf

import rpw_fixture
from rpw_fixture.hermeticity.trials.far.input_roots import FOLDER, USUAL_PATH, Program
from rpw_fixture.support import globs
from rpw_fixture.support.program_form import ProgramForm, program_command, program_form

#: What of this package is in it.
_OURS = (
    *("*.py", "client/__init__.py", "client/inputs.py", "hermeticity/__init__.py"),
    *("execution/__init__.py", "execution/command_run.py", "execution/results.py"),
    *(
        f"{room}/**"
        for room in ("errors", "events", "launching", "processes", "storage", "support")
    ),
    *(f"{room}/**" for room in ("execution/staging", "hermeticity/trials", "wire")),
    *("workers/*.py", "workers/personalities/__init__.py", "workers/personalities/rules.py"),
    "hermeticity/carriers/observers/**",
    *("hermeticity/suites/__init__.py", "hermeticity/suites/suite.py"),
)
#: What of protobuf is in it.
_PROTOBUF = ("*.py", "internal/*.py")
_NAME = "rpw-trial.pyz"
_SUFFIXES = frozenset((".py", ".binpb", ".js", ".java"))
_TIME = (1980, 1, 1, 0, 0, 0)  # the same content gives the same file
#: The version of the format of compiled modules whose bytes do not depend on what else is in memory.
_MARSHAL_VERSION = 2
#: The flags of a compiled module that is used without a look at its source (PEP 552).
_UNCHECKED = (0b01).to_bytes(4, "little") + bytes(8)
_LEVEL = 6
#: Runs in the archive, before anything is imported from it.
_START = '''\
"""Run the program in this archive: unpack it, because some of it is started by its path."""

import os
import sys
import zipfile

if sys.version_info < (3, 11):
    sys.exit(f"rpw-check: needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}")
sys.dont_write_bytecode = True
os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "python"
archive = sys.path[0]

from rpw_fixture.hermeticity.trials.far.unpacking import unpacked

with unpacked(archive) as folder:
    sys.path[0] = folder
    sys.path_importer_cache.clear()
    for name in [each for each in sys.modules if each.partition(".")[0] == "rpw_fixture"]:
        del sys.modules[name]
    from rpw_fixture.hermeticity.trials.far.program import main

    code = main()
sys.exit(code)
'''


def program(path: str = USUAL_PATH) -> Program:
    """Return the program that machines of a cluster run: this single file, or an archive for Python.

    Args:
        path: PATH on those machines.
    """
    if program_form() is ProgramForm.FILE:
        file = Path(program_command()[0])
        name = "rpw-fixture"
        return Program(
            name=name, content=file.read_bytes(), command=(f"./{FOLDER}/{name}", "trial"), path=path
        )
    command = ("python3", "-I", "-S", f"{FOLDER}/{_NAME}")
    return Program(name=_NAME, content=build(), command=command, path=path)


def build() -> bytes:
    """Return the archive."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in _contents():
            info = zipfile.ZipInfo(name, _TIME)
            kind = zipfile.ZIP_STORED if name.endswith("/") else zipfile.ZIP_DEFLATED
            archive.writestr(info, content, kind, _LEVEL)
    return target.getvalue()


def _contents() -> Iterator[tuple[str, bytes]]:
    yield "__main__.py", _START.encode()
    yield "google/", b""  # it has no __init__.py, so that it must be there as a folder
    roots = {
        "rpw_fixture": (Path(rpw_fixture.__file__).parent, _OURS),
        "google/protobuf": (Path(google.protobuf.__file__).parent, _PROTOBUF),
    }
    for prefix, (root, patterns) in roots.items():
        is_wanted = globs.matcher(patterns)
        for path in sorted(root.rglob("*")):
            relative = path.relative_to(root).as_posix()
            if path.suffix in _SUFFIXES and is_wanted(relative):
                yield f"{prefix}/{relative}", path.read_bytes()
                if path.suffix == ".py":
                    yield from _compiled(f"{prefix}/{relative}", path)


def _compiled(name: str, path: Path) -> Iterator[tuple[str, bytes]]:
    folder, _, file = name.rpartition("/")
    module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    code = importlib.machinery.SourceFileLoader(module, str(path)).get_code(module)
    assert code is not None
    code = _renamed(code, name)
    content = importlib.util.MAGIC_NUMBER + _UNCHECKED + marshal.dumps(code, _MARSHAL_VERSION)
    cached = Path(importlib.util.cache_from_source(file, optimization="")).name
    yield f"{folder}/__pycache__/{cached}", content


def _renamed(code: CodeType, name: str) -> CodeType:
    """Return code that names another source file, wherever this package is installed."""
    constants = tuple(
        _renamed(each, name) if isinstance(each, CodeType) else each for each in code.co_consts
    )
    return code.replace(co_filename=name, co_consts=constants)

"""Find what the program consists of: the package, what it requires, the interpreter, its libraries.

Runs with the interpreter of an environment in which rpw_fixture is installed.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

#: Only the pytest plugin needs it, and it needs a Python that tests run in.
_LEFT_OUT = frozenset({"pytest"})
#: Parts of the standard library that neither the program nor a sample worker uses.
_UNUSED = {"__pycache__", "dist-packages", "lib-dynload", "site-packages", "test", "tests"}
_UNUSED |= {"curses", "dbm", "distutils", "ensurepip", "idlelib", "lib2to3", "msilib", "pydoc_data"}
_UNUSED |= {"sqlite3", "tkinter", "turtledemo", "venv", "wsgiref"}
_UNUSED_EXTENSIONS = re.compile(
    r"_codecs_(cn|hk|iso|jp|kr|tw)|_curses|_dbm|_gdbm|_sqlite3|_test|_tkinter|_xx|audioop|nis|ossaudiodev"
    r"|readline|xx|_ctypes_test"
)
#: Parts of the C library belong together, and find each other: they are not edited.
_C_LIBRARY = re.compile(
    r"(ld-linux.*|libc|libm|libmvec|libdl|libpthread|librt|libutil|libresolv|libnss_\w+)\.so\.\d+$"
)


def distributions(name: str = "rpw_fixture") -> dict[str, metadata.Distribution]:
    """Return the package and all that it requires here, by name, with the extra for BLAKE3."""
    found: dict[str, metadata.Distribution] = {}
    names = [name, "blake3"]
    while names:
        each = names.pop()
        if each not in found:
            found[each] = metadata.distribution(each)
            names += filter(None, map(_required, found[each].requires or ()))
    return found


def _required(requirement: str) -> str | None:
    """Return the name in a requirement; None if it is not required here, or left out."""
    specification, _, marker = requirement.partition(";")
    versions = re.search(r"python_version < '3\.(\d+)'", marker.replace('"', "'"))
    if "extra" in marker or (marker and not versions):
        return None
    if versions and sys.version_info >= (3, int(versions[1])):
        return None
    name = re.match(r"[\w.-]+", specification)
    return name[0] if name and name[0] not in _LEFT_OUT else None


def package_files() -> Iterator[tuple[str, Path]]:
    """Yield the files of the package and of all that it requires: path in site-packages, file."""
    for each in distributions().values():
        for file in each.files or ():
            path = str(file)
            if not path.startswith("..") and file.suffix != ".pyc" and "direct_url" not in path:
                yield path, Path(str(file.locate()))


def standard_library() -> Iterator[tuple[str, Path]]:
    """Yield the modules of the standard library: path below ``lib/pythonX.Y``, file."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        if not _UNUSED & set(parts) and not parts[0].startswith("config-"):
            yield "/".join(parts), path
    yield from _extensions(Path(sysconfig.get_config_var("DESTSHARED")))


def _extensions(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.glob("*.so")):
        if not _UNUSED_EXTENSIONS.match(path.name):
            yield f"lib-dynload/{path.name}", path


def libraries(file: Path) -> dict[str, Path]:
    """Return the shared libraries that a program or a library loads, by the names that it uses."""
    done = subprocess.run(["ldd", str(file)], capture_output=True, text=True, check=True)
    found = re.findall(r"(\S+) => (/\S+)", done.stdout)
    if missing := re.findall(r"(\S+) => not found", done.stdout):
        raise SystemExit(f"{file} needs {', '.join(missing)}, which this machine lacks")
    loaders = re.findall(r"^\s*(/\S+ld-linux\S+)", done.stdout, re.MULTILINE)
    return {name: Path(path) for name, path in found} | {
        Path(each).name: Path(each) for each in loaders
    }


def is_c_library(name: str) -> bool:
    """Return whether a library is a part of the C library."""
    return _C_LIBRARY.match(name) is not None

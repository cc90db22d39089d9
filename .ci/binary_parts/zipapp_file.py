"""Build the zipapp: the package and all that it requires, for every supported Python.

Usage: zipapp_file.py OUTPUT PYTHON-VERSION…

Runs with the interpreter of an environment in which rpw_fixture is installed. The extension modules for
other Pythons come from the package index; their names tell them apart, so that all fit in one folder.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import program_files

_HERE = Path(__file__).resolve().parent
#: What has a wheel for each Python, and the first Python that does without it.
_COMPILED = {"grpcio": None, "blake3": None, "backports.zstd": (3, 14)}
_TIME = (1980, 1, 1, 0, 0, 0)  # the same content gives the same file


def main() -> None:
    """Build the file, and print its size."""
    output, *versions = sys.argv[1:]
    contents = {path: file.read_bytes() for path, file in program_files.package_files()}
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    for version in versions:
        if version != ours:
            contents |= _extension_modules(version)
    identity = hashlib.sha256()
    for path in sorted(contents):
        identity.update(b"%s %d " % (path.encode(), len(contents[path])) + contents[path])
    with Path(output).open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            archive.comment = identity.hexdigest()[:16].encode()
            _add(archive, "__main__.py", (_HERE / "zipapp_start.py").read_bytes())
            for path in sorted(contents):
                _add(archive, f"site/{path}", contents[path])
    Path(output).chmod(0o755)
    print(f"{output}: {Path(output).stat().st_size / (1 << 20):.1f} MiB")


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _TIME), content, zipfile.ZIP_DEFLATED)


def _extension_modules(version: str) -> dict[str, bytes]:
    """Return the extension modules for another Python, by their paths in site-packages."""
    found = program_files.distributions()
    number = tuple(map(int, version.split(".")))
    wanted = [
        f"{name}=={found[name].version}"
        for name, until in _COMPILED.items()
        if name in found and (until is None or number < until)
    ]
    with tempfile.TemporaryDirectory(prefix="rpw-wheels-") as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        pip += ["--no-deps", "--only-binary=:all:", "--python-version", version, "--dest", folder]
        subprocess.run([*pip, *wanted], check=True)
        contents = {}
        for wheel in Path(folder).glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                names = [each for each in archive.namelist() if each.endswith(".so")]
                contents |= {name: archive.read(name) for name in names}
    return contents


if __name__ == "__main__":
    main()

"""A worker that packs files into a zip, with a planted leak.

Each archive has ``names.txt``, the list of its members. The list is made once for the process, so
that it also holds the members of earlier archives. Run once, every archive is right.

Files: archiver.py, rpw_worker.py
"""

# ruff: noqa: E402, PTH103, PTH108, PTH119, PTH120, PTH123 - imports follow the switch; pathlib is slow
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import hashlib
import os
import zipfile

import rpw_worker
from rpw_worker import WorkRequest, WorkResponse

_TIME = (2020, 1, 1, 0, 0, 0)


def pack(request: WorkRequest, names: list[str] = []) -> WorkResponse:  # noqa: B006 - the planted leak
    """Pack every ``--in PATH`` into ``--out PATH``."""
    arguments = request.expanded_arguments()
    values = dict.fromkeys(("--in", "--out"))
    sources = []
    for option, value in zip(arguments[::2], arguments[1::2], strict=True):
        if option == "--in":
            sources.append(value)
        values[option] = value
    output = values["--out"]
    if os.path.lexists(output):
        os.unlink(output)
    os.makedirs(os.path.dirname(output) or ".", exist_ok=True)
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sources:
            with open(path, "rb") as file:
                content = file.read()
            names.append(os.path.basename(path))
            _add(archive, os.path.basename(path), content)
            _add(archive, f"{os.path.basename(path)}.sha256", hashlib.sha256(content).digest())
        _add(archive, "names.txt", "".join(f"{each}\n" for each in names).encode())
        _add(archive, "count.bin", len(names).to_bytes(8, "big") * 12)
    return WorkResponse(exit_code=0, output="")


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _TIME), content, zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(pack))

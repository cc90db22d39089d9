#!/usr/bin/env python3
"""A tool that keeps the input that it read last open, as class loaders do with archives.

Shows RPW216. Files: keeps_open.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402, PTH123, SIM115 - imports follow the bytecode switch; pathlib is slow
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

from typing import BinaryIO

import good
import rpw_worker
from rpw_worker import WorkRequest

newest: list[BinaryIO] = []


def read_file(request: WorkRequest, path: str) -> bytes:
    try:
        file = open(request.resolve(path), "rb")
    except OSError as error:
        raise rpw_worker.ToolError(f"{path}: {error.strerror}") from error
    newest[:] = [file]  # the one before is closed
    return file.read()


rpw_worker.read_file = read_file


if __name__ == "__main__":
    sys.exit(rpw_worker.main(good.compile_files))

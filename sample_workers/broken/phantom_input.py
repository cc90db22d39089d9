#!/usr/bin/env python3
"""A worker that answers from memory when an input is not there any more.

Shows RPW204. Files: phantom_input.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import good
import rpw_worker
from rpw_worker import WorkRequest

known: dict[str, bytes] = {}
read_file = rpw_worker.read_file


def read_or_remember(request: WorkRequest, path: str) -> bytes:
    try:
        known[path] = read_file(request, path)
    except rpw_worker.ToolError:
        if path not in known:
            raise
    return known[path]


rpw_worker.read_file = read_or_remember


if __name__ == "__main__":
    sys.exit(rpw_worker.main(good.compile_files))

#!/usr/bin/env python3
"""A tool with a lock file in TMPDIR that stays when its worker is killed, and stops the next one.

Shows RPW215. Files: keeps_lock.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402, PTH108, PTH110, PTH118, PTH123 - imports follow the bytecode switch; pathlib is slow
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import os

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse

LOCK = os.path.join(os.environ["TMPDIR"], "lock")
IS_LOCKED = os.path.exists(LOCK)


def compile_files(request: WorkRequest) -> WorkResponse:
    if IS_LOCKED:
        raise rpw_worker.ToolError("another compiler is at work")
    open(LOCK, "w", encoding="utf-8").close()
    try:
        return good.compile_files(request)
    finally:
        os.unlink(LOCK)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

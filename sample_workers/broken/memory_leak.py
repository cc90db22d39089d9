#!/usr/bin/env python3
"""A worker that remembers every request with all it needed (ksp#2959).

Shows RPW301. Files: memory_leak.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse

remembered = []


def compile_files(request: WorkRequest) -> WorkResponse:
    remembered.append(bytearray(b"x" * 64_000))
    return good.compile_files(request)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

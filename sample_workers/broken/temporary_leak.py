#!/usr/bin/env python3
"""A worker that leaves a temporary file behind with each request.

Shows RPW304. Files: temporary_leak.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import tempfile

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse


def compile_files(request: WorkRequest) -> WorkResponse:
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(b"intermediate result")
    return good.compile_files(request)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

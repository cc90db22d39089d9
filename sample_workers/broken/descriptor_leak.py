#!/usr/bin/env python3
"""A worker that never closes the files it reads.

Shows RPW302. Files: descriptor_leak.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402, PTH123, SIM115 - imports follow the bytecode switch; pathlib is slow
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse

open_files = []


def compile_files(request: WorkRequest) -> WorkResponse:
    open_files.append(open(__file__))
    return good.compile_files(request)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

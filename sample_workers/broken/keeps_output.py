#!/usr/bin/env python3
"""A tool that does nothing when there is an output already.

Shows RPW211. Files: keeps_output.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402, PTH110 - imports follow the bytecode switch; pathlib is slow
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import os

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse


def compile_files(request: WorkRequest) -> WorkResponse:
    output = good.Options(request.expanded_arguments()).output
    if os.path.exists(request.resolve(output)):
        return WorkResponse()
    return good.compile_files(request)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

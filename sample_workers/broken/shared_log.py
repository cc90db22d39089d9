#!/usr/bin/env python3
"""A worker whose log buffer is never emptied: a user reads of somebody else's action.

Shows RPW212. Files: shared_log.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse

log: list[str] = []


def compile_files(request: WorkRequest) -> WorkResponse:
    options = good.Options(request.expanded_arguments())
    log.extend(f"note: compiled {path}\n" for path in options.inputs)
    response = good.compile_files(request)
    response.output = "".join(log)
    return response


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

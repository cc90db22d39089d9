#!/usr/bin/env python3
"""A worker that never recovers from a failed request (bazel#14093).

Shows RPW109. Files: sticky_failure.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse

broken = False


def compile_files(request: WorkRequest) -> WorkResponse:
    global broken  # noqa: PLW0603 - the bug on show
    if broken:
        raise rpw_worker.ToolError("the compiler is in an inconsistent state")
    broken = True
    response = good.compile_files(request)
    broken = False  # not reached when the line above raises
    return response


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

#!/usr/bin/env python3
"""A tool that keeps a log beside its output, or at ``--log=PATH``.

Shows RPW208. Files: writes_elsewhere.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402, PTH123 - imports follow the bytecode switch; pathlib is slow
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse

log = rpw_worker.take_value(sys.argv, "--log", "")


def compile_files(request: WorkRequest) -> WorkResponse:
    output = good.Options(request.expanded_arguments()).output
    response = good.compile_files(request)
    with open(log or request.resolve(f"{output}.log"), "a") as file:
        file.write("compiled\n")
    return response


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

#!/usr/bin/env python3
"""A tool whose output names its process, which no run repeats, and counts requests, which is a leak.

With ``--factor=directory-order`` the first line lists the input folder instead.

Shows RPW202. Files: counts_beside_pid.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402, PTH208 - imports follow the bytecode switch; pathlib is slow
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import os

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse

served = 0
factor = rpw_worker.take_value(sys.argv, "--factor", "")


def compile_files(request: WorkRequest) -> WorkResponse:
    global served  # noqa: PLW0603 - the bug
    served += 1
    response = good.compile_files(request)
    options = good.Options(request.expanded_arguments())
    first = f"process {os.getpid()}"
    if factor == "directory-order":
        first = " ".join(os.listdir(request.resolve("src")))
    good.write_output(request, options.output, f"{first}\nrequest {served}\n{options.header}\n")
    return response


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

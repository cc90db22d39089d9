#!/usr/bin/env python3
"""A worker in which two earlier requests are guilty together: one switches a mode on, another fills it.

Shows RPW202. Files: joint_leak.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse

seen: set[str] = set()


def compile_files(request: WorkRequest) -> WorkResponse:
    arguments = request.expanded_arguments()
    header = good.Options(arguments).header
    if {"open", "fill"} <= seen and header not in ("open", "fill"):
        arguments += ["--header", "polluted"]
    seen.add(header)
    request.arguments = arguments
    return good.compile_files(request)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

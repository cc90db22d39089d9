#!/usr/bin/env python3
"""A tool that does something else when it is no worker.

Shows RPW205. Files: two_ways.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse


def compile_files(request: WorkRequest) -> WorkResponse:
    if "--persistent_worker" not in sys.argv:
        request.arguments = [*request.expanded_arguments(), "--header", "built by hand"]
    return good.compile_files(request)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

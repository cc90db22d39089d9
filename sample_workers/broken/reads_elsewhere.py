#!/usr/bin/env python3
"""A tool that reads a file nobody declared: ``--style=PATH``.

Shows RPW207. Files: reads_elsewhere.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402, PTH123 - imports follow the bytecode switch; pathlib is slow
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse

style = rpw_worker.take_value(sys.argv, "--style", "/tmp/style.txt")


def compile_files(request: WorkRequest) -> WorkResponse:
    try:
        with open(style) as file:
            header = file.read().strip()
    except OSError:
        header = "default style"
    request.arguments = [*request.expanded_arguments(), "--header", header]
    return good.compile_files(request)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

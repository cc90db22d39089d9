#!/usr/bin/env python3
"""A worker that reads ``src/style.txt`` once, at start-up; it has to be marked as a tool input.

Shows RPW401. Files: unmarked_tool.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402, PTH110, PTH123 - imports follow the bytecode switch; pathlib is slow
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import os

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse

style = "no style"
if os.path.exists("src/style.txt"):
    with open("src/style.txt") as file:
        style = file.read().strip()


def compile_files(request: WorkRequest) -> WorkResponse:
    request.arguments = [*request.expanded_arguments(), "--header", style]
    return good.compile_files(request)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

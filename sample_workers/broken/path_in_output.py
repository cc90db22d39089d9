#!/usr/bin/env python3
"""A tool that writes where it ran into its output.

Shows RPW210. Files: path_in_output.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402, PTH109 - imports follow the bytecode switch; pathlib is slow
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import os

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse


def compile_files(request: WorkRequest) -> WorkResponse:
    request.arguments = [*request.expanded_arguments(), "--header", f"built in {os.getcwd()}"]
    return good.compile_files(request)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

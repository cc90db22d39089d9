#!/usr/bin/env python3
"""A tool that normalises its inputs in place.

Shows RPW206. Files: edits_input.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402, PTH108, PTH123 - imports follow the bytecode switch; pathlib is slow
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import os

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse


def compile_files(request: WorkRequest) -> WorkResponse:
    options = good.Options(request.expanded_arguments())
    response = good.compile_files(request)
    for path in options.inputs:
        text = rpw_worker.read_file(request, path)
        os.unlink(request.resolve(path))
        with open(request.resolve(path), "wb") as file:
            file.write(text.strip() + b"\n\n")
    return response


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

#!/usr/bin/env python3
"""A tool that writes the end of its output in a thread that outlives the response.

Shows RPW216. Files: late_writer.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import threading

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse

DELAY = 0.03


def compile_files(request: WorkRequest) -> WorkResponse:
    response = good.compile_files(request)
    path = request.resolve(good.Options(request.expanded_arguments()).output)
    timer = threading.Timer(DELAY, flush, [path])
    timer.start()
    return response


def flush(path: str) -> None:
    with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123 - pathlib is slow
        file.write("")
        file.truncate()


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

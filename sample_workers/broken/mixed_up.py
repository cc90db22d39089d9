#!/usr/bin/env python3
"""A multiplex worker that keeps the current request in a global.

Shows RPW111. Files: mixed_up.py, good.py, multiplex.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import threading
import time

import good
import multiplex
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse

current: WorkRequest
lock = threading.Lock()


def compile_files(request: WorkRequest) -> WorkResponse:
    global current  # noqa: PLW0603 - the bug on show
    current = request
    time.sleep(0.05)
    with lock:
        response = good.compile_files(current)
        response.output = f"compiled with {current.arguments}\n"
    return response


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files, serve=multiplex.serve))

#!/usr/bin/env python3
"""A multiplex worker whose threads share their parsed options.

Shows RPW213. Files: shared_options.py, good.py, multiplex.py, rpw_worker.py
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

shared: list[str] = []
lock = threading.Lock()


def compile_files(request: WorkRequest) -> WorkResponse:
    header = good.Options(request.expanded_arguments()).header
    shared.append(header)
    time.sleep(0.05)
    try:
        with lock:
            request.arguments += ["--header", "+".join(shared)]
            return good.compile_files(request)
    finally:
        shared.remove(header)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files, serve=multiplex.serve))

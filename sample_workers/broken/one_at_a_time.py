#!/usr/bin/env python3
"""A multiplex worker that holds a lock while it works: no two requests overlap.

Shows RPW117, as an information.

Files: one_at_a_time.py, good.py, multiplex.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import threading

import good
import multiplex
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse

_lock = threading.Lock()


def compile_files(request: WorkRequest) -> WorkResponse:
    with _lock:
        return good.compile_files(request)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files, serve=multiplex.serve))

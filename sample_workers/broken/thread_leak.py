#!/usr/bin/env python3
"""A worker that makes a thread for each request and leaves it waiting.

Shows RPW303. Files: thread_leak.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import threading

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse


def compile_files(request: WorkRequest) -> WorkResponse:
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    return good.compile_files(request)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

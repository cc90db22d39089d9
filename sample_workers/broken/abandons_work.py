#!/usr/bin/env python3
"""A multiplex worker that gives a request up in mid-work and never answers it.

Shows RPW110. Files: abandons_work.py, good.py, multiplex.py, rpw_worker.py
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

_UNTIL_WORK, _WORK = 0.05, 0.15  # seconds


def compile_files(request: WorkRequest) -> WorkResponse:
    time.sleep(_UNTIL_WORK)
    request.checkpoint()  # cancelled as early as this, it is answered
    time.sleep(_WORK)
    if request.cancelled:
        threading.Event().wait()
    return good.compile_files(request)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files, serve=multiplex.serve))

#!/usr/bin/env python3
"""A worker that starts a helper process for each request and never ends it.

Shows RPW112. Files: orphans.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import subprocess

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse

helpers = []


def compile_files(request: WorkRequest) -> WorkResponse:
    helpers.append(subprocess.Popen(["sleep", "600"]))
    return good.compile_files(request)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

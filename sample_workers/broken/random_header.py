#!/usr/bin/env python3
"""A tool whose result is another one each time.

Shows RPW201. Files: random_header.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import uuid

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse


def compile_files(request: WorkRequest) -> WorkResponse:
    request.arguments = [*request.expanded_arguments(), "--header", uuid.uuid4().hex]
    return good.compile_files(request)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

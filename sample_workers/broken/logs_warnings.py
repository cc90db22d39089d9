#!/usr/bin/env python3
"""A tool that prints its warnings to stderr, where only a one-shot run shows them.

Shows RPW218. Files: logs_warnings.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse


def compile_files(request: WorkRequest) -> WorkResponse:
    for path in good.Options(request.expanded_arguments()).inputs:
        sys.stderr.write(f"{path}: warning: the text has no title\n")
    return good.compile_files(request)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

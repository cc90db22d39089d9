#!/usr/bin/env python3
"""A multiplex worker that works in its working directory, whatever folder a request names.

Shows RPW116. With ``--half`` it reads in the folder of the request, and writes outside of it.

Files: ignores_sandbox.py, good.py, multiplex.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

from pathlib import Path

import good
import multiplex
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse

is_half = rpw_worker.take_flag(sys.argv, "--half")


class Outside(WorkRequest):
    def resolve(self, path: str) -> str:
        return super().resolve(path) if is_half and not path.startswith("out/") else path


def compile_files(request: WorkRequest) -> WorkResponse:
    request.__class__ = Outside
    Path("out").mkdir(exist_ok=True)
    return good.compile_files(request)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files, serve=multiplex.serve))

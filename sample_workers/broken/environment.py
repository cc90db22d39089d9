#!/usr/bin/env python3
"""A tool whose result follows its surroundings: ``--factor=NAME`` picks what of them.

Shows RPW209. Files: environment.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402, PTH111, PTH116, PTH208 - imports follow the bytecode switch; pathlib is slow
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import os
import socket
import time

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse

FACTORS = {
    "clock": lambda: str(time.gmtime().tm_year),
    "TZ": lambda: time.strftime("%Z"),
    "locale": lambda: os.environ.get("LANG", "C"),
    "umask": lambda: str(os.umask(0o022)),
    "hash-seed": lambda: " ".join({f"word{number}" for number in range(20)}),
    "hostname": socket.gethostname,
    "cpu-count": lambda: str(len(os.sched_getaffinity(0))),
    "user": lambda: os.environ.get("USER", "nobody"),
    "home": lambda: os.path.expanduser("~"),
    "directory-order": lambda: " ".join(os.listdir("src")),
    "mtime": lambda: str(int(os.stat(__file__).st_mtime)),
}
factor = rpw_worker.take_value(sys.argv, "--factor", "TZ")


def compile_files(request: WorkRequest) -> WorkResponse:
    request.arguments = [*request.expanded_arguments(), "--header", FACTORS[factor]()]
    return good.compile_files(request)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

#!/usr/bin/env python3
"""A tool that keeps an output whose last line has the right digest, whatever it was made of.

Shows RPW211. Files: keeps_sound_output.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402, PTH123 - imports follow the bytecode switch; pathlib is slow
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import hashlib

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse


def compile_files(request: WorkRequest) -> WorkResponse:
    output = good.Options(request.expanded_arguments()).output
    return WorkResponse() if is_sound(request.resolve(output)) else good.compile_files(request)


def is_sound(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            text, _, digest = file.read().rpartition(b"sha256 ")
    except OSError:
        return False
    return digest.strip().decode() == hashlib.sha256(text).hexdigest()


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

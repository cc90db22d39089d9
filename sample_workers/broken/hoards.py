#!/usr/bin/env python3
"""A worker that keeps something for each new content, or loses its way after hundreds of requests.

Shows RPW301: ``--keeps=memory`` (a warning). ``--keeps=descriptors``: RPW302. ``--at=N``: ends at its
N-th request (RPW103), with ``--changes`` answers otherwise from then on (RPW202).

``--sawtooth=N`` is no bug: it keeps memory for each request, and gives all of it back every N requests.

Files: hoards.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import hashlib
import mmap
import os

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse

_KEPT_BYTES = 64 << 10

keeps = rpw_worker.take_value(sys.argv, "--keeps", "")
turning_point = int(rpw_worker.take_value(sys.argv, "--at", "0"))
sawtooth = int(rpw_worker.take_value(sys.argv, "--sawtooth", "0"))
changes = rpw_worker.take_flag(sys.argv, "--changes")
kept: dict[object, object] = {}
served = 0


def block() -> mmap.mmap:
    """Memory that goes back to the system at once when it is dropped, as a test needs it."""
    memory = mmap.mmap(-1, _KEPT_BYTES)
    memory.write(b"x" * _KEPT_BYTES)
    return memory


def keep(request: WorkRequest, options: good.Options) -> None:
    contents = b"".join(rpw_worker.read_file(request, each) for each in options.inputs)
    digest = hashlib.sha256(contents).digest()
    if digest not in kept:
        kept[digest] = block() if keeps == "memory" else os.open(os.devnull, os.O_RDONLY)


def compile_files(request: WorkRequest) -> WorkResponse:
    global served  # noqa: PLW0603 - that is the point
    served += 1
    options = good.Options(request.expanded_arguments())
    if keeps:
        keep(request, options)
    if sawtooth:
        kept[served] = block()
        if served % sawtooth == 0:
            kept.clear()
    if turning_point and served >= turning_point:
        if not changes:
            os._exit(3)
        request.arguments = [*request.expanded_arguments(), "--header", "late"]
    return good.compile_files(request)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

#!/usr/bin/env python3
"""A worker that takes the digests in a request for hex, as Bazel sends them.

Other servers send raw bytes, a Digest message or nothing.

Shows RPW209. Files: decodes_digests.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import good
import rpw_worker
from rpw_worker import WorkRequest

cache: dict[bytes, bytes] = {}
read_file = rpw_worker.read_file


def read_cached(request: WorkRequest, path: str) -> bytes:
    if path not in request.inputs:
        return read_file(request, path)
    key = bytes.fromhex(request.inputs[path].decode())
    if key not in cache:
        cache[key] = read_file(request, path)
    return cache[key]


rpw_worker.read_file = read_cached


if __name__ == "__main__":
    sys.exit(rpw_worker.main(good.compile_files))

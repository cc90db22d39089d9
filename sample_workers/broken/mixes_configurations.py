#!/usr/bin/env python3
"""A tool that keeps one result for each path, and gives it for every content that it has seen there.

Two configurations of one action have the same paths if these are mapped.

Shows RPW202. Files: mixes_configurations.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import good
import rpw_worker
from rpw_worker import WorkRequest

seen: set[tuple[str, bytes]] = set()
newest: dict[str, str] = {}
translate = good.translate


def translate_or_remember(request: WorkRequest, path: str) -> str:
    content = rpw_worker.read_file(request, path)
    if (path, content) not in seen:
        seen.add((path, content))
        newest[path] = translate(request, path)
    return newest[path]


good.translate = translate_or_remember


if __name__ == "__main__":
    sys.exit(rpw_worker.main(good.compile_files))

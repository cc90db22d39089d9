#!/usr/bin/env python3
"""A JSON worker that ends no line: Bazel sees where an object ends, other servers wait for the newline.

Shows RPW115, as a warning. Files: no_newline.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import good
import rpw_worker
from rpw_worker import WorkResponse


class EndlessLineCodec(rpw_worker.JsonCodec):
    def encode(self, response: WorkResponse) -> bytes:
        return super().encode(response).rstrip()


rpw_worker.JsonCodec = EndlessLineCodec


if __name__ == "__main__":
    sys.exit(rpw_worker.main(good.compile_files))

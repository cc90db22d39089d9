#!/usr/bin/env python3
"""A worker that refuses what it does not know: any field added to the protocol later breaks it.

Shows RPW107. Files: strict_fields.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import good
import rpw_worker
from rpw_worker import WorkRequest

KNOWN = range(1, 7)


class StrictCodec(rpw_worker.ProtoCodec):
    def decode(self, payload: bytes) -> WorkRequest:
        for number, _ in rpw_worker._fields(payload):
            if number not in KNOWN:
                raise ValueError(f"unknown field {number}")
        return super().decode(payload)


rpw_worker.ProtoCodec = StrictCodec


if __name__ == "__main__":
    sys.exit(rpw_worker.main(good.compile_files))

#!/usr/bin/env python3
"""A worker that refuses what it does not know: any field added to the protocol later breaks it.

Shows RPW107. Files: strict_fields.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import json

import good
import rpw_worker
from rpw_worker import WorkRequest

KNOWN = range(1, 7)
KNOWN_NAMES = {"arguments", "inputs", "requestId", "cancel", "verbosity", "sandboxDir"}


class StrictCodec(rpw_worker.ProtoCodec):
    def decode(self, payload: bytes) -> WorkRequest:
        for number, _ in rpw_worker._fields(payload):
            if number not in KNOWN:
                raise ValueError(f"unknown field {number}")
        return super().decode(payload)


class StrictJsonCodec(rpw_worker.JsonCodec):
    def decode(self, text: bytes) -> WorkRequest:
        unknown = json.loads(text).keys() - KNOWN_NAMES
        if unknown:
            raise ValueError(f"unknown field {unknown.pop()!r}")
        return super().decode(text)


rpw_worker.ProtoCodec = StrictCodec
rpw_worker.JsonCodec = StrictJsonCodec


if __name__ == "__main__":
    sys.exit(rpw_worker.main(good.compile_files))

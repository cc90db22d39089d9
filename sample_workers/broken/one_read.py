#!/usr/bin/env python3
"""A worker that takes whatever one read of stdin yields for one whole request.

Shows RPW118: a part of a request ends it. With ``--lenient`` it drops what it can't read and waits
for more instead.

Files: one_read.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402, SLF001 - imports follow the bytecode switch; the codec is what is broken
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

from io import BufferedReader

import good
import rpw_worker
from rpw_worker import WorkRequest

is_lenient = rpw_worker.take_flag(sys.argv, "--lenient")


def read_once(
    codec: rpw_worker.ProtoCodec | rpw_worker.JsonCodec, stream: BufferedReader
) -> WorkRequest | None:
    while chunk := stream.read1(1 << 16):
        try:
            if isinstance(codec, rpw_worker.JsonCodec):
                return codec.decode(chunk)
            size, start = rpw_worker._varint_at(chunk, 0)
            return codec.decode(chunk[start : start + size])
        except ValueError:
            if not is_lenient:
                raise
    return None


rpw_worker.ProtoCodec.read = read_once
rpw_worker.JsonCodec.read = read_once


if __name__ == "__main__":
    sys.exit(rpw_worker.main(good.compile_files))

#!/usr/bin/env python3
"""A multiplex worker that forgets what it read beyond the end of a request.

Shows RPW118. Files: drops_rest.py, good.py, multiplex.py, rpw_worker.py
"""

# ruff: noqa: E402, SLF001 - imports follow the bytecode switch; the codec is what is broken
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

from io import BufferedReader

import good
import multiplex
import rpw_worker
from rpw_worker import WorkRequest


class ForgetfulCodec(rpw_worker.ProtoCodec):
    def read(self, stream: BufferedReader) -> WorkRequest | None:
        data = b""
        while chunk := stream.read1(1 << 16):
            data += chunk
            if data[-1] >= 0x80 and len(data) < 3:
                continue  # only part of the length is here
            size, start = rpw_worker._varint_at(data, 0)
            if len(data) >= start + size:
                return self.decode(data[start : start + size])
        return None


rpw_worker.ProtoCodec = ForgetfulCodec


if __name__ == "__main__":
    sys.exit(rpw_worker.main(good.compile_files, serve=multiplex.serve))

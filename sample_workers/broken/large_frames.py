#!/usr/bin/env python3
"""A worker whose lengths and ids have too few bits, which only large messages show.

Shows RPW113. ``--bug=request``: requests above 2 MiB, ``--bug=answer``: answers above 16 KiB,
``--bug=inputs``: more than 1000 listed inputs, ``--bug=id``: request ids above 255.

Files: large_frames.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402, SLF001 - imports follow the bytecode switch; the codec is what is broken
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

from io import BufferedReader

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse

_TWO_BYTES, _THREE_BYTES = 1 << 14, 1 << 21
_MOST_INPUTS = 1000

bug = rpw_worker.take_value(sys.argv, "--bug", "request")


class NarrowCodec(rpw_worker.ProtoCodec):
    def read(self, stream: BufferedReader) -> WorkRequest | None:
        size = rpw_worker._read_varint(stream)
        if size is None:
            return None
        return self.decode(stream.read(size % _THREE_BYTES if bug == "request" else size))

    def decode(self, payload: bytes) -> WorkRequest:
        request = super().decode(payload)
        if bug == "inputs":
            request.inputs = dict([*request.inputs.items()][:_MOST_INPUTS])
            if len(request.inputs) == _MOST_INPUTS:
                request.arguments = []
        if bug == "id":
            bytes([request.request_id])
        return request

    def encode(self, response: WorkResponse) -> bytes:
        data = super().encode(response)
        if bug == "answer" and len(data) >= _TWO_BYTES:
            size, start = rpw_worker._varint_at(data, 0)
            return rpw_worker.encode_varint(size % _TWO_BYTES) + data[start:]
        return data


rpw_worker.ProtoCodec = NarrowCodec


if __name__ == "__main__":
    sys.exit(rpw_worker.main(good.compile_files))

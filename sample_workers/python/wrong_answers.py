#!/usr/bin/env python3
"""A worker that does its work well and breaks the protocol.

What it shows, by the start-up argument ``--wrong=NAME``:

* ``request-id``: the response carries another request_id;
* ``two-responses``: every response is sent twice;
* ``early-response``: a response before there is any request;
* ``was-cancelled``: says that it cancelled a request which nobody cancelled;
* ``garbage``: bytes that are no frame in either encoding, or broken JSON to one who expects JSON;
* ``huge-length``: a length prefix of a terabyte, or an endless JSON text.

Files: wrong_answers.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import good
import rpw_worker
from rpw_worker import Channel, ProtoCodec, WorkRequest, WorkResponse, encode_varint

TERABYTE = 1 << 40


class WrongIdChannel(Channel):
    def write(self, response: WorkResponse) -> None:
        response.request_id += 41
        super().write(response)


class TwoResponsesChannel(Channel):
    def write(self, response: WorkResponse) -> None:
        frame = self.codec.encode(response)
        self.send(frame + frame)  # one write, so that both are there at once


class EarlyResponseChannel(Channel):
    greeted = False

    def read(self) -> WorkRequest | None:
        if not self.greeted:
            self.write(WorkResponse(output="ready\n"))
            self.greeted = True
        return super().read()


class WasCancelledChannel(Channel):
    def write(self, response: WorkResponse) -> None:
        response.was_cancelled = True
        super().write(response)


class GarbageChannel(Channel):
    def write(self, response: WorkResponse) -> None:  # noqa: ARG002 - not sent, that is the point
        self.send(b"\x03\xff\xff\xff" if isinstance(self.codec, ProtoCodec) else b"{zero}\n")


class HugeLengthChannel(Channel):
    def write(self, response: WorkResponse) -> None:  # noqa: ARG002 - not sent, that is the point
        if isinstance(self.codec, ProtoCodec):
            self.send(encode_varint(TERABYTE) + b"\x12")
            return
        self.send(b'{"output": "')
        while True:
            self.send(b"x" * (1 << 16))


CHANNELS = {
    "request-id": WrongIdChannel,
    "two-responses": TwoResponsesChannel,
    "early-response": EarlyResponseChannel,
    "was-cancelled": WasCancelledChannel,
    "garbage": GarbageChannel,
    "huge-length": HugeLengthChannel,
}

if __name__ == "__main__":
    wrong = rpw_worker.take_value(sys.argv, "--wrong", "request-id")
    sys.exit(rpw_worker.main(good.compile_files, channel_type=CHANNELS[wrong]))

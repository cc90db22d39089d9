#!/usr/bin/env python3
"""A worker whose process ends in the middle of a request, with a last word on stderr.

What it shows, by start-up arguments: ``--exit-status=N`` (default 1; 0 is a crash too, since no
answer came), a signal as a negative number such as ``--exit-status=-9``, ``--after=N`` requests
answered well before that (default 0), and ``--half-frame``, which sends the first half of the
response first.

Files: crashing.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import os

import good
import rpw_worker
from rpw_worker import Channel, WorkResponse

status = int(rpw_worker.take_value(sys.argv, "--exit-status", "1"))
good_requests = int(rpw_worker.take_value(sys.argv, "--after", "0"))
half_frame = rpw_worker.take_flag(sys.argv, "--half-frame")


def crash() -> None:
    print("crashing.py: the native library gave up", file=sys.stderr, flush=True)
    if status < 0:
        os.kill(os.getpid(), -status)
    os._exit(status)  # unlike sys.exit, nobody can catch it


class CrashingChannel(Channel):
    answered = 0

    def write(self, response: WorkResponse) -> None:
        self.answered += 1
        if self.answered <= good_requests:
            super().write(response)
            return
        if half_frame:
            response.output = "the second half of this text never comes"
            frame = self.codec.encode(response)
            self.send(frame[: len(frame) // 2])
        crash()


if __name__ == "__main__":
    sys.exit(rpw_worker.main(good.compile_files, channel_type=CrashingChannel))

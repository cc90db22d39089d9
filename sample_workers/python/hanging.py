#!/usr/bin/env python3
"""A worker that does what a request asks for and never answers it (bazel#10288).

What it shows, by start-up arguments: ``--after=N`` requests answered well before that (default
0), and ``--ignore-sigterm``, with which only SIGKILL ends it.

Files: hanging.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import signal

import good
import rpw_worker
from rpw_worker import Channel, WorkResponse

good_requests = int(rpw_worker.take_value(sys.argv, "--after", "0"))
ignore_sigterm = rpw_worker.take_flag(sys.argv, "--ignore-sigterm")


class HangingChannel(Channel):
    answered = 0

    def write(self, response: WorkResponse) -> None:
        self.answered += 1
        while self.answered > good_requests:
            signal.pause()
        super().write(response)


if __name__ == "__main__":
    if ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(rpw_worker.main(good.compile_files, channel_type=HangingChannel))

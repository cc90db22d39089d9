#!/usr/bin/env python3
"""A worker that prints to the protocol stream.

What it shows: a banner on stdout before the first response, as launchers and runtimes print it
(rules_java#158). With the start-up argument ``--between`` the start is silent, and every response
but the first has a line of text before it (bazel#8505).

Files: noisy.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import good
import rpw_worker
from rpw_worker import Channel, WorkResponse

BANNER = "Welcome to the tiny compiler"
WARNING = "warning: the tiny compiler is up"


class NoisyChannel(Channel):
    responses = 0

    def write(self, response: WorkResponse) -> None:
        if self.responses:
            self.send(f"{WARNING}\n".encode())
        self.responses += 1
        super().write(response)


if __name__ == "__main__":
    if rpw_worker.take_flag(sys.argv, "--between"):
        sys.exit(rpw_worker.main(good.compile_files, channel_type=NoisyChannel))
    print(BANNER, flush=True)  # before `main` has taken stdout for the protocol
    sys.exit(rpw_worker.main(good.compile_files))

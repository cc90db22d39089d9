#!/usr/bin/env python3
"""A worker that writes what it does into its output when a request asks for verbosity.

Shows RPW209. With ``--stdout`` it prints to stdout instead, between the responses.

Files: talkative.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import good
import rpw_worker
from rpw_worker import Channel, WorkRequest, WorkResponse

to_stdout = rpw_worker.take_flag(sys.argv, "--stdout")
verbosity = 0


class TalkativeChannel(Channel):
    def write(self, response: WorkResponse) -> None:
        if to_stdout and verbosity:
            self.send(b"debug: one request done\n")
        super().write(response)


def compile_files(request: WorkRequest) -> WorkResponse:
    global verbosity  # noqa: PLW0603 - the channel asks for it
    verbosity = request.verbosity
    if verbosity and not to_stdout:
        request.arguments = [*request.expanded_arguments(), "--header", f"verbosity {verbosity}"]
    return good.compile_files(request)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files, channel_type=TalkativeChannel))

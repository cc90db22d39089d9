#!/usr/bin/env python3
"""A worker that can't wait: after two seconds without work it ends, or forgets how to compile.

Shows RPW103; with ``--forgets`` RPW202.

Files: impatient.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import os
import threading

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse

#: A busy machine may well keep a worker waiting for a second.
IDLE_SECONDS = 1.8

forgets = rpw_worker.take_flag(sys.argv, "--forgets")
prefixes: list[str] = []


class Watchdog:
    """Calls ``clean_up`` when no request came for a while."""

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None

    def reset(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(IDLE_SECONDS, clean_up)
        self._timer.daemon = True
        self._timer.start()


def clean_up() -> None:
    if not forgets:
        os._exit(0)
    prefixes.append("idle ")


watchdog = Watchdog()


def compile_files(request: WorkRequest) -> WorkResponse:
    watchdog.reset()
    if prefixes:
        request.arguments = [*request.expanded_arguments(), "--header", "forgotten"]
    return good.compile_files(request)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

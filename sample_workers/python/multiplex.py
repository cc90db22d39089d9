#!/usr/bin/env python3
"""A well-behaved multiplex worker: overlapping requests, sandbox folders and cancellation.

What it shows: one thread a request; every response written whole under a lock; files found below
the request's ``sandbox_dir``; and a cancel that only marks the request. The request's own thread
answers, at its next checkpoint, so there is exactly one answer and nothing is written to a folder
after it.

Files: multiplex.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import threading
import time

import good
import rpw_worker
from rpw_worker import Channel, WorkRequest

_GRACE_SECONDS = 2.0


class Multiplexer:
    """The requests under way on one channel, by id."""

    def __init__(self, handle: rpw_worker.Handler, channel: Channel) -> None:
        self._handle = handle
        self._channel = channel
        self._lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._running: dict[int, tuple[WorkRequest, threading.Thread]] = {}

    def serve(self) -> None:
        """Start and cancel requests until stdin ends, then give up those that are left."""
        while (request := self._channel.read()) is not None:
            if request.cancel:
                self._cancel(request.request_id)
            else:
                self._start(request)
        self._give_up()

    def _start(self, request: WorkRequest) -> None:
        # A daemon, so that a tool that never comes to a checkpoint can't keep the process alive.
        thread = threading.Thread(target=self._run, args=(request,), daemon=True)
        with self._lock:
            self._running[request.request_id] = (request, thread)
        thread.start()

    def _run(self, request: WorkRequest) -> None:
        response = rpw_worker.answer(self._handle, request)
        with self._lock:
            # Gone before the answer is out: the client may use the id again as soon as it reads it.
            del self._running[request.request_id]
        with self._write_lock:
            self._channel.write(response)

    def _cancel(self, request_id: int) -> None:
        """Mark a running request. One that is answered already is not here any more: ignored."""
        with self._lock:
            if request_id in self._running:
                self._running[request_id][0].cancelled = True

    def _give_up(self) -> None:
        """Cancel what is left and wait a little for it: nobody reads the answers."""
        with self._lock:
            left = list(self._running.values())
        for request, _ in left:
            request.cancelled = True
        deadline = time.monotonic() + _GRACE_SECONDS
        for _, thread in left:
            thread.join(max(0.0, deadline - time.monotonic()))


def serve(handle: rpw_worker.Handler, channel: Channel) -> None:
    """The multiplex counterpart of `rpw_worker.serve`."""
    Multiplexer(handle, channel).serve()


if __name__ == "__main__":
    sys.exit(rpw_worker.main(good.compile_files, serve=serve))

#!/usr/bin/env python3
"""A multiplex worker that stands a cancel only if nothing else happens.

Shows RPW110. ``--bug=neighbours``: a cancel hits all requests under way. ``--bug=leftovers``: the next
request of another action also reads the inputs of the cancelled one. ``--bug=twice``: a request that is
cancelled during its work is answered at once, and again at its end. ``--bug=unfinished`` is RPW106: the
worker does not end while requests are under way.

Files: cancels_badly.py, good.py, multiplex.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch; the multiplexer is what is broken
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import threading
import time

import good
import multiplex
import rpw_worker
from rpw_worker import Channel, WorkRequest, WorkResponse

#: A request takes this long, so that a cancel finds it at work.
SECONDS = 0.1

bug = rpw_worker.take_value(sys.argv, "--bug", "neighbours")
leftovers: list[str] = []


class BadMultiplexer(multiplex.Multiplexer):
    def _cancel(self, request_id: int) -> None:
        with self._lock:
            found = self._running.get(request_id)
            others = [each for each, _ in self._running.values()]
        if found is None:
            return
        if bug == "leftovers":
            leftovers.extend(good.Options(found[0].expanded_arguments()).inputs)
        elif bug == "twice":
            with self._write_lock:
                self._channel.write(WorkResponse(request_id=request_id, was_cancelled=True))
        for each in others if bug == "neighbours" else [found[0]] * (bug != "twice"):
            each.cancelled = True

    def _give_up(self) -> None:
        with self._lock:
            is_busy = bool(self._running)
        if is_busy and bug == "unfinished":
            threading.Event().wait()
        super()._give_up()


def compile_files(request: WorkRequest) -> WorkResponse:
    options = good.Options(request.expanded_arguments())
    for path in leftovers:
        if path not in options.inputs:
            request.arguments = [*request.arguments, "--header", path]
    time.sleep(SECONDS)
    return good.compile_files(request)


def serve(handle: rpw_worker.Handler, channel: Channel) -> None:
    BadMultiplexer(handle, channel).serve()


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files, serve=serve))

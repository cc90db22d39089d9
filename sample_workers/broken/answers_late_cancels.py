#!/usr/bin/env python3
"""A multiplex worker that answers a cancel request even if its request was answered before.

Shows RPW110. Files: answers_late_cancels.py, good.py, multiplex.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import good
import multiplex
import rpw_worker
from rpw_worker import WorkResponse


class Eager(multiplex.Multiplexer):
    def _cancel(self, request_id: int) -> None:
        if request_id in self._running:
            super()._cancel(request_id)
        else:
            self._channel.write(WorkResponse(request_id=request_id, was_cancelled=True))


def serve(handle: rpw_worker.Handler, channel: rpw_worker.Channel) -> None:
    Eager(handle, channel).serve()


if __name__ == "__main__":
    sys.exit(rpw_worker.main(good.compile_files, serve=serve))

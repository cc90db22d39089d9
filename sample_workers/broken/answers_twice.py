#!/usr/bin/env python3
"""A worker that answers a cancel request at once, and the cancelled request as well.

Shows RPW110. Files: answers_twice.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import good
import rpw_worker
from rpw_worker import WorkResponse


def serve(handle: rpw_worker.Handler, channel: rpw_worker.Channel) -> None:
    answered = set()
    while (request := channel.read()) is not None:
        if request.cancel:
            if request.request_id in answered:
                channel.write(WorkResponse(request_id=request.request_id, was_cancelled=True))
            continue
        answered.add(request.request_id)
        channel.write(rpw_worker.answer(handle, request))


if __name__ == "__main__":
    sys.exit(rpw_worker.main(good.compile_files, serve=serve))

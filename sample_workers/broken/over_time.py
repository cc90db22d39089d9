#!/usr/bin/env python3
"""A worker that is right at first: ``--bug=NAME`` shows at its request number ``--at=N``.

``crash`` ends the process, ``answer`` adds a line to the output from then on and ``once`` only then,
``stray`` leaves a file, ``edits`` rewrites an input, ``job`` starts a process with every request, and
``failing-jobs`` with every request that fails.

Shows RPW103. Files: over_time.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import os
import subprocess

import good
import rpw_worker
from rpw_worker import ToolError, WorkRequest, WorkResponse

served = 0
helpers = []
bug = rpw_worker.take_value(sys.argv, "--bug", "")
start = int(rpw_worker.take_value(sys.argv, "--at", "1"))


def compile_files(request: WorkRequest) -> WorkResponse:
    global served  # noqa: PLW0603 - the bug
    served += 1
    try:
        response = good.compile_files(request)
    except ToolError:
        if bug == "failing-jobs":
            helpers.append(subprocess.Popen(["sleep", "600"]))
        raise
    if served >= start:
        misbehave(request)
    return response


def misbehave(request: WorkRequest) -> None:
    options = good.Options(request.expanded_arguments())
    if bug == "crash":
        print(f"giving up at request {served}", file=sys.stderr, flush=True)
        os._exit(7)
    elif bug == "answer" or (bug == "once" and served == start):
        append(request.resolve(options.output), "one line too many\n")
    elif bug == "stray":
        append(request.resolve(f"{options.output}.cache"), "left behind\n")
    elif bug == "edits":
        append(request.resolve(options.inputs[0]), "edited\n")
    elif bug == "job":
        helpers.append(subprocess.Popen(["sleep", "600"]))


def append(path: str, text: str) -> None:
    with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123 - pathlib is slow
        file.write(text)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

#!/usr/bin/env python3
"""A worker whose state reaches its outputs: the bug is one default argument.

What it shows: ``headers`` is made once for the process, so the header of every earlier request
comes back in later ones. Alone or run once, each action is right; after another one that has a
header it is not.

Files: leaky.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse


def compile_files(
    request: WorkRequest,
    headers: list[str] = [],  # noqa: B006 - the bug on show
) -> WorkResponse:
    arguments = request.expanded_arguments()
    header = good.Options(arguments).header
    if header:
        headers.append(header)
    if headers:
        arguments += ["--header", "\n".join(headers)]
    request.arguments = arguments
    return good.compile_files(request)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

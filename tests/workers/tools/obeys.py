"""A worker that does what its flagfile says: each line is Python, run with ``request`` at hand.

With ``--multiplex`` requests may overlap. A line may start threads: nothing waits for them.
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import multiplex
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse

IS_MULTIPLEX = rpw_worker.take_flag(sys.argv, "--multiplex")


def obey(request: WorkRequest) -> WorkResponse:
    known = {"request": request}
    for line in request.expanded_arguments():
        exec(line, known)
    return WorkResponse()


if __name__ == "__main__":
    serve = multiplex.serve if IS_MULTIPLEX else rpw_worker.serve
    sys.exit(rpw_worker.main(obey, serve=serve))

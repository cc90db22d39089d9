#!/usr/bin/env python3
"""A worker that answers with request_id 0, whatever the request's id is.

Shows RPW104, as a warning: Bazel sends 0 to singleplex workers, other servers may not.

Files: lost_ids.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import good
import rpw_worker
from rpw_worker import WorkResponse


class ForgetfulChannel(rpw_worker.Channel):
    def write(self, response: WorkResponse) -> None:
        response.request_id = 0
        super().write(response)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(good.compile_files, channel_type=ForgetfulChannel))

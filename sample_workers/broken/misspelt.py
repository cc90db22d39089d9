#!/usr/bin/env python3
"""A JSON worker with protobuf's field names in its responses: Bazel ignores them, other readers do not.

Shows RPW114, as a warning. ``--extra``: right names, and one that no WorkResponse has.

Files: misspelt.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import json

import good
import rpw_worker
from rpw_worker import WorkResponse

has_extra = rpw_worker.take_flag(sys.argv, "--extra")


class MisspellingCodec(rpw_worker.JsonCodec):
    def encode(self, response: WorkResponse) -> bytes:
        fields = json.loads(super().encode(response))
        if has_extra:
            fields["durationMs"] = 3
        else:
            fields["exit_code"] = fields.pop("exitCode")
        return json.dumps(fields).encode() + b"\n"


rpw_worker.JsonCodec = MisspellingCodec


if __name__ == "__main__":
    sys.exit(rpw_worker.main(good.compile_files))

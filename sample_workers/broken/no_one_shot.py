#!/usr/bin/env python3
"""A tool that is a worker or nothing.

Shows RPW108. Files: no_one_shot.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import good
import rpw_worker

USAGE = "usage: no_one_shot.py --persistent_worker"


if __name__ == "__main__":
    if "--persistent_worker" not in sys.argv:
        sys.exit(USAGE)
    sys.exit(rpw_worker.main(good.compile_files))

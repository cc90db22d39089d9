#!/usr/bin/env python3
"""A worker that stays after its stdin was closed: a helper thread keeps the process alive.

Shows RPW106. Files: ignores_eof.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402 - imports follow the bytecode switch
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import threading

import good
import rpw_worker


def keep_alive() -> None:
    threading.Event().wait()


if __name__ == "__main__":
    if "--persistent_worker" in sys.argv:
        threading.Thread(target=keep_alive).start()  # not a daemon: the bug on show
    sys.exit(rpw_worker.main(good.compile_files))

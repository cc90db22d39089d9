#!/usr/bin/env python3
"""A tool whose store in HOME is by path: the next worker trusts what an earlier one has stored.

Shows RPW214. Files: trusts_store.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402, PTH105, PTH110, PTH118, PTH123 - imports follow the bytecode switch; pathlib is slow
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import json
import os

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse

STORE = os.path.join(os.environ["HOME"], "translations.json")

translate = good.translate
stored: dict[str, str] = {}
if os.path.exists(STORE):
    with open(STORE, encoding="utf-8") as file:
        stored.update(json.load(file))
fresh: dict[str, str] = {}


def translate_or_load(request: WorkRequest, path: str) -> str:
    if path in stored:
        return stored[path]
    fresh[path] = translate(request, path)
    return fresh[path]


def compile_files(request: WorkRequest) -> WorkResponse:
    response = good.compile_files(request)
    with open(f"{STORE}.new", "w", encoding="utf-8") as file:
        json.dump({**fresh, **stored}, file)
    os.replace(f"{STORE}.new", STORE)
    return response


good.translate = translate_or_load


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))

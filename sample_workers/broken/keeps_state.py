#!/usr/bin/env python3
"""A worker that keeps the header of the request before, in the kind of place that its argument names.

Shows RPW202. Files: keeps_state.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402, PTH110, PTH118, PTH123 - imports follow the bytecode switch; pathlib is slow to load
from __future__ import annotations

import os
import sys

sys.dont_write_bytecode = True

import good
import rpw_worker
from rpw_worker import WorkRequest, WorkResponse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

last: list[str] = []


class Settings:
    header = ""


def in_module_global(header: str) -> str:
    before = "".join(last)
    last[:] = [header]
    return before


def in_class_attribute(header: str) -> str:
    before, Settings.header = Settings.header, header
    return before


def remembering() -> Callable[[str], str]:
    known = ""

    def in_closure(header: str) -> str:
        nonlocal known
        before, known = known, header
        return before

    return in_closure


def in_function_default(header: str, known: list[str] = [""]) -> str:  # noqa: B006 - the bug on show
    before, known[0] = known[0], header
    return before


def in_environment(header: str) -> str:
    before = os.environ.get("LAST_HEADER", "")
    os.environ["LAST_HEADER"] = header
    return before


def in_umask(_header: str) -> str:
    before = os.umask(0o077)
    return "" if before == 0o022 else f"umask {before:o}"


def in_file(header: str) -> str:
    path = os.path.join(os.environ["TMPDIR"], "last-header")
    before = ""
    if os.path.exists(path):
        with open(path) as file:
            before = file.read()
    with open(path, "w") as file:
        file.write(header)
    return before


KEEPERS: dict[str, Callable[[str], str]] = {
    "module-global": in_module_global,
    "class-attribute": in_class_attribute,
    "closure": remembering(),
    "function-default": in_function_default,
    "environment": in_environment,
    "umask": in_umask,
    "file": in_file,
}


def keep_in(kind: str) -> Callable[[WorkRequest], WorkResponse]:
    def compile_files(request: WorkRequest) -> WorkResponse:
        arguments = request.expanded_arguments()
        before = KEEPERS[kind](good.Options(arguments).header or "none")
        request.arguments = [*arguments, "--header", before] if before else arguments
        return good.compile_files(request)

    return compile_files


if __name__ == "__main__":
    place = sys.argv.pop(1) if sys.argv[1:2] and sys.argv[1] in KEEPERS else "module-global"
    sys.exit(rpw_worker.main(keep_in(place)))

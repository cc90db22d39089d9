"""``python -m tests.benchmarks``: measures, prints a table, and writes JSON if asked to."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import FAMILIES
from .figures import Effort, Figure, UnavailableError, table


def main(arguments: list[str] | None = None) -> int:
    """Measures; 0 unless a family could not be measured."""
    options = _parse(arguments)
    found: list[Figure] = []
    skipped: dict[str, str] = {}
    for family in options.only or FAMILIES:
        try:
            for figure in measure(family, options.effort):
                found.append(figure)
                print(table([figure]).splitlines()[-1], file=sys.stderr)
        except UnavailableError as error:
            skipped[family] = str(error)
    print(table(found))
    for family, reason in skipped.items():
        print(f"\n{family}: not measured: {reason}")
    if options.json is not None:
        report = {
            "effort": options.effort.value,
            "machine": _machine(),
            "figures": [figure.as_dict() for figure in found],
            "not_measured": skipped,
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def measure(family: str, effort: Effort) -> Iterator[Figure]:
    """The figures of one family, as they become known.

    Raises:
        UnavailableError: this machine lacks what they need.
    """
    module = importlib.import_module(f"{__package__}.{family}")
    figures: Iterator[Figure] = module.figures(effort)
    return figures


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    effort = parser.add_mutually_exclusive_group()
    for each, text in ((Effort.QUICK, "few samples"), (Effort.SMOKE, "does it run at all")):
        effort.add_argument(
            f"--{each.value}", dest="effort", action="store_const", const=each, help=text
        )
    parser.set_defaults(effort=Effort.FULL)
    parser.add_argument(
        "--only", action="append", choices=FAMILIES, help="measure this family (repeatable)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to FILE too")
    return parser.parse_args(arguments)


def _machine() -> dict[str, Any]:
    import grpc

    return {
        "processors": len(os.sched_getaffinity(0)),
        "load": os.getloadavg(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "grpcio": grpc.__version__,
    }


if __name__ == "__main__":
    sys.exit(main())

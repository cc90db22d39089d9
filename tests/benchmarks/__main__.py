"""``python -m tests.benchmarks``: measures, prints a table, writes JSON or a page's table if asked to."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import FAMILIES
from .figures import Effort, Figure, UnavailableError, summary, table
from .noise import Noise


def main(arguments: list[str] | None = None) -> int:
    """Measures; 0 unless a family could not be measured."""
    options = _parse(arguments)
    found: list[Figure] = []
    skipped: dict[str, str] = {}
    noise = Noise()
    noise.sample()
    for family in (options.only or FAMILIES) * options.runs:
        try:
            for figure in measure(family, options.effort):
                found.append(figure)
                print(table([figure]).splitlines()[-1], file=sys.stderr)
        except UnavailableError as error:
            skipped[family] = str(error)
        noise.sample()
    shown = _shown(found, skipped, options, noise)
    print(shown)
    if options.page is not None:
        _write_into(options.page, options.section, shown)
    if options.json is not None:
        report = {
            "effort": options.effort.value,
            "machine": machine(),
            "noise": noise.as_dict(),
            "figures": [figure.as_dict() for figure in found],
            "not_measured": skipped,
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
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
    parser.add_argument(
        "--runs", type=int, default=1, metavar="N", help="measure N times, and show how they differ"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to FILE too")
    parser.add_argument(
        "--page",
        type=Path,
        metavar="FILE",
        help="replace what FILE, a page, shows of an earlier run",
    )
    parser.add_argument(
        "--section", default="figures", metavar="NAME", help="of the page (default: figures)"
    )
    return parser.parse_args(arguments)


def _shown(
    found: Sequence[Figure],
    skipped: Mapping[str, str],
    options: argparse.Namespace,
    noise: Noise,
) -> str:
    shown = table(found) if options.runs == 1 else summary(found)
    about = ", ".join(f"{name} {value}" for name, value in machine().items())
    missing = "".join(f"\n\nNot measured: {name}: {why}." for name, why in skipped.items())
    return f"{shown}{missing}\n\nEffort {options.effort.value}; {about}.\n{noise.text()}"


def _write_into(page: Path, section: str, shown: str) -> None:
    """Puts the table between the page's markers for a section.

    Raises:
        ValueError: when there are none.
    """
    first, last = f"<!-- {section} -->", f"<!-- end of {section} -->"
    head, begin, rest = page.read_text("utf-8").partition(first)
    _, end, tail = rest.partition(last)
    if not end:
        raise ValueError(f"{page} has no lines {first!r} and {last!r}")
    page.write_text(f"{head}{begin}\n{shown}\n{end}{tail}", encoding="utf-8")


def machine() -> dict[str, Any]:
    """What ran this, and what else it had to do: the load of the last quarter of an hour."""
    import grpc

    return {
        "processors": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[2], 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "grpcio": grpc.__version__,
    }


if __name__ == "__main__":
    sys.exit(main())

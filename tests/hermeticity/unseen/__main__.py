"""Check the unseen workers, and print a table: worker, expected, found, polluters, seconds, starts."""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path

from rpw_fixture.hermeticity.check import Options
from rpw_fixture.hermeticity.findings.codes import CODES, expand
from rpw_fixture.hermeticity.findings.text import render
from tests.hermeticity.unseen.corpus import Sample, compile_java, samples
from tests.hermeticity.unseen.verdict import HEADER, Verdict, judge

_WIDTHS = (32, 15, 44, 5, 7, 6, 0)


def main() -> int:
    """Print a line for each worker, and a sum; returns 1 if one is missed or wrongly accused."""
    options = _options()
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    chosen = [each for each in samples() if re.search(options.match, str(each))]
    _print_row(HEADER)
    verdicts: list[Verdict] = []
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="unseen") as name:
        folder = Path(name)
        has_java = any(each.language == "java" for each in chosen)
        classes = compile_java(folder) if has_java else None
        for seed in options.seeds:
            for each in chosen:
                place = folder / f"{each}-{seed}"
                place.mkdir()
                try:
                    given = _check_options(options, each, seed)
                    verdict = judge(each, place, given, classes)
                except Exception:  # noqa: BLE001 - the other workers are still of interest
                    failed.append(str(each))
                    print(f"{each}: {traceback.format_exc(limit=-2)}", flush=True)
                    continue
                verdicts.append(verdict)
                _print_row(verdict.row)
                if options.verbose:
                    print(render(verdict.report), flush=True)
    _print_sums(verdicts)
    is_right = all(
        not each.wrong and (each.is_found or not each.sample.expected) for each in verdicts
    )
    return 0 if is_right and not failed else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.hermeticity.unseen", description=__doc__)
    parser.add_argument("match", nargs="?", default="", help="a regular expression for names")
    parser.add_argument("--select", default="", help="codes, as for check; default: all")
    parser.add_argument("--expected", action="store_true", help="select the expected codes alone")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--verbose", action="store_true", help="print the reports too")
    return parser.parse_args()


def _check_options(options: argparse.Namespace, sample: Sample, seed: int) -> Options:
    selected = expand(options.select) if options.select else frozenset(CODES)
    if options.expected and sample.expected:
        selected = sample.expected
    return Options(selected=selected, jobs=options.jobs, seed=seed)


def _print_row(cells: Sequence[str]) -> None:
    print(
        " ".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip(),
        flush=True,
    )


def _print_sums(verdicts: Iterable[Verdict]) -> None:
    broken = [each for each in verdicts if each.sample.expected]
    good = [each for each in verdicts if not each.sample.expected]
    named = [each for each in broken if each.is_exact is not None]
    print(f"found: {sum(each.is_found for each in broken)} of {len(broken)}")
    print(f"polluters exact: {sum(bool(each.is_exact) for each in named)} of {len(named)}")
    print(f"with wrong errors: {sum(bool(each.wrong) for each in broken)} of {len(broken)} broken")
    print(f"falsely accused: {sum(bool(each.wrong) for each in good)} of {len(good)} good")


if __name__ == "__main__":
    sys.exit(main())

"""Check the unseen workers, and print a table: worker, expected, found, polluters, seconds, starts.

With ``--log`` each run is written down, and the runs that are in the file are not repeated.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rpw_fixture.hermeticity.check import Options
from rpw_fixture.hermeticity.findings.codes import CODES, expand
from rpw_fixture.hermeticity.findings.text import render
from tests.hermeticity.sample_languages import build_jar
from tests.hermeticity.unseen import page, run_log
from tests.hermeticity.unseen.corpus import Sample, compile_java, samples
from tests.hermeticity.unseen.sample_workers import sample_workers
from tests.hermeticity.unseen.verdict import HEADER, Built, Verdict, judge

_WIDTHS = (32, 15, 44, 5, 7, 6, 0)


def main() -> int:
    """Print a line for each worker, and a sum; returns 1 if one is missed or wrongly accused."""
    options = _options()
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    everything = [*samples(), *sample_workers()]
    chosen = [each for each in everything if _is_chosen(options, each)]
    _print_row(HEADER)
    verdicts: list[Verdict] = []
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="unseen") as name, _programs(options.busy):
        folder = Path(name)
        built = _build(folder, chosen)
        known = {each.key for each in run_log.read(options.log)} if options.log else set()
        for seed in options.seeds:
            for each in chosen:
                if (str(each), seed, bool(options.busy)) in known:
                    continue
                try:
                    verdict = _judge(options, each, seed, folder, built)
                except Exception:  # noqa: BLE001 - the other workers are still of interest
                    failed.append(str(each))
                    print(f"{each}: {traceback.format_exc(limit=-2)}", flush=True)
                    continue
                verdicts.append(verdict)
                _report(options, verdict, seed)
    _print_sums(verdicts)
    if options.page:
        options.page.write_text(page.render(everything, run_log.read(options.log)), "utf-8")
    is_right = all(
        not each.wrong and (each.is_found or not each.sample.expected) for each in verdicts
    )
    return 0 if is_right and not failed else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.hermeticity.unseen", description=__doc__)
    parser.add_argument("match", nargs="?", default="", help="a regular expression for names")
    parser.add_argument("--good", action="store_true", help="only workers without a defect")
    parser.add_argument("--broken", action="store_true", help="only workers with a defect")
    parser.add_argument("--select", default="", help="codes, as for check; default: all")
    parser.add_argument("--expected", action="store_true", help="select the expected codes alone")
    parser.add_argument("--actions", type=int, help="so many actions of each suite, by the seed")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--busy", type=int, default=0, help="run so many programs that only compute"
    )
    parser.add_argument("--verbose", action="store_true", help="print the reports too")
    parser.add_argument("--log", type=Path, metavar="FILE", help="add the runs to FILE")
    parser.add_argument(
        "--page", type=Path, metavar="FILE", help="write the page of all runs in the log"
    )
    options = parser.parse_args()
    if options.page and not options.log:
        parser.error("--page shows the runs of a log: give it with --log")
    return options


def _is_chosen(options: argparse.Namespace, sample: Sample) -> bool:
    is_broken = bool(sample.expected)
    is_kind = not (options.good and is_broken) and not (options.broken and not is_broken)
    return is_kind and bool(re.search(options.match, str(sample)))


@contextlib.contextmanager
def _programs(count: int) -> Iterator[None]:
    """Run programs that only compute."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            program = subprocess.Popen(["/bin/sh", "-c", "while :; do :; done"])
            stack.callback(program.wait)
            stack.callback(program.kill)
        yield


def _build(folder: Path, chosen: Sequence[Sample]) -> Built:
    """Compile what the chosen samples need of Java."""
    is_in_java = any(each.language == "java" for each in chosen)
    has_jar = any(each.name.startswith("java") for each in chosen)
    return Built(
        classes=compile_java(folder) if is_in_java else None,
        jar=build_jar(folder) if has_jar else None,
    )


def _judge(
    options: argparse.Namespace, sample: Sample, seed: int, folder: Path, built: Built
) -> Verdict:
    place = folder / f"{sample}-{seed}"
    place.mkdir()
    given = _check_options(options, sample, seed)
    return judge(sample, place, given, built, options.actions)


def _check_options(options: argparse.Namespace, sample: Sample, seed: int) -> Options:
    selected = expand(options.select) if options.select else frozenset(CODES)
    if options.expected and sample.expected:
        selected = sample.expected
    return Options(selected=selected, jobs=options.jobs, seed=seed)


def _report(options: argparse.Namespace, verdict: Verdict, seed: int) -> None:
    _print_row(verdict.row)
    if options.verbose:
        print(render(verdict.report), flush=True)
    if options.log:
        run_log.append(options.log, run_log.of(verdict, seed, is_busy=bool(options.busy)))


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

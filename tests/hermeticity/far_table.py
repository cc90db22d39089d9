"""Compare the reports of checks at home with those of ``check --executor``, for many suites.

Usage: python -m tests.hermeticity.far_table [--all] [--only NAME]... [--bst FILE]. It prints a table in
Markdown and then all that differs; the exit status is 1 if a cluster finds something else than home finds.
At home each suite is checked twice, which shows what differs between any two runs.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rpw_fixture.client.existing_server import ExistingServer
from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.findings.codes import CODES, expand
from rpw_fixture.hermeticity.findings.report import Report
from rpw_fixture.hermeticity.suites.suite_file import load
from tests.hermeticity.reports import comparable_text
from tests.hermeticity.trials.far.compared_suites import SUITES, ComparedSuite
from tests.interop.buildbox import PYTHON, Casd
from tests.interop.requirements import require_buildbox
from tests.server_process import ServerProcess

#: PATH at home and on the machines.
_PATH = f"{Path(PYTHON).parent}:/usr/bin:/bin"
_HOME = "home again"


def main() -> int:
    """Print the table; return the exit status."""
    options = _parser().parse_args()
    os.environ["PATH"] = f"{options.bst.parent}:{_PATH}" if options.bst else _PATH
    chosen = [each for each in SUITES if not options.only or each.name in options.only]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="far")))
        clusters = dict(_clusters(stack, folder))
        os.environ["PATH"] = _PATH
        places = [_HOME, *clusters]
        print(f"| suite | codes judged | found | {' | '.join(places)} |")
        print("|---" * (3 + len(places)) + "|", flush=True)
        rows = []
        for each in chosen:
            selected = frozenset(CODES) if options.all else expand(each.select)
            rows.append(_row(each, folder / each.name, selected, clusters))
            print(rows[-1].text, flush=True)
    for row in rows:
        for place, lines in row.differences.items():
            if lines:
                print("\n".join(["", f"{row.name}, {place}:", *lines]))
    return int(
        any(lines for row in rows for place, lines in row.differences.items() if place != _HOME)
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.hermeticity.far_table")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="only this suite (repeatable)"
    )
    parser.add_argument("--all", action="store_true", help="all codes, which takes an hour")
    parser.add_argument(
        "--bst", type=Path, metavar="FILE", help="BuildStream's bst, if it is not on PATH"
    )
    return parser


def _clusters(stack: contextlib.ExitStack, folder: Path) -> Iterator[tuple[str, ExistingServer]]:
    """Yield the clusters that can be had, with their names."""
    ours = stack.enter_context(ServerProcess("--jobs", "2"))
    yield "a server of ours", ExistingServer(endpoint=ours.endpoint, search_path=_PATH)
    try:
        programs = require_buildbox()
    except (pytest.skip.Exception, pytest.fail.Exception) as error:
        print(f"without buildbox-casd: {error}", file=sys.stderr)
        return
    java = [Path("/etc/alternatives"), *Path("/etc").glob("java-*")]  # Debian's has links to there
    theirs = stack.enter_context(Casd(programs, folder, filter(Path.is_dir, java)))
    yield "buildbox-casd", ExistingServer(endpoint=theirs.endpoint, search_path=_PATH)


class _Row:
    """The reports of one suite: the first one at home, and the others by place.

    Attributes:
        name: name of the suite.
        home: the report at home.
        differences: lines that differ from home, by place.
    """

    def __init__(self, name: str, home: Report, others: Mapping[str, Report]) -> None:
        self.name = name
        self.home = home
        self.differences = {
            place: _differences(comparable_text(home), comparable_text(each))
            for place, each in others.items()
        }

    @property
    def text(self) -> str:
        """The row of the table."""
        judged = sum(each.status != "skipped" for each in self.home.checks)
        found = ", ".join(sorted({each.code for each in self.home.findings})) or "none"
        same = [
            f"{len(lines)} lines differ" if lines else "same" for lines in self.differences.values()
        ]
        return f"| {' | '.join([self.name, str(judged), found, *same])} |"


def _row(
    compared: ComparedSuite,
    folder: Path,
    selected: frozenset[str],
    clusters: Mapping[str, ExistingServer],
) -> _Row:
    """Check a suite at all places."""
    if compared.program and not shutil.which(compared.program):
        sys.exit(f"{compared.name}: {compared.program} is not on PATH")
    suite = load(compared.write(folder))
    options = Options(selected=selected, jobs=2)
    reports = {}
    for place, executor in {"home": None, _HOME: None, **clusters}.items():
        began = time.monotonic()
        report = reports[place] = check(suite, replace(options, executor=executor))
        took = time.monotonic() - began
        print(
            f"{compared.name}, {place}: {took:.0f} s, {report.trials.all} trials", file=sys.stderr
        )
    return _Row(compared.name, reports.pop("home"), reports)


def _differences(home: str, other: str) -> Sequence[str]:
    return [*difflib.unified_diff(home.splitlines(), other.splitlines(), lineterm="", n=2)][2:]


if __name__ == "__main__":
    sys.exit(main())

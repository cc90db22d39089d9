"""Check workers with one leak, and print a table of what their findings name as the carrier."""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rpw_fixture.hermeticity.findings.codes import CODES
from rpw_fixture.hermeticity.findings.text import render
from tests.hermeticity.carriers.sampled import samples
from tests.hermeticity.carriers.verdict import HEADER, Verdict, judge


def main() -> int:
    """Print a row for each worker; return 1 if a wrong carrier was confirmed or none was named."""
    options = _options()
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    verdicts = []
    _print_row(HEADER)
    _print_row(("---",) * len(HEADER))
    with tempfile.TemporaryDirectory(prefix="carriers") as name:
        scratch = Path(name)
        for number, each in enumerate(samples(scratch)):
            if not re.search(options.match, str(each)):
                continue
            folder = scratch / str(number)
            selected = frozenset(CODES) if options.all else frozenset()
            verdict = judge(each, folder, selected=selected)
            verdicts.append(verdict)
            _print_row(verdict.row)
            if options.verbose:
                print(render(verdict.report), flush=True)
    _print_sums(verdicts)
    return int(not all(each.is_right for each in verdicts))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.hermeticity.carriers", description=__doc__)
    parser.add_argument("match", nargs="?", default="", help="a regular expression for names")
    parser.add_argument("--all", action="store_true", help="check all codes, not only the expected")
    parser.add_argument("--verbose", action="store_true", help="print the reports too")
    return parser.parse_args()


def _print_row(cells: Sequence[str]) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def _print_sums(verdicts: Sequence[Verdict]) -> None:
    print()
    for language in dict.fromkeys(each.sample.language for each in verdicts):
        of_language = [each for each in verdicts if each.sample.language == language]
        counts = Counter(each.status for each in of_language)
        text = ", ".join(f"{number} {status}" for status, number in counts.most_common())
        print(f"{language}: {len(of_language)} workers: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

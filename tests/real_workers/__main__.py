"""Check published workers: ``python -m tests.real_workers --page docs/real-workers.md``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.real_workers import packages, page
from tests.real_workers.checking import Report, check, read_report
from tests.real_workers.published import PublishedWorker, load_all

#: Packages of the same family that are looked through for a worker.
_OTHERS = (
    "@bazel/terser@5.8.1",
    "@bazel/esbuild@5.8.1",
    "@bazel/jasmine@5.8.1",
    "@bazel/cypress@5.8.1",
    "@bazel/protractor@5.8.1",
    "@bazel/labs@4.6.1",
)


def main() -> int:
    """Return 0, or 1 if a finding was not judged or a judgement's line is not there."""
    options = _parser().parse_args()
    workers = [each for each in load_all() if not options.only or each.name in options.only]
    if not workers:
        names = ", ".join(each.name for each in load_all())
        sys.exit(f"no worker has one of these names; there are {names}")
    with tempfile.TemporaryDirectory(prefix="rpw-real-") as scratch:
        folder = Path(options.work or scratch).absolute()
        get = _read if options.render else _report
        reports = {each.name: get(each, folder / each.name) for each in workers}
        wrong = [
            text
            for each in workers
            if isinstance(report := reports[each.name], Report)
            for text in page.unconfirmed(each, report)
        ]
        versions = {each.name: packages.versions(each) for each in workers}
        without = {} if options.only else {each: _looked_through(each, folder) for each in _OTHERS}
        text = page.render(reports, workers, versions, without)
    if options.page is None:
        print(text)
    else:
        options.page.write_text(text, "utf-8")
    for each in wrong:
        print(each, file=sys.stderr)
    return int(bool(wrong))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.real_workers", description=__doc__)
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the page to FILE")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="only this worker (repeatable)"
    )
    parser.add_argument(
        "--render", action="store_true", help="check nothing; use what is in the folder of --work"
    )
    parser.add_argument("--work", metavar="DIR", help="keep packages and reports in DIR")
    return parser


def _report(worker: PublishedWorker, folder: Path) -> Report | str:
    """Return what `check` says, or why the worker can't be had."""
    print(f"{worker.name}…", end=" ", file=sys.stderr, flush=True)
    try:
        packages.install(worker, folder)
        report = check(worker, folder)
    except packages.NotHadError as error:
        print(error, file=sys.stderr)
        return str(error)
    print(f"{report.seconds:.0f} s, {', '.join(report.findings) or 'no findings'}", file=sys.stderr)
    return report


def _read(worker: PublishedWorker, folder: Path) -> Report | str:
    try:
        return read_report(folder)
    except OSError as error:
        return f"there is no report of {worker.name}: {error}"


def _looked_through(package: str, folder: Path) -> str:
    try:
        has_worker = packages.has_worker(package, folder / "packed")
    except packages.NotHadError as error:
        return f"not looked at: {error}"
    return "has a worker that is not checked yet" if has_worker else "no worker"


if __name__ == "__main__":
    sys.exit(main())

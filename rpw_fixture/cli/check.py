"""``check``: test a persistent worker for state leaks and protocol errors."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rpw_fixture.cli import (
    check_folders,
    check_logs,
    check_pages,
    check_progress,
    check_reports,
    check_servers,
)
from rpw_fixture.cli.exit_codes import FINDINGS
from rpw_fixture.cli.interruptible import interruptible
from rpw_fixture.cli.parsers import to_path
from rpw_fixture.cli.standard_streams import write, write_line
from rpw_fixture.errors import ConfigError
from rpw_fixture.support import user_folders
from rpw_fixture.support.cpu_count import usable_cpus
from rpw_fixture.support.output_files import require_different, require_room

if TYPE_CHECKING:
    from rpw_fixture.cli.check_reports import WantedReport
    from rpw_fixture.hermeticity.check import Options
    from rpw_fixture.hermeticity.findings.report import Report
    from rpw_fixture.hermeticity.progress import ProgressTracker
    from rpw_fixture.hermeticity.suites.shards import Shard

#: A variable of the processes of ``bazel test``.
_IN_BAZEL_TEST = "TEST_TMPDIR"
#: The variable that stands for ``--cache``.
_CACHE_VARIABLE = "RPW_FIXTURE_CACHE"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``check``."""
    parser.epilog = (
        "Exit codes: 0 no finding of severity error, 1 at least one, 2 a suite or an option that\n"
        "cannot be used, 3 this machine lacks something, or the target does not run the actions,\n"
        "130 after Ctrl-C, with a report of what was found until then; a second one ends it at once."
    )
    add = parser.add_argument
    add(
        "suite",
        nargs="?",
        type=to_path,
        help="a suite.toml or its folder, a recording (made by serve --record), or a reproducer (made by "
        "--reproducers)",
    )
    add(
        "--select",
        metavar="CODE,…",
        help="run only these checks; prefixes such as RPW2 are allowed",
    )
    add("--ignore", metavar="CODE,…", help="leave out these checks")
    check_reports.add_arguments(parser)
    _add_baseline(parser)
    _add_no_locate(parser)
    add("--jobs", type=_positive, metavar="N", help="trials at once (default: one per processor)")
    add(
        "--max-seconds",
        type=_seconds,
        metavar="S",
        help="stop after S seconds and report what was found",
    )
    add("--seed", type=int, default=0, metavar="N", help="seed of random choices (default: 0)")
    _add_savings(parser)
    check_logs.add_arguments(parser)
    check_servers.add_arguments(parser)
    _add_further_results(parser)
    check_pages.add_arguments(parser)


def _add_further_results(parser: argparse.ArgumentParser) -> None:
    """Add the options that give more than findings."""
    add = parser.add_argument
    add(
        "--reproducers",
        type=to_path,
        metavar="DIR",
        help="write a folder below DIR for each finding",
    )
    add(
        "--cache-poisoning",
        action="store_true",
        help="with a recording: count the action-cache entries that are wrong because of its order of "
        "actions",
    )


def _add_savings(parser: argparse.ArgumentParser) -> None:
    """Add the options that save time."""
    parser.add_argument(
        "--pause",
        type=_seconds,
        metavar="S",
        help="for RPW103 and RPW202, leave a worker idle for S seconds between two requests (default: 3); "
        "0 leaves out these trials, and those with hundreds of requests to one worker",
    )
    parser.add_argument(
        "--cache",
        metavar="DIR|none",
        help="folder in which results of trials are remembered, so that the next check runs only what has "
        "changed (default: rpw_fixture in the user's cache folder, or what RPW_FIXTURE_CACHE names; none: "
        "remember nothing)",
    )
    parser.add_argument(
        "--shard",
        type=_shard,
        metavar="I/N",
        help="check the I-th of N parts of the workers and codes; report merges the JSON of all parts",
    )


def _add_baseline(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--baseline", type=to_path, metavar="FILE", help="accept the findings listed in FILE")
    add("--write-baseline", type=to_path, metavar="FILE", help="write all findings to FILE")
    add(
        "--update-baseline",
        action="store_true",
        help="add new findings to the --baseline file, and remove entries that were not found again",
    )


def _add_no_locate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-locate",
        action="store_true",
        help="leave out the search for the variable or file that carries the state of a finding",
    )


def run(options: argparse.Namespace) -> int:
    """Check a suite and print the report."""
    page = check_pages.page(options)
    if page is not None:
        write(page)
        return 0
    check_logs.require_a_log(options)
    reports = check_reports.wanted(options)
    if options.suite is None and not options.exec_log:
        raise ConfigError("name a suite.toml, or a folder made by serve --record")
    if options.suite is not None and (options.suite / check_folders.HISTORY).is_file():
        return _replay(options.suite)
    is_reproducer = _open_folder(options)
    _require_room(options, reports)
    report = _check(options)
    _write_baselines(report, options)
    for each in reports:
        each.write(report)
    if report.interruption is not None:
        return report.interruption.exit_code
    is_failed = report.has_errors or (is_reproducer and report.has_problems)
    return FINDINGS if is_failed else 0


def _open_folder(options: argparse.Namespace) -> bool:
    """Put the suite of a folder in its place; return whether it is a reproducer.

    Of a reproducer only its code is checked, unless others are selected.
    """
    if options.suite is None or not options.suite.is_dir():
        return False
    code = check_folders.reproduced_code(options.suite)
    options.suite = check_folders.suite_in(options.suite)
    if code is not None and options.select is None:
        options.select = code
    return code is not None


def _require_room(options: argparse.Namespace, reports: Sequence[WantedReport]) -> None:
    """Refuse before the run what could not be written after it."""
    if options.update_baseline:
        if options.baseline is None:
            raise ConfigError("--update-baseline needs --baseline FILE")
        require_room(f"--baseline {options.baseline}", options.baseline)
    for name in ("write_baseline", "reproducers"):
        if (path := getattr(options, name)) is not None:
            require_room(
                f"--{name.replace('_', '-')} {path}", path, is_folder=name == "reproducers"
            )
    for each in reports:
        each.require_room()
    require_different(_written(options, reports), _read(options))


def _written(
    options: argparse.Namespace, reports: Sequence[WantedReport]
) -> Iterator[tuple[str, Path]]:
    """Yield each file that is written, with its option."""
    if options.write_baseline is not None:
        yield f"--write-baseline {options.write_baseline}", options.write_baseline
    for each in reports:
        if each.path is not None:
            yield each.option, each.path


def _read(options: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    """Yield each file that is read and must stay, with its option."""
    if options.suite is not None:
        yield str(options.suite), options.suite
    for log in options.exec_log:
        yield f"--exec-log {log}", log


def _replay(folder: Path) -> int:
    """Run the requests of a reproducer, and print what is wrong."""
    from rpw_fixture.hermeticity.replay import replay  # noqa: PLC0415 - heavy

    with interruptible():
        wrong = replay(folder)
    write_line(wrong or "no difference")
    return FINDINGS if wrong else 0


def _write_baselines(report: Report, options: argparse.Namespace) -> None:
    from rpw_fixture.hermeticity.findings import baseline  # noqa: PLC0415 - only what is needed

    if options.write_baseline is not None:
        baseline.write(options.write_baseline, [*report.findings, *report.accepted])
    if options.update_baseline:
        baseline.update(options.baseline, report)


def _check(options: argparse.Namespace) -> Report:
    from rpw_fixture.hermeticity import check  # noqa: PLC0415 - heavy
    from rpw_fixture.hermeticity.suites import recording, suite_file  # noqa: PLC0415 - heavy

    with interruptible(), check_progress.shown(sys.stderr) as tracker:
        check_options = _options(options, tracker)
        if options.exec_log:
            return check_logs.check(options, check_options)
        if options.suite.is_dir():
            return check.check_recording(recording.load(options.suite), check_options)
        if options.cache_poisoning:
            raise ConfigError("--cache-poisoning needs a folder made by serve --record")
        return check.check_all(suite_file.load_all(options.suite), check_options)


def _options(given: argparse.Namespace, progress: ProgressTracker | None) -> Options:
    from rpw_fixture.hermeticity.check import Options  # noqa: PLC0415 - --help needs none of it
    from rpw_fixture.hermeticity.findings.codes import chosen  # noqa: PLC0415

    servers = check_servers.servers(given)
    return Options(
        selected=chosen(given.select, given.ignore),
        jobs=given.jobs
        or (usable_cpus() if servers.executor is None else check_servers.EXECUTOR_JOBS),
        max_seconds=given.max_seconds,
        seed=given.seed,
        reproducers=given.reproducers,
        baseline=given.baseline if not _is_new_baseline(given) else None,
        progress=progress,
        cache_poisoning=given.cache_poisoning,
        target=servers.target,
        executor=servers.executor,
        cache=_cache(given.cache),
        locates=not given.no_locate,
        pause=given.pause,
        **({} if given.shard is None else {"shard": given.shard}),
    )


def _cache(given: str | None) -> Path | None:
    """Return the folder in which results are remembered; None for none."""
    named = given if given is not None else os.environ.get(_CACHE_VARIABLE)
    if named is None and _IN_BAZEL_TEST in os.environ:
        return None  # such a test leaves the user's folders alone
    if named is None:
        return user_folders.caches() / "rpw_fixture" / "check"
    if not named:
        raise ConfigError("--cache: name a folder, or none")
    return None if named == "none" else Path(named).absolute()


def _is_new_baseline(given: argparse.Namespace) -> bool:
    """Return whether the baseline is to be created, so that it accepts nothing yet."""
    return bool(given.update_baseline and not given.baseline.exists())


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def _shard(text: str) -> Shard:
    from rpw_fixture.hermeticity.suites import shards  # noqa: PLC0415 - --help needs none of it

    try:
        return shards.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return number

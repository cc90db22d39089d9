"""``check``: test a persistent worker for state leaks and protocol errors."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpw_fixture.cli.signals import interruptible
from rpw_fixture.client.existing_server import (
    ENDPOINT_FORMS,
    OPTIONS,
    ExistingServer,
    from_options,
    properties,
)
from rpw_fixture.errors import ConfigError, EnvironmentLacksError

if TYPE_CHECKING:
    from rpw_fixture.hermeticity.check import Options
    from rpw_fixture.hermeticity.findings.finding import Report

_FINDINGS = 1
_PROPERTY = "--platform-property"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``check``."""
    parser.epilog = (
        "Exit codes: 0 no finding of severity error, 1 at least one, 2 a suite or an option that\n"
        "cannot be used, 3 this machine lacks something, or the target does not run the actions."
    )
    add = parser.add_argument
    add("suite", nargs="?", type=Path, help="a suite.toml, or a folder made by serve --record")
    add(
        "--select",
        metavar="CODE,…",
        help="run only these checks; prefixes such as RPW2 are allowed",
    )
    add("--ignore", metavar="CODE,…", help="leave out these checks")
    add(
        "--format",
        choices=("text", "json", "junit", "github"),
        default="text",
        help="report format",
    )
    add("--output", type=Path, metavar="FILE", help="write the report to FILE, not to stdout")
    add("--report", type=Path, metavar="FILE", help="write a page with the findings to FILE (HTML)")
    add("--baseline", type=Path, metavar="FILE", help="accept the findings listed in FILE")
    add("--write-baseline", type=Path, metavar="FILE", help="write all findings to FILE")
    add("--jobs", type=_positive, metavar="N", help="trials at once (default: one per processor)")
    add(
        "--max-seconds",
        type=_seconds,
        metavar="S",
        help="stop after S seconds and report what was found",
    )
    add("--seed", type=int, default=0, metavar="N", help="seed of random choices (default: 0)")
    _add_target(parser)
    add("--reproducers", type=Path, metavar="DIR", help="write a folder below DIR for each finding")
    add(
        "--cache-poisoning",
        action="store_true",
        help="of a recording: count action-cache entries that its order of actions made wrong",
    )
    add("--explain", metavar="CODE", help="explain what a code means, and how to fix it")


def _add_target(parser: argparse.ArgumentParser) -> None:
    """Add the options that `target_of` reads, with Bazel's names."""
    add = parser.add_argument_group("an existing server instead of this machine").add_argument
    add(
        "--target",
        metavar="ENDPOINT",
        help="run the actions on this REAPI server, and only the checks that need no more than "
        f"results: {ENDPOINT_FORMS}",
    )
    for option in OPTIONS:
        repeatable: Any = {"action": "append", "default": []} if option.is_repeatable else {}
        add(option.bazel_name, metavar=option.metavar, help=option.help, **repeatable)
    add(
        _PROPERTY,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="add this platform property to every action, such as container-image (repeatable)",
    )
    add(
        "--no-cache-silo-key",
        action="store_true",
        help="never send cache-silo-key, even if nothing else leads to a fresh worker",
    )


def target_of(options: argparse.Namespace) -> ExistingServer | None:
    """Return the server that ``--target`` and its options describe; None means this machine.

    Raises:
        ConfigError: for a value that cannot be used, or an option that needs ``--target``.
    """
    given = {each.field: getattr(options, _destination(each.bazel_name)) for each in OPTIONS}
    names = {each.field: each.bazel_name for each in OPTIONS}
    if options.target is not None:
        return from_options(
            options.target,
            given,
            names,
            platform=properties(options.platform_property, _PROPERTY),
            may_silo=not options.no_cache_silo_key,
        )
    useless = {names[name]: value for name, value in given.items()}
    useless |= {
        _PROPERTY: options.platform_property,
        "--no-cache-silo-key": options.no_cache_silo_key,
    }
    for name, value in useless.items():
        if value:
            raise ConfigError(f"{name} is of no use without --target")
    return None


def _destination(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def run(options: argparse.Namespace) -> int:
    """Check a suite and print the report."""
    if options.explain is not None:
        from rpw_fixture.hermeticity.findings.codes import explain  # noqa: PLC0415 - only what is needed

        sys.stdout.write(explain(options.explain))
        return 0
    if options.suite is None:
        raise ConfigError("name a suite.toml, or a folder made by serve --record")
    for name in ("output", "report", "write_baseline", "reproducers"):
        _require_room(name, getattr(options, name))
    with interruptible():
        report = _check(options)
    if options.write_baseline is not None:
        from rpw_fixture.hermeticity.findings import baseline  # noqa: PLC0415 - only what is needed

        baseline.write(options.write_baseline, [*report.findings, *report.accepted])
    if options.report is not None:
        _write_page(report, options)
    _print(report, options)
    return _FINDINGS if report.has_errors else 0


def _write_page(report: Report, options: argparse.Namespace) -> None:
    from rpw_fixture.report import inputs, write  # noqa: PLC0415 - only what is needed

    names = {"name": options.suite.name, "action_names": list(report.action_names)}
    check = {**names, **report.as_dict()}
    write.write(inputs.Inputs(checks=[check]), options.report, option="--report")


def _check(options: argparse.Namespace) -> Report:
    from rpw_fixture.hermeticity import check  # noqa: PLC0415 - heavy
    from rpw_fixture.hermeticity.suites import recording, suite_file  # noqa: PLC0415 - heavy

    progress = _Progress() if sys.stderr.isatty() else None
    check_options = _options(options, progress)
    try:
        if options.suite.is_dir():
            return check.check_recording(recording.load(options.suite), check_options)
        if options.cache_poisoning:
            raise ConfigError("--cache-poisoning needs a folder made by serve --record")
        return check.check(suite_file.load(options.suite), check_options)
    finally:
        if progress is not None:
            progress.wipe()


def _options(given: argparse.Namespace, progress: Callable[[int, int], None] | None) -> Options:
    from rpw_fixture.hermeticity.check import Options  # noqa: PLC0415 - --help needs none of it
    from rpw_fixture.hermeticity.findings.codes import CODES, expand  # noqa: PLC0415

    selected = expand(given.select) if given.select is not None else frozenset(CODES)
    ignored = expand(given.ignore) if given.ignore is not None else frozenset()
    return Options(
        selected=selected - ignored,
        jobs=given.jobs or _processors(),
        max_seconds=given.max_seconds,
        seed=given.seed,
        reproducers=given.reproducers,
        baseline=given.baseline,
        progress=progress,
        cache_poisoning=given.cache_poisoning,
        target=target_of(given),
    )


def _print(report: Report, options: argparse.Namespace) -> None:
    text = _render(report, options)
    try:
        if options.output is not None:
            options.output.write_text(text, encoding="utf-8")
        else:
            sys.stdout.write(text)
            sys.stdout.flush()
    except BrokenPipeError:
        _silence()  # the reader closed the pipe; the exit code still says what was found
    except OSError as error:
        where = "stdout" if options.output is None else f"--output {options.output}"
        if options.output is None:
            _silence()
        raise EnvironmentLacksError(f"{where}: {error.strerror}") from None


def _silence() -> None:
    """Discard what stdout still buffers, or Python would fail at exit."""
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), sys.stdout.fileno())


def _require_room(option: str, path: Path | None) -> None:
    """Refuse before the run what could not be written after it."""
    if path is None:
        return
    is_folder = option == "reproducers"
    given = f"--{option.replace('_', '-')} {path}"
    here = path if is_folder else path.parent
    while is_folder and not here.exists():
        here = here.parent
    if path.is_dir() and not is_folder:
        raise EnvironmentLacksError(f"{given}: Is a directory")
    if not here.is_dir():
        reason = "Not a directory" if here.exists() else "No such file or directory"
        raise EnvironmentLacksError(f"{given}: {reason}")
    if not os.access(path if path.exists() else here, os.W_OK):
        raise EnvironmentLacksError(f"{given}: Permission denied")


def _render(report: Report, options: argparse.Namespace) -> str:
    from rpw_fixture.hermeticity.findings import formats  # noqa: PLC0415
    from rpw_fixture.hermeticity.findings import text as findings_text  # noqa: PLC0415

    if options.format == "text":
        to_terminal = options.output is None and findings_text.is_coloured(sys.stdout, os.environ)
        return findings_text.render(report, is_coloured=to_terminal)
    renderers = {
        "json": formats.as_json,
        "junit": formats.as_junit,
        "github": formats.as_github,
    }
    return renderers[options.format](report)


class _Progress:
    """A progress line on a terminal's stderr."""

    def __call__(self, starts: int, requests: int) -> None:
        sys.stderr.write(f"\r{starts} worker starts, {requests} requests ")
        sys.stderr.flush()

    def wipe(self) -> None:
        """Remove the line."""
        sys.stderr.write("\r\033[K")
        sys.stderr.flush()


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return number

"""``check``: find what a persistent worker's state does to outputs."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rpw_fixture.cli.signals import interruptible
from rpw_fixture.client.existing_server import ExistingServer, headers, properties
from rpw_fixture.errors import ConfigError, EnvironmentLacksError

if TYPE_CHECKING:
    from rpw_fixture.hermeticity.check import Options
    from rpw_fixture.hermeticity.findings.finding import Report

_FINDINGS = 1
_HEADER, _PROPERTY = "--remote-header", "--platform-property"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``check``."""
    parser.epilog = (
        "Exit code 0 when nothing of severity error was found, 1 when something was, 2 for a suite or\n"
        "an option that can't be used, 3 when this machine lacks something or the\n"
        "target does not run the actions."
    )
    add = parser.add_argument
    add("suite", nargs="?", type=Path, help="a suite.toml, or a folder made by serve --record")
    add("--select", metavar="CODE,…", help="check only these; prefixes such as RPW2 are allowed")
    add("--ignore", metavar="CODE,…", help="leave these out")
    add("--format", choices=("text", "json", "junit", "github"), default="text")
    add("--output", type=Path, metavar="FILE", help="write the report there, not to stdout")
    add("--baseline", type=Path, metavar="FILE", help="accept the findings in FILE")
    add("--write-baseline", type=Path, metavar="FILE", help="write all findings to FILE")
    add("--jobs", type=_positive, metavar="N", help="runs at once (default: one per processor)")
    add("--max-seconds", type=_seconds, metavar="S", help="stop after S seconds")
    add(
        "--seed", type=int, default=0, metavar="N", help="for what is picked at random (default: 0)"
    )
    _add_target(parser)
    add("--reproducers", type=Path, metavar="DIR", help="write a folder there for each finding")
    add(
        "--cache-poisoning",
        action="store_true",
        help="count action-cache entries that a recorded build's own order of actions made wrong",
    )
    add("--explain", metavar="CODE", help="say what a code means, and how to mend it")


def _add_target(parser: argparse.ArgumentParser) -> None:
    """The options that `connection_of` reads, named as Bazel's are."""
    add = parser.add_argument_group("an existing server instead of this machine").add_argument
    add(
        "--target",
        metavar="ENDPOINT",
        help="let this REAPI server run the actions, and check what results alone tell: "
        "grpc://HOST:PORT, grpcs://HOST:PORT or unix:PATH",
    )
    add("--tls-certificate", metavar="FILE", help="trust these certificates, PEM, with grpcs://")
    add("--tls-client-certificate", metavar="FILE", help="show this certificate, PEM")
    add("--tls-client-key", metavar="FILE", help="private key of --tls-client-certificate")
    add(
        _HEADER,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="send this with every call, as an API key (repeatable)",
    )
    add("--remote-instance-name", metavar="NAME", help="instance that every call names")
    add(
        _PROPERTY,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="give every action this platform property, such as container-image (repeatable)",
    )
    add(
        "--no-cache-silo-key",
        action="store_true",
        help="never send the property cache-silo-key, not even where nothing else leads to a fresh worker",
    )


def connection_of(options: argparse.Namespace) -> ExistingServer | None:
    """The server that ``--target`` and the options beside it name; None for this machine.

    Raises:
        ConfigError: for an option that can't be read, or that is of no use without ``--target``.
    """
    files = {
        "--tls-certificate": options.tls_certificate,
        "--tls-client-certificate": options.tls_client_certificate,
        "--tls-client-key": options.tls_client_key,
    }
    if options.target is None:
        texts = {"--remote-instance-name": options.remote_instance_name}
        several = {_HEADER: options.remote_header, _PROPERTY: options.platform_property}
        switches = {"--no-cache-silo-key": options.no_cache_silo_key}
        for name, value in {**files, **texts, **several, **switches}.items():
            if value:
                raise ConfigError(f"{name} is of no use without --target")
        return None
    return ExistingServer(
        endpoint=options.target,
        instance_name=options.remote_instance_name or "",
        headers=headers(options.remote_header, _HEADER),
        tls_ca=options.tls_certificate,
        tls_cert=options.tls_client_certificate,
        tls_key=options.tls_client_key,
        platform=properties(options.platform_property, _PROPERTY),
        may_silo=not options.no_cache_silo_key,
    )


def run(options: argparse.Namespace) -> int:
    """Checks a suite and prints the report."""
    if options.explain is not None:
        from rpw_fixture.hermeticity.findings.codes import explain  # noqa: PLC0415 - only what is needed

        sys.stdout.write(explain(options.explain))
        return 0
    if options.suite is None:
        raise ConfigError("name a suite.toml, or a folder made by serve --record")
    for name in ("output", "write_baseline", "reproducers"):
        _require_room(name, getattr(options, name))
    with interruptible():
        report = _check(options)
    if options.write_baseline is not None:
        from rpw_fixture.hermeticity.findings import baseline  # noqa: PLC0415 - only what is needed

        baseline.write(options.write_baseline, [*report.findings, *report.accepted])
    _print(report, options)
    return _FINDINGS if report.has_errors else 0


def _check(options: argparse.Namespace) -> Report:
    from rpw_fixture.hermeticity import check  # noqa: PLC0415 - heavy
    from rpw_fixture.hermeticity.suites import recording, suite_file  # noqa: PLC0415 - heavy

    progress = _Progress() if sys.stderr.isatty() else None
    wanted = _options(options, progress)
    try:
        if options.suite.is_dir():
            return check.check_recording(recording.load(options.suite), wanted)
        if options.cache_poisoning:
            raise ConfigError("--cache-poisoning needs a folder made by serve --record")
        return check.check(suite_file.load(options.suite), wanted)
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
        target=connection_of(given),
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
        _silence()  # whoever read has enough; what was found is told by the exit code
    except OSError as error:
        where = "stdout" if options.output is None else f"--output {options.output}"
        if options.output is None:
            _silence()
        raise EnvironmentLacksError(f"{where}: {error.strerror}") from None


def _silence() -> None:
    """What stdout still holds goes nowhere, or Python would fail at its end."""
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), sys.stdout.fileno())


def _require_room(option: str, path: Path | None) -> None:
    """Refuses before the run what can't be written after it."""
    if path is None:
        return
    is_folder = option == "reproducers"
    told = f"--{option.replace('_', '-')} {path}"
    here = path if is_folder else path.parent
    while is_folder and not here.exists():
        here = here.parent
    if path.is_dir() and not is_folder:
        raise EnvironmentLacksError(f"{told}: Is a directory")
    if not here.is_dir():
        reason = "Not a directory" if here.exists() else "No such file or directory"
        raise EnvironmentLacksError(f"{told}: {reason}")
    if not os.access(path if path.exists() else here, os.W_OK):
        raise EnvironmentLacksError(f"{told}: Permission denied")


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
    """One line on a terminal's stderr that is written over and over."""

    def __call__(self, starts: int, requests: int) -> None:
        sys.stderr.write(f"\r{starts} worker starts, {requests} requests ")
        sys.stderr.flush()

    def wipe(self) -> None:
        """Removes the line."""
        sys.stderr.write("\r\033[K")
        sys.stderr.flush()


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return number

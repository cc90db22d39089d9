"""`check` as an assertion: on the actions that a test ran, or on given ones."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rpw_fixture.client.action import Action
from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.findings import text
from rpw_fixture.hermeticity.findings.codes import CODES, expand
from rpw_fixture.hermeticity.findings.finding import merged
from rpw_fixture.hermeticity.suites import from_actions

#: What a test suite can afford each time. Left out is what takes many requests or cold starts: growth,
#: and what is told by a tracer or by other surroundings.
EVERYDAY = frozenset(CODES) - expand("RPW207,RPW208,RPW209,RPW3")


def assert_hermetic(
    actions: Iterable[Action],
    *,
    select: str | None = None,
    ignore: str | None = None,
    seed: int = 0,
    max_seconds: float | None = None,
    reproducers: Path | None = None,
) -> None:
    """The workers of ``actions`` keep no state that reaches an output, and follow the protocol.

    Args:
        actions: worker actions that succeed; each worker is checked with its own.
        select: codes, separated by commas; prefixes such as ``RPW2`` are allowed, and ``RPW`` is all.
            When not given, `EVERYDAY`: all but RPW207, RPW208, RPW209 and RPW3.
        ignore: codes to leave out, written likewise.
        seed: decides what is tried where not everything can be.
        max_seconds: for each worker; checks that time does not suffice for count as skipped.
        reproducers: folder for the smallest reproducer of each finding.

    Raises:
        AssertionError: with victim, polluters and differences of each finding of severity error.
        ConfigError: when there is nothing to check, or for a code that does not exist.
    """
    __tracebackhide__ = True
    found = from_actions.suites(actions)
    if not found:
        raise ConfigError(
            "no action to check: none with a worker_key has succeeded so far, and none was given"
        )
    selected = expand(select) if select is not None else EVERYDAY
    options = Options(
        selected=selected - (expand(ignore) if ignore is not None else frozenset()),
        seed=seed,
        max_seconds=max_seconds,
        reproducers=reproducers,
    )
    report = merged([check(suite, options) for suite in found])
    if report.has_errors:
        raise AssertionError(text.render(report))

"""`check` as an assertion about the actions that a test ran, or about given ones."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rpw_fixture.client.action import Action
from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.findings import text
from rpw_fixture.hermeticity.findings.codes import CODES, chosen, expand
from rpw_fixture.hermeticity.findings.report import merged
from rpw_fixture.hermeticity.suites import from_actions

#: The codes that a test suite can afford each time. Left out are those that take many requests or cold
#: starts: growth, undeclared access and other environments.
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
    """Assert that the workers of ``actions`` follow the protocol and keep no state that reaches outputs.

    Args:
        actions: worker actions that succeed; each worker is checked with those that it runs.
        select: codes, separated by commas; prefixes such as ``RPW2`` are allowed, and ``RPW`` means
            all. Default: `EVERYDAY`, all but RPW207, RPW208, RPW209 and RPW3.
        ignore: codes to leave out, in the same form.
        seed: decides which samples are taken where not everything can be tried.
        max_seconds: time limit for each worker, seconds; checks that are not reached are skipped.
        reproducers: folder for the smallest reproducer of each finding.

    Raises:
        AssertionError: there is a finding of severity error; with victim, polluters and differences.
        ConfigError: there is nothing to check, or a code does not exist.
    """
    __tracebackhide__ = True
    found = from_actions.suites(actions)
    if not found:
        raise ConfigError(
            "no action to check: no action with a worker_key has succeeded so far, and none was passed"
        )
    options = Options(
        selected=chosen(select, ignore, EVERYDAY),
        seed=seed,
        max_seconds=max_seconds,
        reproducers=reproducers,
        pause=0.0,  # longer than all other trials of a test together
    )
    report = merged([check(suite, options) for suite in found])
    if report.has_errors:
        raise AssertionError(text.render(report))

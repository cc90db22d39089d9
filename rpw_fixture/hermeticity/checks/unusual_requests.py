"""RPW202 and RPW212 after requests that few servers send: with a verbosity, in pieces, with other ids.

The worker that answers all of them runs in any case; here is judged what they leave behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rpw_fixture.hermeticity.checks import one_worker
from rpw_fixture.hermeticity.checks.blame import blame, suspicions
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.trials.trial import Outcome, Step


def find(context: CheckContext) -> Iterator[Finding]:
    """Compare the answers to unusual requests with those of fresh workers to the same requests."""
    if context.is_remote:
        return
    outcomes = one_worker.answers(context)
    if victims := _suspicious(context, outcomes):
        yield from blame(context, suspicions(context, [outcomes], victims))


def _suspicious(context: CheckContext, outcomes: Sequence[Outcome]) -> list[Step]:
    """Return the requests whose answers differ from a plain one; none where the worker fails.

    A worker that fails here has its finding, and what it answers before or later says little.
    """
    if any(each.failure for each in outcomes):
        return []
    plain = context.cold(one_worker.subject(context))
    return [each.step for each in outcomes if context.differing(plain, each)]

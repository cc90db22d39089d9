"""RPW101–105, RPW109, RPW202 and RPW212 over a hundred requests: the responses of the growth runs.

A worker that ends at its sixtieth request, or gives different results from its thirtieth on, passes
all shorter histories.
"""

from __future__ import annotations

from collections.abc import Iterator

from rpw_fixture.hermeticity.checks import resources
from rpw_fixture.hermeticity.checks.blame import blame, suspicions
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.findings.finding import Finding


def find(context: CheckContext) -> Iterator[Finding]:
    """Compare each response of the growth runs with that of a fresh worker."""
    if context.is_remote:
        return
    trials = resources.trials(context)
    for trial, result in zip(trials, context.run_all(trials), strict=True):
        if len(trial.history) < resources.USUAL:
            text = f"requests are slow: {len(trial.history)} in a row instead of {resources.USUAL}"
            context.notes.setdefault("RPW202", text)
        yield from blame(context, suspicions(context, [result.outcomes]))

"""The results that earlier runs of ``check`` left, and what the report says about them."""

from __future__ import annotations

from pathlib import Path

from rpw_fixture.client.existing_server import ExistingServer
from rpw_fixture.hermeticity.findings.trial_counts import TrialCounts
from rpw_fixture.hermeticity.trials.harness import Harness
from rpw_fixture.hermeticity.trials.result_store import ResultStore


def opened(folder: Path | None) -> tuple[ResultStore | None, str]:
    """Return the store in a folder, or why there is none although one is wanted."""
    if folder is None:
        return None, ""
    try:
        return ResultStore(folder), ""
    except OSError as error:
        return None, f"{folder}: {error.strerror}"


def counts(
    harness: Harness, folder: Path | None, problem: str, executor: ExistingServer | None
) -> TrialCounts:
    """Return how many trials a harness knows, and how many of them it ran."""
    known = harness.remembering
    where = "" if known is None else str(folder)
    if executor is not None and harness.can_remember:
        where = executor.endpoint
    return TrialCounts(
        all=harness.book.trials,
        run=harness.book.trials_run,
        memory=where,
        problem=problem if known is None else known.problem,
    )

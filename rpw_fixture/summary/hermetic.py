"""Check the workers in a recording for state leaks, as a part of a run."""

from __future__ import annotations

from pathlib import Path

from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.assertion import EVERYDAY
from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.findings import text
from rpw_fixture.hermeticity.findings.report import merged
from rpw_fixture.hermeticity.suites import recording


def findings_in(folder: Path, mnemonic: str, *, since: float = 0.0) -> str:
    """Return what a check finds in words; empty when it finds no error.

    Args:
        folder: of the recording.
        mnemonic: the only mnemonic that is checked; empty for all.
        since: leaves out requests that were sent before, in seconds since the epoch.
    """
    try:
        recorded = recording.load(folder)
    except ConfigError:
        recorded = ()
    chosen = [each for each in recorded if mnemonic in {"", each.mnemonic} and each.sent >= since]
    if not chosen:
        return "nothing to check: no action ran on a worker"
    options = Options(selected=EVERYDAY)
    report = merged([check(suite, options) for suite in recording.suites(chosen)])
    return text.render(report) if report.has_errors else ""

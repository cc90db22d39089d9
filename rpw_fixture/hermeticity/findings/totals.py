"""The last line of a report: how many checks passed, failed or did not apply, and what that took."""

from __future__ import annotations

from collections.abc import Sequence

from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.report import CheckState, Report, Status
from rpw_fixture.support.plurals import counted


def totals(report: Report) -> str:
    """Return the numbers of checks by result, and of actions, worker starts, requests and seconds."""
    return (
        f"{_results(report)} on {counted(report.actions, 'action')}, with "
        f"{counted(report.worker_starts, 'worker start')} and "
        f"{counted(report.requests, 'request')} in {report.seconds:.1f} s"
    )


def verdict(report: Report) -> str:
    """Return the number of errors and of other findings."""
    errors = sum(each.severity is Severity.ERROR for each in report.findings)
    others = len(report.findings) - errors
    text = counted(errors, "error") if errors else "no errors"
    if report.interruption is not None:
        text = f"{report.interruption}: {text} so far"
    return f"{text}, {counted(others, 'other finding')}" if others else text


def unjudged(checks: Sequence[CheckState]) -> list[CheckState]:
    """Return the checks that apply and could not be judged."""
    return [each for each in checks if each.status is Status.SKIPPED and each.is_applicable]


def inapplicable(checks: Sequence[CheckState]) -> list[CheckState]:
    """Return the checks that do not apply to this suite."""
    return [each for each in checks if each.status is Status.SKIPPED and not each.is_applicable]


def _results(report: Report) -> str:
    passed = sum(each.status is Status.PASSED for each in report.checks)
    counts = {
        "failed": sum(each.status is Status.FAILED for each in report.checks),
        "not checked": len(unjudged(report.checks)),
        "not applicable": len(inapplicable(report.checks)),
    }
    parts = [f"{passed} of {counted(len(report.checks), 'check')} passed"]
    parts += [f"{count} {word}" for word, count in counts.items() if count]
    if report.accepted:
        parts.append(f"{len(report.accepted)} accepted by the baseline")
    return ", ".join(parts)

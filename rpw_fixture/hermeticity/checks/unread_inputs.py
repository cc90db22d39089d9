"""The advice beside RPW207: declared inputs that no run opened. Of severity info, for nothing is wrong.

Each of them makes the action run again when it changes, for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from rpw_fixture.client.inputs import File
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import RunMode, Trial, UnavailableError, steps

_MOST_ACTIONS = 8
_SHOWN = 8


def find(context: CheckContext) -> Iterator[Finding]:
    """Watches the files of one cold run, and of a one-shot run where that opened too few."""
    for action in context.pick(_MOST_ACTIONS):
        if action not in context.succeeding:
            continue  # who stops at a mistake has not come to all inputs
        try:
            unread = _unread(context, action)
        except UnavailableError as error:
            _note(context, f"inputs never read were not looked for ({error})")
            return
        if unread:
            yield _finding(action, unread)
    _note(context, "inputs never read by inotify")


def _unread(context: CheckContext, action: SuiteAction) -> list[str]:
    unread = {path for path, entry in action.inputs.items() if isinstance(entry, File)}
    for mode in (RunMode.WORKER, RunMode.ONE_SHOT):
        if unread:
            trial = Trial(history=steps(action), mode=mode, is_watched=True)
            unread -= context.run(trial).outcomes[0].opened
    return sorted(unread)


def _finding(action: SuiteAction, unread: list[str]) -> Finding:
    more = f" and {len(unread) - _SHOWN} more" if len(unread) > _SHOWN else ""
    return Finding(
        code="RPW207",
        severity=Severity.INFO,
        victim=action.name,
        summary=f"{action.name} declares inputs that it never reads: "
        f"{', '.join(unread[:_SHOWN])}{more}",
        evidence="no fresh worker and no one-shot run opened them, inotify says; the action runs "
        "again whenever one of them changes",
        history=steps(action),
    )


def _note(context: CheckContext, text: str) -> None:
    known = context.notes.get("RPW207")
    context.notes["RPW207"] = f"{known}; {text}" if known else text

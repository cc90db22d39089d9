"""The advice of RPW207: declared inputs that no run opened. Severity info, because nothing is wrong.

When such an input changes, the action runs again without need.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from rpw_fixture.client.inputs import File
from rpw_fixture.hermeticity.checks.context import CheckContext, picked
from rpw_fixture.hermeticity.findings.accesses import InputAccess
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import RunMode, Trial, UnavailableError, steps

_MOST_ACTIONS = 8
_SHOWN = 8


def find(context: CheckContext) -> Iterator[Finding]:
    """Watch the files of a cold run, and of a one-shot run if the cold one did not open all."""
    for action in context.pick(_MOST_ACTIONS):
        if action not in context.succeeding:
            continue  # a failing action may stop before it reads all inputs
        try:
            unread = _unread(context, action)
        except UnavailableError as error:
            _note(context, f"unread inputs were not looked for ({error})")
            return
        if unread:
            yield _finding(action, unread)
    _note(context, "unread inputs by inotify")


def watch_first_runs(context: CheckContext) -> None:
    """Run the actions that are looked at here on fresh workers, if this machine can watch their files."""
    if not {"RPW207", "RPW401"} & context.selected or context.is_remote:
        return
    if sys.platform != "linux":
        return
    chosen = picked(context.sample, _MOST_ACTIONS)
    with contextlib.suppress(UnavailableError):
        context.run_all([_watched(each) for each in chosen if each.exit_code == 0])


def opened(context: CheckContext, action: SuiteAction) -> frozenset[str] | None:
    """Return the files that a fresh worker opened for an action; None if they were not watched."""
    found = context.harness.known(_watched(action))
    return found.outcomes[0].opened if found is not None else None


def _watched(action: SuiteAction) -> Trial:
    return Trial(history=steps(action), is_watched=True)


def _unread(context: CheckContext, action: SuiteAction) -> list[str]:
    declared = frozenset(path for path, entry in action.inputs.items() if isinstance(entry, File))
    unread, opened = set(declared), set[str]()
    trials = [_watched(action)]
    if context.suite.worker.one_shot:
        trials.append(Trial(history=steps(action), mode=RunMode.ONE_SHOT, is_watched=True))
    for each in trials:
        if unread:
            opened |= context.run(each).outcomes[0].opened
            unread -= opened
    known = opened & (declared | context.suite.worker.tool_inputs.keys())
    context.note_access(
        InputAccess(action=action.name, read=tuple(sorted(known)), unread=tuple(sorted(unread)))
    )
    return sorted(unread)


def _finding(action: SuiteAction, unread: list[str]) -> Finding:
    more = f" and {len(unread) - _SHOWN} more" if len(unread) > _SHOWN else ""
    return Finding(
        code="RPW207",
        severity=Severity.INFO,
        victim=action.name,
        summary=f"{action.name} declares inputs that it never reads: "
        f"{', '.join(unread[:_SHOWN])}{more}",
        evidence="according to inotify, neither a fresh worker nor a one-shot run opened them; the "
        "action runs again whenever one of them changes",
        history=steps(action),
    )


def _note(context: CheckContext, text: str) -> None:
    known = context.notes.get("RPW207")
    context.notes["RPW207"] = f"{known}; {text}" if known else text

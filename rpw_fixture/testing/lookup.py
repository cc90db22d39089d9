"""Which execution an assertion is about, however the test names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Union

from rpw_fixture.client.action import Action
from rpw_fixture.testing import explain
from rpw_fixture.testing.records import ActionRecord, Actions

if TYPE_CHECKING:
    from rpw_fixture.client import ActionOutcome

#: What assertions take: an outcome, an action (its last execution), a record, or a selection.
Subject = Union["ActionOutcome", Action, ActionRecord, Actions]


def find(actions: Actions, operation: str) -> ActionRecord | None:
    """The execution with that operation."""
    return next((each for each in actions if each.operation == operation), None)


def subject_of(
    subject: ActionOutcome | Action | ActionRecord, known: Actions, digest: Callable[[Action], str]
) -> ActionRecord:
    """The record of one execution.

    Args:
        known: all there are.
        digest: gives an action's digest ``hash/size``.

    Raises:
        AssertionError: when it was not run here, with those most like it that were.
        TypeError: for anything else than an action.
    """
    __tracebackhide__ = True
    if isinstance(subject, Action):
        wanted = ActionRecord(
            action=digest(subject),
            operation="",
            mnemonic=subject.mnemonic,
            target=subject.target,
        )
    elif isinstance(subject, ActionRecord):
        wanted = subject
    elif hasattr(subject, "operation"):
        wanted = ActionRecord(
            action=subject.digest,
            operation=subject.operation,
            mnemonic=subject.action.mnemonic,
            target=subject.action.target,
        )
    else:
        raise TypeError(f"{subject!r} is no action, outcome, record or selection of actions")
    # Two clients that want the same action at the same time share one execution and its record.
    found = find(known, wanted.operation) or next(iter(reversed(known.of(wanted.action))), None)
    if found is None:
        shown = explain.listed(explain.nearest(known, wanted))
        raise AssertionError(f"{wanted} was not run on this server.\n\nactions that were:\n{shown}")
    return found


def unmarked_inputs(subject: Subject, part: str) -> list[str]:
    """Paths that contain ``part`` and are inputs, but no tool inputs, as far as the subject knows."""
    action = getattr(subject, "action", subject)
    if not isinstance(action, Action):
        return []
    return [path for path in action.inputs if part in path]

"""Find the execution that an assertion is about, from what the test passes to it."""

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


def action_of(subject: Action | ActionOutcome) -> Action:
    """Return an action, or the action of an outcome.

    Raises:
        TypeError: for anything else, such as a record, which has no files.
    """
    action = getattr(subject, "action", subject)
    if not isinstance(action, Action):
        raise TypeError(f"{subject!r} is not an Action or an ActionOutcome")
    return action


def find(actions: Actions, operation: str) -> ActionRecord | None:
    """Return the execution with this operation, else None."""
    return next((each for each in actions if each.operation == operation), None)


def subject_of(
    subject: ActionOutcome | Action | ActionRecord, known: Actions, digest: Callable[[Action], str]
) -> ActionRecord:
    """Return the record of one execution.

    Args:
        known: all executions on the server.
        digest: computes an action's digest ``hash/size``.

    Raises:
        AssertionError: if it did not run on this server; names the actions most like it.
        TypeError: for anything that does not stand for an action.
    """
    __tracebackhide__ = True
    wanted = _wanted(subject, digest)
    # Two clients that want the same action at the same time share one execution and its record.
    record = find(known, wanted.operation) or next(iter(reversed(known.of(wanted.action))), None)
    if record is None:
        shown = explain.listed(explain.nearest(known, wanted))
        raise AssertionError(
            f"{wanted} did not run on this server since its last reset.\n\n"
            f"Actions that did:\n{shown}"
        )
    return record


def _wanted(
    subject: ActionOutcome | Action | ActionRecord, digest: Callable[[Action], str]
) -> ActionRecord:
    """Return a record with what identifies the execution, made from whatever the test passed."""
    if isinstance(subject, ActionRecord):
        return subject
    if isinstance(subject, Action):
        action, name, operation = subject, digest(subject), ""
    elif hasattr(subject, "operation"):
        action, name, operation = subject.action, subject.digest, subject.operation
    else:
        raise TypeError(
            f"{subject!r} is not an Action, an ActionOutcome, an ActionRecord or a selection of "
            "server.actions"
        )
    return ActionRecord(
        action=name, operation=operation, mnemonic=action.mnemonic, target=action.target
    )


def unmarked_inputs(subject: Subject, part: str) -> list[str]:
    """Return the paths of inputs that contain ``part`` and are not tool inputs, if they are known."""
    action = getattr(subject, "action", subject)
    if not isinstance(action, Action):
        return []
    return [path for path in action.inputs if part in path]

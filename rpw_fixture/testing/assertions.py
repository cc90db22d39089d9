"""The assertions about actions and workers: what must hold and, if it does not, why.

Each function takes records and returns nothing, or raises AssertionError. The text of the error names
what was expected, then the cause, then the next step, then the evidence. What cannot be judged, because
the server runs outside of the test, raises `unittest.SkipTest`, which pytest and unittest both take as a
skip.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from unittest import SkipTest

from rpw_fixture.events.actions import Mode
from rpw_fixture.events.kinds import InternalError, KeyComponents
from rpw_fixture.events.log import EventLog
from rpw_fixture.support import globs
from rpw_fixture.support.plurals import counted
from rpw_fixture.testing import explain, remedies
from rpw_fixture.testing.records import ActionRecord, Actions, WorkerRecord, Workers
from rpw_fixture.testing.starts import starts_of
from rpw_fixture.workers.key import ToolInputs, differences

_MAX_DIFFERENCES = 11
_MAX_ERRORS = 3
_MAX_STARTS = 12
_ISSUES = "https://github.com/rpw-fixture/rpw_fixture/issues"


def worker_reused(actions: Sequence[ActionRecord], workers: Workers) -> None:
    """Assert that one worker served all ``actions``, and was warm for all but the first.

    A single action must have run on a worker that had served before.
    """
    __tracebackhide__ = True
    if not actions:
        raise AssertionError(
            "Expected a reused worker, but there is no action to look at: none was given, or the "
            "selection is empty."
        )
    actions = sorted(actions, key=lambda action: action.seq)
    for action in actions:
        _require_worker(action, actions)
    first = actions[0]
    for action in actions[1:]:
        if action.worker != first.worker:
            raise AssertionError(_not_shared(first, action, actions, workers))
    if len(actions) == 1 and not first.reused:
        _require_seen(first, f"whether worker {first.worker} had served before")
        raise AssertionError(_not_warm(first, workers))


def on_worker(actions: Sequence[ActionRecord]) -> None:
    """Assert that a worker served each action."""
    __tracebackhide__ = True
    if not actions:
        raise AssertionError(
            "Expected actions on workers, but there is no action to look at: none was given, or the "
            "selection is empty."
        )
    for action in actions:
        _require_worker(action, actions)


def workers_at_most(most: int, actions: Actions, workers: Workers) -> None:
    """Assert that at most ``most`` workers were started."""
    __tracebackhide__ = True
    unseen = next((each for each in actions if each.mode == Mode.UNSEEN), None)
    if unseen is not None:
        raise SkipTest(f"{_unseen(unseen)} does not show how many workers were started")
    if len(workers) <= most:
        return
    lines: list[str] = []
    starts = starts_of(actions, workers)
    for start in starts:
        what = f" for {start.action}" if start.action is not None else ""
        lines.append(f"worker {start.worker.worker}{what}: {start.text}")
    remedies_of_starts = (start.remedy for start in starts if start.remedy)
    raise AssertionError(
        _text(
            f"Expected at most {counted(most, 'worker')}, but {len(workers)} were started.",
            explain.indented(lines[:_MAX_STARTS])
            + (f"\n  … and {len(lines) - _MAX_STARTS} more" if len(lines) > _MAX_STARTS else ""),
            "\n".join(dict.fromkeys(remedies_of_starts)),
        )
    )


def worker_restarted(
    before: ActionRecord,
    after: ActionRecord,
    because: str | None,
    workers: Workers,
    unmarked: Sequence[str] = (),
) -> None:
    """Assert that two workers served ``before`` and ``after``, for a reason with ``because`` in it.

    Args:
        unmarked: inputs that ``because`` may mean, although they are not tool inputs.
    """
    __tracebackhide__ = True
    for action in (before, after):
        _require_worker(action, [before, after])
    if before.worker == after.worker:
        raise AssertionError(_not_restarted(before, after, because, unmarked))
    if because is None:
        return
    _require_seen(before, f"why worker {before.worker} was not reused")
    reasons = _restart_reasons(before, after, workers)
    if any(because in reason for reason in reasons):
        return
    raise AssertionError(
        _text(
            f"Worker {after.worker} replaced worker {before.worker}, "
            f"but not because of {because!r}.",
            "Reasons found:\n" + (explain.indented(reasons) or "  none"),
            _key_comparison(before, after),
            _ended_workers([before], workers),
        )
    )


def one_shot(action: ActionRecord, because: str | None) -> None:
    """Assert that ``action`` ran one-shot, for a reason that contains ``because``."""
    __tracebackhide__ = True
    if action.mode == Mode.UNSEEN:
        raise SkipTest(f"{_unseen(action)} does not show whether it ran one-shot")
    if action.mode != Mode.ONE_SHOT:
        key = action.key_components
        raise AssertionError(
            _text(
                f"Expected a one-shot run, but {explain.describe(action)}.",
                remedies.cause_and_fix(action),
                "Its worker key:\n" + explain.key_list(key) if key else "",
            )
        )
    if because is None:
        return
    _require_seen(action, "why it ran one-shot")
    if because not in action.reason:
        raise AssertionError(
            f"{action} ran one-shot, but not because of {because!r}.\n\n"
            f"Reason found:\n  {action.reason}"
        )


def tool_inputs(action: ActionRecord, paths: Iterable[str], actions: Actions) -> None:
    """Assert that the tool inputs of ``action`` are those that ``paths``, which may be globs, name."""
    __tracebackhide__ = True
    _require_seen(action, "what its tool inputs were")
    actual = _tool_inputs_of(action, actions)
    expected = [paths] if isinstance(paths, str) else list(paths)
    extra = [path for path in actual if not globs.matcher(expected)(path)]
    missing = [path for path in expected if not any(map(globs.matcher([path]), actual))]
    if not extra and not missing:
        return
    lines = [*(f"- {path}" for path in missing), *(f"+ {path}" for path in extra)]
    lines += [f"  {path}" for path in actual if path not in extra]
    raise AssertionError(
        _text(
            f"The tool inputs of {action} are not as expected: "
            f"{len(missing)} missing (-), {len(extra)} unexpected (+).",
            explain.indented(lines),
            remedies.MISSING_TOOL_INPUT if missing else remedies.EXTRA_TOOL_INPUT,
        )
    )


def no_internal_error(events: EventLog) -> None:
    """Assert that no code of the server raised an unexpected exception."""
    __tracebackhide__ = True
    errors = events.of(InternalError)
    if not errors:
        return
    shown = [f"In {error.where}:\n{error.detail.rstrip()}" for error in errors[:_MAX_ERRORS]]
    if len(errors) > _MAX_ERRORS:
        shown.append(f"… and {len(errors) - _MAX_ERRORS} more")
    number = counted(len(errors), "internal error")
    raise AssertionError(
        _text(
            f"The server had {number}: a bug of rpw_fixture, not of the test.",
            f"Fix: please report it with the text below: {_ISSUES}",
            *shown,
        )
    )


def _require_worker(action: ActionRecord, actions: Sequence[ActionRecord]) -> None:
    __tracebackhide__ = True
    if action.mode == Mode.UNSEEN:
        raise SkipTest(f"{_unseen(action)} does not show which worker process served it")
    if action.worker is not None:
        return
    raise AssertionError(
        _text(
            f"Expected a worker to serve {action}, but it "
            f"{explain.how_it_ran(action)}{explain.ending(action)}.",
            remedies.cause_and_fix(action),
            f"Actions:\n{explain.listed(actions)}" if len(actions) > 1 else "",
        )
    )


def _require_seen(action: ActionRecord, what: str) -> None:
    is_seen = action.key_components if action.mode == Mode.WORKER else action.reason
    if not is_seen:
        raise SkipTest(f"{_unseen(action)} does not show {what}")


def _unseen(action: ActionRecord) -> str:
    return f"{action} ran on a server that is not embedded in the test; its result"


def _not_shared(
    first: ActionRecord, other: ActionRecord, actions: Sequence[ActionRecord], workers: Workers
) -> str:
    different = differences(first.key_components, other.key_components)
    return _text(
        f"Expected one worker for {len(actions)} actions, "
        f"but workers {_worker_numbers(actions)} served them.",
        _key_cause(different) if different else _why_not_shared(first, other, workers),
        f"Actions:\n{explain.listed(actions)}",
        _key_comparison(first, other),
        _ended_workers([first, other], workers),
    )


def _not_warm(action: ActionRecord, workers: Workers) -> str:
    earlier = [worker for worker in workers if worker.seq < action.seq]
    different = list(action.differences)
    ended = [explain.life(worker) for worker in earlier if not worker.is_alive][-3:]
    return _text(
        f"Expected a warm worker to serve {action}, but worker {action.worker} was started for it.",
        _key_cause(different) if different else _why_none_fits(action, earlier),
        _comparison_with_closest(action, earlier),
        "\n".join(ended),
    )


def _comparison_with_closest(action: ActionRecord, workers: Sequence[WorkerRecord]) -> str:
    closest = min(
        (worker for worker in workers if worker.key_components),
        key=lambda worker: len(differences(worker.key_components, action.key_components)),
        default=None,
    )
    if closest is None or closest.key == action.key:
        return ""
    titles = (f"worker {closest.worker}", f"worker {action.worker}")
    return _table(closest.key_components, action.key_components, titles)


def _why_none_fits(action: ActionRecord, earlier: Sequence[WorkerRecord]) -> str:
    """Explain why no worker served an action that had no worker to compare with."""
    for worker in earlier:
        is_alive = worker.retired_at is None or worker.retired_at > action.time
        if worker.key == action.key and is_alive:
            return (
                f"Cause: worker {worker.worker} has the same worker key, but was busy with another "
                f"action.\n{remedies.OVERLAP}"
            )
    return f"Cause: no worker with its worker key was alive.\n{remedies.NO_WARM_WORKER}"


def _not_restarted(
    before: ActionRecord, after: ActionRecord, because: str | None, unmarked: Sequence[str]
) -> str:
    reason = f" because of {because!r}" if because is not None else ""
    cause = "Cause: both actions have the same worker key; only a changed key restarts a worker."
    for path in unmarked:
        cause += f"\n{path} is an input of {after}, but not a tool input, so it is not in the key."
    return _text(
        f"Expected a restart{reason}, but worker {before.worker} served both actions.",
        f"{cause}\n{remedies.MISSING_TOOL_INPUT}" if unmarked else cause,
        f"Actions:\n{explain.listed([before, after])}",
        "Worker key of both:\n" + explain.key_list(after.key_components)
        if after.key_components
        else "",
    )


def _why_not_shared(first: ActionRecord, other: ActionRecord, workers: Workers) -> str:
    """Explain why equal keys did not lead to the same worker."""
    worker = _worker_of(first, workers)
    if worker is not None and worker.retired_at is not None and worker.retired_at <= other.time:
        return (
            f"Cause: the worker keys are equal, but worker {worker.worker} had ended: "
            f"{worker.retired}."
        )
    if first.time + first.seconds > other.time or not first.is_complete:
        return (
            f"Cause: the worker keys are equal, but worker {first.worker} was busy: "
            f"the actions overlapped.\n{remedies.OVERLAP}"
        )
    return f"Cause: the worker keys are equal, but worker {first.worker} was busy or was being retired."


def _restart_reasons(before: ActionRecord, after: ActionRecord, workers: Workers) -> list[str]:
    reasons = differences(before.key_components, after.key_components)
    worker = _worker_of(before, workers)
    if worker is not None and worker.retired is not None:
        reasons.append(f"worker {worker.worker} was retired: {worker.retired}")
    return reasons


def _tool_inputs_of(action: ActionRecord, actions: Actions) -> list[str]:
    """Return the tool inputs' paths; a cached action has those of its last execution."""
    __tracebackhide__ = True
    for execution in (action, *actions.of(action.action)):
        tools = dict(execution.key_components).get("tool input")
        if isinstance(tools, ToolInputs):
            return [file.path for file in tools.files]
        if execution.mode == Mode.ONE_SHOT and execution.reason.startswith("no tool input"):
            return []
    raise AssertionError(
        _text(
            f"The tool inputs of {action} are not known: it {explain.how_it_ran(action)}, and\n"
            "the server looks for tool inputs only when an action goes to a worker.",
            remedies.cause_and_fix(action),
        )
    )


def _key_comparison(before: ActionRecord, after: ActionRecord) -> str:
    old = before.key_components
    if not old or not after.key_components or old == after.key_components:
        return ""
    titles = (f"worker {before.worker}", f"worker {after.worker}")
    return _table(old, after.key_components, titles)


def _table(old: KeyComponents, new: KeyComponents, titles: tuple[str, str]) -> str:
    return f"Worker keys (! marks a difference):\n{explain.key_table(old, new, titles)}"


def _worker_numbers(actions: Sequence[ActionRecord]) -> str:
    numbers = sorted({action.worker for action in actions if action.worker is not None})
    *most, last = map(str, numbers)
    return f"{', '.join(most)} and {last}"


def _key_cause(different: Sequence[str]) -> str:
    shown = list(different[:_MAX_DIFFERENCES])
    if len(different) > _MAX_DIFFERENCES:
        shown.append(f"… and {len(different) - _MAX_DIFFERENCES} more")
    cause = "Cause: the worker keys differ:\n" + explain.indented(shown)
    fix = remedies.for_difference(different[0])
    return f"{cause}\n{fix}" if fix else cause


def _ended_workers(actions: Iterable[ActionRecord], workers: Workers) -> str:
    served = [_worker_of(action, workers) for action in actions]
    ended = [worker for worker in served if worker is not None and not worker.is_alive]
    return "\n".join(map(explain.life, ended))


def _worker_of(action: ActionRecord, workers: Workers) -> WorkerRecord | None:
    return next((worker for worker in workers if worker.worker == action.worker), None)


def _text(*paragraphs: str) -> str:
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)

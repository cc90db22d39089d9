"""The assertions about actions and workers: what holds, and if not, why, with the evidence.

Each is a function of records that returns nothing, or raises AssertionError with a whole explanation.
What can't be judged, because nobody watched the processes, raises `unittest.SkipTest`, which pytest
and unittest both take as a skip.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from unittest import SkipTest

from rpw_fixture.events.kinds import InternalError, KeyComponents
from rpw_fixture.events.log import EventLog
from rpw_fixture.support import globs
from rpw_fixture.testing import explain
from rpw_fixture.testing.records import ActionRecord, Actions, WorkerRecord, Workers
from rpw_fixture.workers.key import ToolInputs, differences

#: The mode of actions that ran out of our sight.
UNSEEN = "unseen"
_ADVICE_CACHED = "no worker was asked; run it with skip_cache_lookup=True to have it executed"


def worker_reused(actions: Sequence[ActionRecord], workers: Workers) -> None:
    """One worker served all ``actions``, and was warm for all but the first.

    A single action must have met a worker that had served before.
    """
    __tracebackhide__ = True
    if not actions:
        raise AssertionError("there is no action of which a worker could be reused")
    actions = sorted(actions, key=lambda each: each.seq)
    for each in actions:
        _require_worker(each, actions)
    first = actions[0]
    for each in actions[1:]:
        if each.worker != first.worker:
            raise AssertionError(_not_shared(first, each, actions, workers))
    if len(actions) == 1 and not first.reused:
        _require_seen(first, f"whether worker {first.worker} had served before")
        raise AssertionError(_not_warm(first, workers))


def worker_restarted(
    before: ActionRecord,
    after: ActionRecord,
    because: str | None,
    workers: Workers,
    unmarked: Sequence[str] = (),
) -> None:
    """Another worker served ``after`` than ``before``, for a reason that contains ``because``.

    Args:
        unmarked: inputs that ``because`` may mean, although they are no tool inputs.
    """
    __tracebackhide__ = True
    for each in (before, after):
        _require_worker(each, [before, after])
    if before.worker == after.worker:
        raise AssertionError(_not_restarted(before, after, because, unmarked))
    if because is None:
        return
    _require_seen(before, f"why worker {before.worker} was not reused")
    reasons = _reasons(before, after, workers)
    if any(because in reason for reason in reasons):
        return
    raise AssertionError(
        _text(
            f"Worker {after.worker} took the place of worker {before.worker}, "
            f"but not because of {because!r}.",
            "the reasons:\n" + (explain.indented(reasons) or "  none is known"),
            _comparison(before, after),
            _lives([before], workers),
        )
    )


def one_shot(action: ActionRecord, because: str | None) -> None:
    """``action`` ran as a process of its own, for a reason that contains ``because``."""
    __tracebackhide__ = True
    if action.mode == UNSEEN:
        raise SkipTest(f"{_unseen(action)} does not tell whether it ran one-shot")
    if action.mode != "one-shot":
        advice = f"  ({_ADVICE_CACHED})" if action.mode == "cache" else f"  routed: {action.reason}"
        key = action.key_components
        raise AssertionError(
            _text(
                "Expected a one-shot run.",
                f"  {explain.told(action)}\n{advice}",
                "its worker key:\n" + explain.key_list(key) if key else "",
            )
        )
    if because is None:
        return
    _require_seen(action, "why it ran one-shot")
    if because not in action.reason:
        raise AssertionError(
            f"{action} ran one-shot, but not because of {because!r}.\n\n"
            f"the reason:\n  {action.reason}"
        )


def tool_inputs(action: ActionRecord, paths: Iterable[str], actions: Actions) -> None:
    """The tool inputs of ``action`` are those that ``paths`` name; globs may stand for many."""
    __tracebackhide__ = True
    _require_seen(action, "what its tool inputs were")
    found = _tool_inputs_of(action, actions)
    wanted = list(paths)
    extra = [path for path in found if not globs.matcher(wanted)(path)]
    missing = [each for each in wanted if not any(map(globs.matcher([each]), found))]
    if not extra and not missing:
        return
    kept = [path for path in found if path not in extra]
    lines = [*(f"- {path}" for path in missing), *(f"+ {path}" for path in extra)]
    lines += [f"  {path}" for path in kept]
    raise AssertionError(
        _text(
            f"The tool inputs of {action} are not as expected: "
            f"{len(missing)} missing (-), {len(extra)} unexpected (+).",
            explain.indented(lines),
            "An input is a tool input when the client marks it bazel_tool_input "
            "or --tool-input matches it."
            if missing
            else "A change of any tool input restarts the worker.",
        )
    )


def no_internal_error(events: EventLog) -> None:
    """No code of the server raised."""
    __tracebackhide__ = True
    errors = events.of(InternalError)
    if errors:
        shown = "\n\n".join(f"in {each.where}:\n{each.detail.rstrip()}" for each in errors[:3])
        more = f"\n\n… and {len(errors) - 3} more" if len(errors) > 3 else ""
        raise AssertionError(
            f"The server met {len(errors)} internal error(s), which are bugs of rpw_fixture.\n\n"
            f"{shown}{more}"
        )


def _require_worker(action: ActionRecord, actions: Sequence[ActionRecord]) -> None:
    __tracebackhide__ = True
    if action.mode == UNSEEN:
        raise SkipTest(f"{_unseen(action)} does not tell which worker process served it")
    if action.worker is not None:
        return
    advice = f"({_ADVICE_CACHED})" if action.mode == "cache" else ""
    shown = explain.listed(actions) + (f"\n  {advice}" if advice else "")
    raise AssertionError(_text(f"{action} was not served by a worker.", f"actions:\n{shown}"))


def _require_seen(action: ActionRecord, what: str) -> None:
    is_seen = action.key_components if action.mode == "worker" else action.reason
    if not is_seen:
        raise SkipTest(f"{_unseen(action)} does not tell {what}")


def _unseen(action: ActionRecord) -> str:
    return f"{action} ran on a server that is not embedded in the test; its result"


def _not_shared(
    first: ActionRecord, other: ActionRecord, actions: Sequence[ActionRecord], workers: Workers
) -> str:
    told = differences(first.key_components, other.key_components)
    return _text(
        f"Expected one worker for {len(actions)} actions, found workers {_numbers(actions)}.",
        f"actions:\n{explain.listed(actions)}",
        _differences(told) if told else _why_not_shared(first, other, workers),
        _comparison(first, other),
        _lives([first, other], workers),
    )


def _not_warm(action: ActionRecord, workers: Workers) -> str:
    earlier = [each for each in workers if each.seq < action.seq]
    told = list(action.differences)
    why = _differences(told) if told else _why_none(action, earlier)
    closest = min(
        (each for each in earlier if each.key_components),
        key=lambda each: len(differences(each.key_components, action.key_components)),
        default=None,
    )
    table = ""
    if closest is not None and closest.key != action.key:
        table = "worker keys, ! marks what differs:\n" + explain.key_table(
            closest.key_components,
            action.key_components,
            (f"worker {closest.worker}", f"worker {action.worker}"),
        )
    lives = [explain.life(each) for each in earlier if not each.is_alive][-3:]
    return _text(
        f"Expected {action} to be served by a worker that was warm.",
        f"  {explain.told(action)}",
        why,
        table,
        "\n".join(lives),
    )


def _why_none(action: ActionRecord, earlier: Sequence[WorkerRecord]) -> str:
    """Why no worker served an action that had no worker to compare with."""
    for each in earlier:
        is_alive = each.retired_at is None or each.retired_at > action.time
        if each.key == action.key and is_alive:
            return f"worker {each.worker} has the same key, but was busy with another action"
    return "no worker was alive that could have served it"


def _not_restarted(
    before: ActionRecord, after: ActionRecord, because: str | None, unmarked: Sequence[str]
) -> str:
    expected = f" because of {because!r}" if because is not None else ""
    return _text(
        f"Expected a restart{expected}, but worker {before.worker} served both actions.",
        f"actions:\n{explain.listed([before, after])}",
        "their worker key, the same for both:\n" + explain.key_list(after.key_components)
        if after.key_components
        else "",
        "A worker is restarted when anything in its key changes; other inputs are not in it."
        + "".join(f"\n{path} is an input of {after}, but no tool input." for path in unmarked),
    )


def _why_not_shared(first: ActionRecord, other: ActionRecord, workers: Workers) -> str:
    """Why equal keys did not lead to the same worker."""
    worker = _worker(first, workers)
    if worker is not None and worker.retired_at is not None and worker.retired_at <= other.time:
        return f"Their keys are equal, but worker {worker.worker} was gone: {worker.retired}."
    if first.time + first.seconds > other.time or not first.is_complete:
        return (
            f"Their keys are equal, but worker {first.worker} was busy: the actions overlapped\n"
            "(max_workers_per_key=1 makes them wait)."
        )
    return f"Their keys are equal, but worker {first.worker} was busy or on its way out."


def _reasons(before: ActionRecord, after: ActionRecord, workers: Workers) -> list[str]:
    reasons = differences(before.key_components, after.key_components)
    worker = _worker(before, workers)
    if worker is not None and worker.retired is not None:
        reasons.append(f"worker {worker.worker} was retired: {worker.retired}")
    return reasons


def _tool_inputs_of(action: ActionRecord, actions: Actions) -> list[str]:
    """Paths of the tool inputs; a cached action's are those of an execution of the same action."""
    __tracebackhide__ = True
    for each in (action, *actions.of(action.action)):
        tools = dict(each.key_components).get("tool input")
        if isinstance(tools, ToolInputs):
            return [file.path for file in tools.files]
        if each.mode == "one-shot" and each.reason.startswith("no tool input"):
            return []
    raise AssertionError(
        _text(
            f"The tool inputs of {action} are not known:\n"
            "they matter, and are looked for, only when an action goes to a worker.",
            f"  {explain.told(action)}",
        )
    )


def _comparison(before: ActionRecord, after: ActionRecord) -> str:
    old: KeyComponents = before.key_components
    if not old or not after.key_components or old == after.key_components:
        return ""
    titles = (f"worker {before.worker}", f"worker {after.worker}")
    table = explain.key_table(old, after.key_components, titles)
    return f"worker keys, ! marks what differs:\n{table}"


def _numbers(actions: Sequence[ActionRecord]) -> str:
    found = sorted({each.worker for each in actions if each.worker is not None})
    *most, last = map(str, found)
    return f"{', '.join(most)} and {last}"


def _differences(told: Sequence[str]) -> str:
    first, *others = told
    also = "".join(f"\nalso: {each}" for each in others[:10])
    more = f"\n… and {len(others) - 10} more" if len(others) > 10 else ""
    return f"first difference: {first}{also}{more}"


def _lives(actions: Iterable[ActionRecord], workers: Workers) -> str:
    found = [_worker(each, workers) for each in actions]
    ended = [each for each in found if each is not None and not each.is_alive]
    return "\n".join(explain.life(each) for each in ended)


def _worker(action: ActionRecord, workers: Workers) -> WorkerRecord | None:
    return next((each for each in workers if each.worker == action.worker), None)


def _text(*paragraphs: str) -> str:
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)

"""The next step after a failed assertion: what to change so that an action gets the worker it should.

Texts only. docs/not-reused.md says the same at length.
"""

from __future__ import annotations

from rpw_fixture.events.actions import Mode
from rpw_fixture.testing.records import ActionRecord

MISSING_TOOL_INPUT = (
    "Fix: mark the files of the tool as tool inputs. Clients mark inputs with bazel_tool_input (Bazel:\n"
    "what is in tools or executable of the action); the server marks what --tool-input matches."
)
EXTRA_TOOL_INPUT = (
    "Fix: mark only files of the tool: a change of any tool input restarts the worker."
)
OVERLAP = (
    "Fix: run the actions one after the other, or set max_workers_per_key=1, which makes them wait."
)
NO_WARM_WORKER = (
    "Fix: run an action with the same worker key first, or pass both to assert_worker_reused."
)
_CACHED = "Cause: an equal action had run before, so no worker was asked."
_NOT_CACHED = "Fix: run it with skip_cache_lookup=True, so that it is executed."
#: By the first word of what differs between two worker keys.
_DIFFERENCES = {
    "persistentWorkerKey": "Fix: send the same persistentWorkerKey with both actions.",
    "tool input": "Fix: files that differ between actions must not be tool inputs; "
    "assert_tool_inputs shows which are.",
    "startup argument": "Fix: arguments that differ between actions belong in the flagfile.",
    "environment": "Fix: give both actions the same environment.",
    "working directory": "Fix: give both actions the same working directory.",
    "protocol": "Fix: give both actions the same persistentWorkerProtocol.",
    "cache-silo-key": "Fix: give both actions the same cache-silo-key.",
    "container": "Fix: give both actions the same container properties.",
}
#: By the condition that sent an action one-shot.
_ONE_SHOT = {
    "persistentWorkerKey": "Fix: Bazel from 6 on sends a key with "
    "--experimental_remote_mark_tool_inputs and\nexecution_requirements "
    '{"supports-workers": "1"}; for older ones set\n'
    'exec_properties = {"persistentWorkerKey": "…"} of the targets. In an Action: worker_key.',
    "tool input": "Fix: mark the files of the tool: tool_inputs of the Action, tools of the Bazel "
    "action, or --tool-input GLOB.",
    "flagfile": "Fix: put the arguments into a flagfile: flagfile of the Action, or in Bazel\n"
    'args.use_param_file("@%s", use_always = True).',
    "dockerReuse": "Fix: set the platform property dockerReuse to True.",
    "worker pool is full": "Fix: raise --max-workers-per-key or --max-workers, or build with fewer "
    "--jobs.",
}


def for_difference(difference: str) -> str:
    """Return what to do about a difference of two worker keys, empty when nothing is known."""
    return next((fix for name, fix in _DIFFERENCES.items() if difference.startswith(name)), "")


def for_one_shot(reason: str) -> str:
    """Return what to do so that an action goes to a worker, empty when nothing is known."""
    return next((fix for name, fix in _ONE_SHOT.items() if name in reason), "")


def cause_and_fix(action: ActionRecord) -> str:
    """Return why an action ran as it did, and how to have it run on a worker."""
    if action.mode == Mode.CACHE:
        return f"{_CACHED}\n{_NOT_CACHED}"
    if not action.reason:
        return ""
    cause = f"Cause: {action.reason}"
    fix = for_one_shot(action.reason) if action.mode == Mode.ONE_SHOT else ""
    return f"{cause}\n{fix}" if fix else cause

"""Every assertion holds, and fails with a whole text that was read and approved."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Callable
from typing import Any
from unittest import SkipTest

import pytest

from rpw_fixture import Action
from rpw_fixture.client import ActionOutcome, OutputFiles
from rpw_fixture.events.actions import Mode

from .event_script import KEY, EventScript, tools, with_changes

EDITED = with_changes(
    tool_inputs=tools("lib.py", "tool.py", lib="edited"),
    environment=(("LANG", "C"), ("PATH", "/bin")),
)


@pytest.fixture
def script() -> EventScript:
    return EventScript()


def failure_of(assertion: Callable[..., None], *arguments: Any, **options: Any) -> str:
    with pytest.raises(AssertionError) as failure:
        assertion(*arguments, **options)
    return str(failure.value)


def text(lines: str) -> str:
    return textwrap.dedent(lines).strip("\n")


def outcome(record: Any, **changes: Any) -> ActionOutcome:
    return ActionOutcome(
        **{
            "exit_code": 0,
            "stdout": b"",
            "stderr": b"",
            "outputs": OutputFiles({}),
            "action": Action(arguments=["x"], inputs={"lib.py": ""}),
            "digest": record.action,
            "operation": record.operation,
            **changes,
        }
    )


def test_one_worker_for_all_is_reuse(script: EventScript) -> None:
    records = [script.on_worker(name, 1) for name in "abc"]
    server = script.endpoint
    server.assert_worker_reused(*records)
    server.assert_worker_reused(*reversed(records))
    server.assert_worker_reused(server.actions)
    server.assert_worker_reused(outcome(records[0]), records[1])
    server.assert_worker_reused(records[1])


def test_workers_of_different_keys_are_compared(script: EventScript) -> None:
    script.on_worker("a", 1)
    second = script.routed("b", key=EDITED)
    script.refused(second, 1, KEY, EDITED)
    script.started(2, EDITED)
    script.sent(second, 2)
    script.completed(second, worker=2)
    failure = failure_of(script.endpoint.assert_worker_reused, script.endpoint.actions)
    assert failure == text("""
    Expected one worker for 2 actions, but workers 1 and 2 served them.

    Cause: the worker keys differ:
      tool input lib.py: 8156dd4d… → 1fb9f409…
      environment: LANG added
    Fix: files that differ between actions must not be tool inputs; assert_tool_inputs shows which are.

    Actions:
      Compile //pkg:a (ca978112…) ran on worker 1, started for it
      Compile //pkg:b (3e23e816…) ran on worker 2, started for it

    Worker keys (! marks a difference):
                             worker 1                            worker 2
        persistentWorkerKey  'demo'                              'demo'
      ! tool input lib.py    8156dd4d…                           1fb9f409…
        equal tool inputs    tool.py                             tool.py
        startup argument     python tool.py --persistent_worker  python tool.py --persistent_worker
      ! environment LANG     -                                   'C'
        protocol             'proto'                             'proto'
        digest function      'SHA256'                            'SHA256'
    """)


def test_a_single_action_must_have_met_a_warm_worker(script: EventScript) -> None:
    script.on_worker("a", 1)
    script.retired(1, "crash", exit_status=1, stderr_tail="Traceback\nMemoryError\n")
    second = script.on_worker("b", 2, EDITED)
    failure = failure_of(script.endpoint.assert_worker_reused, second)
    assert failure == text("""
    Expected a warm worker to serve Compile //pkg:b (3e23e816…), but worker 2 was started for it.

    Cause: no worker with its worker key was alive.
    Fix: run an action with the same worker key first, or pass both to assert_worker_reused.

    Worker keys (! marks a difference):
                             worker 1                            worker 2
        persistentWorkerKey  'demo'                              'demo'
      ! tool input lib.py    8156dd4d…                           1fb9f409…
        equal tool inputs    tool.py                             tool.py
        startup argument     python tool.py --persistent_worker  python tool.py --persistent_worker
      ! environment LANG     -                                   'C'
        protocol             'proto'                             'proto'
        digest function      'SHA256'                            'SHA256'

    worker 1 served 1 request and was retired: crash, exit status 1
      end of its stderr:
        Traceback
        MemoryError
    """)


def test_the_very_first_action_can_not_have_met_a_warm_worker(script: EventScript) -> None:
    failure = failure_of(script.endpoint.assert_worker_reused, script.on_worker("a", 1))
    assert failure == text("""
    Expected a warm worker to serve Compile //pkg:a (ca978112…), but worker 1 was started for it.

    Cause: no worker with its worker key was alive.
    Fix: run an action with the same worker key first, or pass both to assert_worker_reused.
    """)


def test_a_worker_that_was_busy_could_not_be_met(script: EventScript) -> None:
    script.started(1)
    script.sent(script.routed("a"), 1)
    second = script.on_worker("b", 2)
    failure = failure_of(script.endpoint.assert_worker_reused, second)
    assert failure == text("""
    Expected a warm worker to serve Compile //pkg:b (3e23e816…), but worker 2 was started for it.

    Cause: worker 1 has the same worker key, but was busy with another action.
    Fix: run the actions one after the other, or set max_workers_per_key=1, which makes them wait.
    """)


def test_a_worker_that_crashed_can_not_be_reused(script: EventScript) -> None:
    script.on_worker("a", 1)
    failed = script.routed("b")
    script.sent(failed, 1)
    script.violated(1, "text on stdout", "b'debug: parsing\\n'", failed)
    script.retired(1, "protocol violation: text on stdout", exit_status=-9, stderr_tail="loaded\n")
    message = "persistent worker 1: text …\n…"
    script.completed(failed, worker=1, reused=True, status="FAILED_PRECONDITION", message=message)
    script.on_worker("c", 2)
    failure = failure_of(script.endpoint.assert_worker_reused, script.endpoint.actions)
    assert failure == text("""
    Expected one worker for 3 actions, but workers 1 and 2 served them.

    Cause: the worker keys are equal, but worker 1 had ended: protocol violation: text on stdout.

    Actions:
      Compile //pkg:a (ca978112…) ran on worker 1, started for it
      Compile //pkg:b (3e23e816…) ran on worker 1, reused; FAILED_PRECONDITION: persistent worker 1: text …
      Compile //pkg:c (2e7d2c03…) ran on worker 2, started for it

    worker 1 served 2 requests and was retired: protocol violation: text on stdout, killed by signal 9
      text on stdout: b'debug: parsing\\n'
      end of its stderr:
        loaded
    """)


def test_actions_that_overlap_need_two_workers(script: EventScript) -> None:
    script.started(1)
    first = script.routed("a")
    script.sent(first, 1)
    script.started(2)
    second = script.routed("b")
    script.sent(second, 2)
    failure = failure_of(script.endpoint.assert_worker_reused, first, second)
    assert failure == text("""
    Expected one worker for 2 actions, but workers 1 and 2 served them.

    Cause: the worker keys are equal, but worker 1 was busy: the actions overlapped.
    Fix: run the actions one after the other, or set max_workers_per_key=1, which makes them wait.

    Actions:
      Compile //pkg:a (ca978112…) ran on worker 1, started for it; it has not ended yet
      Compile //pkg:b (3e23e816…) ran on worker 2, started for it; it has not ended yet
    """)


def test_an_action_that_ran_one_shot_reused_no_worker(script: EventScript) -> None:
    script.on_worker("a", 1)
    script.one_shot("b", "no flagfile in the command line")
    failure = failure_of(script.endpoint.assert_worker_reused, script.endpoint.actions)
    assert failure == text("""
    Expected a worker to serve Compile //pkg:b (3e23e816…), but it ran one-shot.

    Cause: no flagfile in the command line
    Fix: put the arguments into a flagfile: flagfile of the Action, or in Bazel
    args.use_param_file("@%s", use_always = True).

    Actions:
      Compile //pkg:a (ca978112…) ran on worker 1, started for it
      Compile //pkg:b (3e23e816…) ran one-shot: no flagfile in the command line
    """)


def test_a_cached_action_reused_no_worker(script: EventScript) -> None:
    script.on_worker("a", 1)
    failure = failure_of(script.endpoint.assert_worker_reused, script.cached("a"))
    assert failure == text("""
    Expected a worker to serve Compile //pkg:a (ca978112…), but it came from the action cache.

    Cause: an equal action had run before, so no worker was asked.
    Fix: run it with skip_cache_lookup=True, so that it is executed.
    """)


def test_no_action_at_all_reused_no_worker(script: EventScript) -> None:
    failure = failure_of(script.endpoint.assert_worker_reused, script.endpoint.actions)
    assert failure.startswith("Expected a reused worker, but there is no action to look at")


def test_another_worker_is_a_restart_and_the_reason_can_be_named(script: EventScript) -> None:
    before, after = script.on_worker("a", 1), script.on_worker("b", 2, EDITED)
    for reason in (None, "lib.py", "tool input lib.py", "environment: LANG added"):
        script.endpoint.assert_worker_restarted(before, after, because=reason)


def test_the_end_of_a_worker_is_a_reason_too(script: EventScript) -> None:
    before = script.on_worker("a", 1)
    script.retired(1, "crash", exit_status=1)
    after = script.on_worker("b", 2)
    script.endpoint.assert_worker_restarted(before, after, because="crash")


def test_a_restart_that_did_not_happen_names_inputs_that_are_not_marked(
    script: EventScript,
) -> None:
    before, after = script.on_worker("a", 1), script.on_worker("b", 1)
    failure = failure_of(
        script.endpoint.assert_worker_restarted, before, outcome(after), because="lib.py"
    )
    assert failure == text("""
    Expected a restart because of 'lib.py', but worker 1 served both actions.

    Cause: both actions have the same worker key; only a changed key restarts a worker.
    lib.py is an input of Compile //pkg:b (3e23e816…), but not a tool input, so it is not in the key.
    Fix: mark the files of the tool as tool inputs. Clients mark inputs with bazel_tool_input (Bazel:
    what is in tools or executable of the action); the server marks what --tool-input matches.

    Actions:
      Compile //pkg:a (ca978112…) ran on worker 1, started for it
      Compile //pkg:b (3e23e816…) ran on worker 1, reused

    Worker key of both:
      persistentWorkerKey  'demo'
      tool inputs          lib.py, tool.py
      startup argument     python tool.py --persistent_worker
      environment          PATH=/bin
      protocol             'proto'
      digest function      'SHA256'
    """)


def test_a_restart_for_another_reason_names_the_reasons(script: EventScript) -> None:
    before = script.on_worker("a", 1)
    script.retired(1, "idle timeout")
    after = script.on_worker("b", 2, EDITED)
    failure = failure_of(
        script.endpoint.assert_worker_restarted, before, after, because="startup argument"
    )
    assert failure == text("""
    Worker 2 replaced worker 1, but not because of 'startup argument'.

    Reasons found:
      tool input lib.py: 8156dd4d… → 1fb9f409…
      environment: LANG added
      worker 1 was retired: idle timeout

    Worker keys (! marks a difference):
                             worker 1                            worker 2
        persistentWorkerKey  'demo'                              'demo'
      ! tool input lib.py    8156dd4d…                           1fb9f409…
        equal tool inputs    tool.py                             tool.py
        startup argument     python tool.py --persistent_worker  python tool.py --persistent_worker
      ! environment LANG     -                                   'C'
        protocol             'proto'                             'proto'
        digest function      'SHA256'                            'SHA256'

    worker 1 served 1 request and was retired: idle timeout, exit status 0
    """)


def test_tool_inputs_can_be_named_and_globbed(script: EventScript) -> None:
    record = script.on_worker("a", 1)
    script.endpoint.assert_tool_inputs(record, ["tool.py", "lib.py"])
    script.endpoint.assert_tool_inputs(record, ["*.py"])
    script.endpoint.assert_tool_inputs(record, "*.py")
    script.endpoint.assert_tool_inputs(script.cached("a"), ["**"])
    script.endpoint.assert_tool_inputs(
        script.one_shot("b", "no tool input: no input is marked bazel_tool_input"), []
    )


def test_missing_and_unexpected_tool_inputs_are_marked(script: EventScript) -> None:
    record = script.on_worker("a", 1)
    failure = failure_of(
        script.endpoint.assert_tool_inputs, record, ["tool.py", "other.py", "data/**"]
    )
    assert failure == text("""
    The tool inputs of Compile //pkg:a (ca978112…) are not as expected: 2 missing (-), 1 unexpected (+).

      - other.py
      - data/**
      + lib.py
        tool.py

    Fix: mark the files of the tool as tool inputs. Clients mark inputs with bazel_tool_input (Bazel:
    what is in tools or executable of the action); the server marks what --tool-input matches.
    """)


def test_unexpected_tool_inputs_are_listed(script: EventScript) -> None:
    failure = failure_of(script.endpoint.assert_tool_inputs, script.on_worker("a", 1), ["tool.py"])
    assert failure == text("""
    The tool inputs of Compile //pkg:a (ca978112…) are not as expected: 0 missing (-), 1 unexpected (+).

      + lib.py
        tool.py

    Fix: mark only files of the tool: a change of any tool input restarts the worker.
    """)


def test_tool_inputs_of_a_one_shot_action_are_not_known(script: EventScript) -> None:
    record = script.one_shot("a", "persistentWorkerKey is not set")
    failure = failure_of(script.endpoint.assert_tool_inputs, record, ["tool.py"])
    assert failure == text("""
    The tool inputs of Compile //pkg:a (ca978112…) are not known: it ran one-shot, and
    the server looks for tool inputs only when an action goes to a worker.

    Cause: persistentWorkerKey is not set
    Fix: Bazel from 6 on sends a key with --experimental_remote_mark_tool_inputs and
    execution_requirements {"supports-workers": "1"}; for older ones set
    exec_properties = {"persistentWorkerKey": "…"} of the targets. In an Action: worker_key.
    """)


def test_a_one_shot_run_can_be_asserted_with_its_reason(script: EventScript) -> None:
    record = script.one_shot("a", "dockerReuse is not True, and container-image is set")
    script.endpoint.assert_one_shot(record)
    script.endpoint.assert_one_shot(record, because="dockerReuse")


def test_a_run_on_a_worker_is_not_one_shot(script: EventScript) -> None:
    failure = failure_of(script.endpoint.assert_one_shot, script.on_worker("a", 1))
    assert failure == text("""
    Expected a one-shot run, but Compile //pkg:a (ca978112…) ran on worker 1, started for it.

    Cause: persistentWorkerKey, 2 tool inputs and a flagfile are there

    Its worker key:
      persistentWorkerKey  'demo'
      tool inputs          lib.py, tool.py
      startup argument     python tool.py --persistent_worker
      environment          PATH=/bin
      protocol             'proto'
      digest function      'SHA256'
    """)


def test_a_cached_result_is_not_one_shot(script: EventScript) -> None:
    failure = failure_of(script.endpoint.assert_one_shot, script.cached("a"))
    assert failure == text("""
    Expected a one-shot run, but Compile //pkg:a (ca978112…) came from the action cache.

    Cause: an equal action had run before, so no worker was asked.
    Fix: run it with skip_cache_lookup=True, so that it is executed.
    """)


def test_a_one_shot_run_for_another_reason_names_the_reason(script: EventScript) -> None:
    record = script.one_shot("a", "no flagfile in the command line")
    failure = failure_of(script.endpoint.assert_one_shot, record, because="tool input")
    assert failure == text("""
    Compile //pkg:a (ca978112…) ran one-shot, but not because of 'tool input'.

    Reason found:
      no flagfile in the command line
    """)


def test_an_action_that_did_not_run_is_named_with_those_that_did(script: EventScript) -> None:
    wanted = EventScript().on_worker("a", 1)
    wanted = dataclasses.replace(wanted, operation="elsewhere/1")
    script.one_shot("b", "no flagfile in the command line")
    script.on_worker("c", 1)
    failure = failure_of(script.endpoint.assert_one_shot, wanted)
    assert failure == text("""
    Compile //pkg:a (ca978112…) did not run on this server since its last reset.

    Actions that did:
      Compile //pkg:b (3e23e816…) ran one-shot: no flagfile in the command line
      Compile //pkg:c (2e7d2c03…) ran on worker 1, started for it
    """)


def test_an_outcome_whose_operation_was_shared_stands_for_the_latest_execution(
    script: EventScript,
) -> None:
    record = script.one_shot("a", "no flagfile in the command line")
    script.endpoint.assert_one_shot(outcome(record, operation="merged/2"))


def test_what_is_not_an_action_is_refused(script: EventScript) -> None:
    with pytest.raises(TypeError, match="is not an Action, an ActionOutcome"):
        script.endpoint.assert_one_shot(b"digest")  # type: ignore[arg-type]  # what is tested


def test_a_selection_of_many_is_no_single_action(script: EventScript) -> None:
    script.on_worker("a", 1)
    script.on_worker("b", 1)
    failure = failure_of(script.endpoint.assert_one_shot, script.endpoint.actions)
    assert failure.startswith("Expected exactly one of actions, found 2")


def test_internal_errors_are_shown_and_none_passes(script: EventScript) -> None:
    script.endpoint.assert_no_internal_error()
    script.bug("execution of action 12/3", "Traceback (…):\n  …\nKeyError: 'x'\n")
    failure = failure_of(script.endpoint.assert_no_internal_error)
    assert failure == text("""
    The server had 1 internal error: a bug of rpw_fixture, not of the test.

    Fix: please report it with the text below: https://github.com/rpw-fixture/rpw_fixture/issues

    In execution of action 12/3:
    Traceback (…):
      …
    KeyError: 'x'
    """)


def test_what_results_do_not_show_is_skipped_with_that_reason(script: EventScript) -> None:
    seen_nowhere = script.completed(script.routed("a", mode=Mode.UNSEEN, key=None, reason=""))
    for assertion in (script.endpoint.assert_worker_reused, script.endpoint.assert_one_shot):
        with pytest.raises(SkipTest, match="not embedded in the test; its result does not show"):
            assertion(seen_nowhere)
    with pytest.raises(SkipTest, match="does not show what its tool inputs were"):
        script.endpoint.assert_tool_inputs(seen_nowhere, ["x"])

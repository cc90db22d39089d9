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
from rpw_fixture.testing.assertions import UNSEEN

from .event_script import KEY, Story, tools, with_changes

EDITED = with_changes(
    tool_inputs=tools("lib.py", "tool.py", lib="edited"),
    environment=(("LANG", "C"), ("PATH", "/bin")),
)


@pytest.fixture
def story() -> Story:
    return Story()


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


def test_one_worker_for_all_is_reuse(story: Story) -> None:
    records = [story.on_worker(name, 1) for name in "abc"]
    server = story.endpoint
    server.assert_worker_reused(*records)
    server.assert_worker_reused(*reversed(records))
    server.assert_worker_reused(server.actions)
    server.assert_worker_reused(outcome(records[0]), records[1])
    server.assert_worker_reused(records[1])


def test_workers_of_different_keys_are_compared(story: Story) -> None:
    story.on_worker("a", 1)
    second = story.routed("b", key=EDITED)
    story.refused(second, 1, KEY, EDITED)
    story.started(2, EDITED)
    story.sent(second, 2)
    story.completed(second, worker=2)
    told = failure_of(story.endpoint.assert_worker_reused, story.endpoint.actions)
    assert told == text("""
    Expected one worker for 2 actions, found workers 1 and 2.

    actions:
      Compile //pkg:a (ca978112…) ran on worker 1, started for it
      Compile //pkg:b (3e23e816…) ran on worker 2, started for it

    first difference: tool input lib.py: 8156dd4d… → 1fb9f409…
    also: environment: LANG added

    worker keys, ! marks what differs:
                             worker 1                            worker 2
        persistentWorkerKey  'demo'                              'demo'
      ! tool input lib.py    8156dd4d…                           1fb9f409…
        tool inputs alike    tool.py                             tool.py
        startup argument     python tool.py --persistent_worker  python tool.py --persistent_worker
      ! environment LANG     -                                   'C'
        protocol             'proto'                             'proto'
        digest function      'SHA256'                            'SHA256'
    """)


def test_a_single_action_must_have_met_a_warm_worker(story: Story) -> None:
    story.on_worker("a", 1)
    story.retired(1, "crash", exit_status=1, stderr_tail="Traceback\nMemoryError\n")
    second = story.on_worker("b", 2, EDITED)
    told = failure_of(story.endpoint.assert_worker_reused, second)
    assert told == text("""
    Expected Compile //pkg:b (3e23e816…) to be served by a worker that was warm.

      Compile //pkg:b (3e23e816…) ran on worker 2, started for it

    no worker was alive that could have served it

    worker keys, ! marks what differs:
                             worker 1                            worker 2
        persistentWorkerKey  'demo'                              'demo'
      ! tool input lib.py    8156dd4d…                           1fb9f409…
        tool inputs alike    tool.py                             tool.py
        startup argument     python tool.py --persistent_worker  python tool.py --persistent_worker
      ! environment LANG     -                                   'C'
        protocol             'proto'                             'proto'
        digest function      'SHA256'                            'SHA256'

    worker 1 served 1 request and was retired: crash, exit status 1
      its stderr ends with:
        Traceback
        MemoryError
    """)


def test_the_very_first_action_can_not_have_met_a_warm_worker(story: Story) -> None:
    told = failure_of(story.endpoint.assert_worker_reused, story.on_worker("a", 1))
    assert told == text("""
    Expected Compile //pkg:a (ca978112…) to be served by a worker that was warm.

      Compile //pkg:a (ca978112…) ran on worker 1, started for it

    no worker was alive that could have served it
    """)


def test_a_worker_that_was_busy_could_not_be_met(story: Story) -> None:
    story.started(1)
    story.sent(story.routed("a"), 1)
    second = story.on_worker("b", 2)
    told = failure_of(story.endpoint.assert_worker_reused, second)
    assert told == text("""
    Expected Compile //pkg:b (3e23e816…) to be served by a worker that was warm.

      Compile //pkg:b (3e23e816…) ran on worker 2, started for it

    worker 1 has the same key, but was busy with another action
    """)


def test_a_worker_that_crashed_can_not_be_reused(story: Story) -> None:
    story.on_worker("a", 1)
    failed = story.routed("b")
    story.sent(failed, 1)
    story.violated(1, "text on stdout", "b'debug: parsing\\n'", failed)
    story.retired(1, "protocol violation: text on stdout", exit_status=-9, stderr_tail="loaded\n")
    message = "persistent worker 1: text …\n…"
    story.completed(failed, worker=1, reused=True, status="FAILED_PRECONDITION", message=message)
    story.on_worker("c", 2)
    told = failure_of(story.endpoint.assert_worker_reused, story.endpoint.actions)
    assert told == text("""
    Expected one worker for 3 actions, found workers 1 and 2.

    actions:
      Compile //pkg:a (ca978112…) ran on worker 1, started for it
      Compile //pkg:b (3e23e816…) ran on worker 1, reused; FAILED_PRECONDITION: persistent worker 1: text …
      Compile //pkg:c (2e7d2c03…) ran on worker 2, started for it

    Their keys are equal, but worker 1 was gone: protocol violation: text on stdout.

    worker 1 served 2 requests and was retired: protocol violation: text on stdout, killed by signal 9
      text on stdout: b'debug: parsing\\n'
      its stderr ends with:
        loaded
    """)


def test_actions_that_overlap_need_two_workers(story: Story) -> None:
    story.started(1)
    first = story.routed("a")
    story.sent(first, 1)
    story.started(2)
    second = story.routed("b")
    story.sent(second, 2)
    told = failure_of(story.endpoint.assert_worker_reused, first, second)
    assert told == text("""
    Expected one worker for 2 actions, found workers 1 and 2.

    actions:
      Compile //pkg:a (ca978112…) ran on worker 1, started for it; it has not ended
      Compile //pkg:b (3e23e816…) ran on worker 2, started for it; it has not ended

    Their keys are equal, but worker 1 was busy: the actions overlapped
    (max_workers_per_key=1 makes them wait).
    """)


def test_an_action_that_ran_one_shot_reused_no_worker(story: Story) -> None:
    story.on_worker("a", 1)
    story.one_shot("b", "no flagfile in the command line")
    told = failure_of(story.endpoint.assert_worker_reused, story.endpoint.actions)
    assert told == text("""
    Compile //pkg:b (3e23e816…) was not served by a worker.

    actions:
      Compile //pkg:a (ca978112…) ran on worker 1, started for it
      Compile //pkg:b (3e23e816…) ran one-shot: no flagfile in the command line
    """)


def test_a_cached_action_reused_no_worker(story: Story) -> None:
    story.on_worker("a", 1)
    told = failure_of(story.endpoint.assert_worker_reused, story.cached("a"))
    assert told == text("""
    Compile //pkg:a (ca978112…) was not served by a worker.

    actions:
      Compile //pkg:a (ca978112…) came from the action cache
      (no worker was asked; run it with skip_cache_lookup=True to have it executed)
    """)


def test_no_action_at_all_reused_no_worker(story: Story) -> None:
    told = failure_of(story.endpoint.assert_worker_reused, story.endpoint.actions)
    assert told == "there is no action of which a worker could be reused"


def test_another_worker_is_a_restart_and_the_reason_can_be_named(story: Story) -> None:
    before, after = story.on_worker("a", 1), story.on_worker("b", 2, EDITED)
    for reason in (None, "lib.py", "tool input lib.py", "environment: LANG added"):
        story.endpoint.assert_worker_restarted(before, after, because=reason)


def test_the_end_of_a_worker_is_a_reason_too(story: Story) -> None:
    before = story.on_worker("a", 1)
    story.retired(1, "crash", exit_status=1)
    after = story.on_worker("b", 2)
    story.endpoint.assert_worker_restarted(before, after, because="crash")


def test_a_restart_that_did_not_happen_names_inputs_that_are_not_marked(story: Story) -> None:
    before, after = story.on_worker("a", 1), story.on_worker("b", 1)
    told = failure_of(
        story.endpoint.assert_worker_restarted, before, outcome(after), because="lib.py"
    )
    assert told == text("""
    Expected a restart because of 'lib.py', but worker 1 served both actions.

    actions:
      Compile //pkg:a (ca978112…) ran on worker 1, started for it
      Compile //pkg:b (3e23e816…) ran on worker 1, reused

    their worker key, the same for both:
      persistentWorkerKey  'demo'
      tool inputs          lib.py, tool.py
      startup argument     python tool.py --persistent_worker
      environment          PATH=/bin
      protocol             'proto'
      digest function      'SHA256'

    A worker is restarted when anything in its key changes; other inputs are not in it.
    lib.py is an input of Compile //pkg:b (3e23e816…), but no tool input.
    """)


def test_a_restart_for_another_reason_names_the_reasons(story: Story) -> None:
    before = story.on_worker("a", 1)
    story.retired(1, "idle timeout")
    after = story.on_worker("b", 2, EDITED)
    told = failure_of(
        story.endpoint.assert_worker_restarted, before, after, because="startup argument"
    )
    assert told == text("""
    Worker 2 took the place of worker 1, but not because of 'startup argument'.

    the reasons:
      tool input lib.py: 8156dd4d… → 1fb9f409…
      environment: LANG added
      worker 1 was retired: idle timeout

    worker keys, ! marks what differs:
                             worker 1                            worker 2
        persistentWorkerKey  'demo'                              'demo'
      ! tool input lib.py    8156dd4d…                           1fb9f409…
        tool inputs alike    tool.py                             tool.py
        startup argument     python tool.py --persistent_worker  python tool.py --persistent_worker
      ! environment LANG     -                                   'C'
        protocol             'proto'                             'proto'
        digest function      'SHA256'                            'SHA256'

    worker 1 served 1 request and was retired: idle timeout, exit status 0
    """)


def test_tool_inputs_can_be_named_and_globbed(story: Story) -> None:
    record = story.on_worker("a", 1)
    story.endpoint.assert_tool_inputs(record, ["tool.py", "lib.py"])
    story.endpoint.assert_tool_inputs(record, ["*.py"])
    story.endpoint.assert_tool_inputs(story.cached("a"), ["**"])
    story.endpoint.assert_tool_inputs(
        story.one_shot("b", "no tool input: no input is marked bazel_tool_input"), []
    )


def test_tool_inputs_that_differ_are_told_as_a_difference(story: Story) -> None:
    record = story.on_worker("a", 1)
    told = failure_of(story.endpoint.assert_tool_inputs, record, ["tool.py", "other.py", "data/**"])
    assert told == text("""
    The tool inputs of Compile //pkg:a (ca978112…) are not as expected: 2 missing (-), 1 unexpected (+).

      - other.py
      - data/**
      + lib.py
        tool.py

    An input is a tool input when the client marks it bazel_tool_input or --tool-input matches it.
    """)


def test_tool_inputs_beyond_the_expected_ones_are_told(story: Story) -> None:
    told = failure_of(story.endpoint.assert_tool_inputs, story.on_worker("a", 1), ["tool.py"])
    assert told == text("""
    The tool inputs of Compile //pkg:a (ca978112…) are not as expected: 0 missing (-), 1 unexpected (+).

      + lib.py
        tool.py

    A change of any tool input restarts the worker.
    """)


def test_tool_inputs_of_a_one_shot_action_are_not_known(story: Story) -> None:
    record = story.one_shot("a", "persistentWorkerKey is not set")
    told = failure_of(story.endpoint.assert_tool_inputs, record, ["tool.py"])
    assert told == text("""
    The tool inputs of Compile //pkg:a (ca978112…) are not known:
    they matter, and are looked for, only when an action goes to a worker.

      Compile //pkg:a (ca978112…) ran one-shot: persistentWorkerKey is not set
    """)


def test_a_one_shot_run_can_be_asserted_with_its_reason(story: Story) -> None:
    record = story.one_shot("a", "dockerReuse is not True, and container-image is set")
    story.endpoint.assert_one_shot(record)
    story.endpoint.assert_one_shot(record, because="dockerReuse")


def test_a_run_on_a_worker_is_not_one_shot(story: Story) -> None:
    told = failure_of(story.endpoint.assert_one_shot, story.on_worker("a", 1))
    assert told == text("""
    Expected a one-shot run.

      Compile //pkg:a (ca978112…) ran on worker 1, started for it
      routed: persistentWorkerKey, 2 tool input(s) and a flagfile are there

    its worker key:
      persistentWorkerKey  'demo'
      tool inputs          lib.py, tool.py
      startup argument     python tool.py --persistent_worker
      environment          PATH=/bin
      protocol             'proto'
      digest function      'SHA256'
    """)


def test_a_cached_result_is_not_one_shot(story: Story) -> None:
    told = failure_of(story.endpoint.assert_one_shot, story.cached("a"))
    assert told == text("""
    Expected a one-shot run.

      Compile //pkg:a (ca978112…) came from the action cache
      (no worker was asked; run it with skip_cache_lookup=True to have it executed)
    """)


def test_a_one_shot_run_for_another_reason_names_the_reason(story: Story) -> None:
    record = story.one_shot("a", "no flagfile in the command line")
    told = failure_of(story.endpoint.assert_one_shot, record, because="tool input")
    assert told == text("""
    Compile //pkg:a (ca978112…) ran one-shot, but not because of 'tool input'.

    the reason:
      no flagfile in the command line
    """)


def test_an_action_that_was_not_run_is_told_with_those_that_were(story: Story) -> None:
    wanted = Story().on_worker("a", 1)
    wanted = dataclasses.replace(wanted, operation="elsewhere/1")
    story.one_shot("b", "no flagfile in the command line")
    story.on_worker("c", 1)
    told = failure_of(story.endpoint.assert_one_shot, wanted)
    assert told == text("""
    Compile //pkg:a (ca978112…) was not run on this server.

    actions that were:
      Compile //pkg:b (3e23e816…) ran one-shot: no flagfile in the command line
      Compile //pkg:c (2e7d2c03…) ran on worker 1, started for it
    """)


def test_an_outcome_whose_operation_was_shared_stands_for_the_latest_execution(
    story: Story,
) -> None:
    record = story.one_shot("a", "no flagfile in the command line")
    story.endpoint.assert_one_shot(outcome(record, operation="merged/2"))


def test_what_is_no_action_is_refused(story: Story) -> None:
    with pytest.raises(TypeError, match="is no action, outcome, record or selection"):
        story.endpoint.assert_one_shot(b"digest")  # type: ignore[arg-type]  # what is tested


def test_a_selection_of_many_is_no_single_action(story: Story) -> None:
    story.on_worker("a", 1)
    story.on_worker("b", 1)
    told = failure_of(story.endpoint.assert_one_shot, story.endpoint.actions)
    assert told.startswith("expected one of actions, found 2")


def test_a_check_passes_without_internal_errors_and_tells_those_there_are(story: Story) -> None:
    story.endpoint.check()
    story.bug("execution of action 12/3", "Traceback (…):\n  …\nKeyError: 'x'\n")
    told = failure_of(story.endpoint.check)
    assert told == text("""
    The server met 1 internal error(s), which are bugs of rpw_fixture.

    in execution of action 12/3:
    Traceback (…):
      …
    KeyError: 'x'
    """)


def test_what_nobody_saw_is_skipped_with_that_reason(story: Story) -> None:
    seen_nowhere = story.completed(story.routed("a", mode=UNSEEN, key=None, reason=""))
    for assertion in (story.endpoint.assert_worker_reused, story.endpoint.assert_one_shot):
        with pytest.raises(SkipTest, match="not embedded in the test; its result does not tell"):
            assertion(seen_nowhere)
    with pytest.raises(SkipTest, match="does not tell what its tool inputs were"):
        story.endpoint.assert_tool_inputs(seen_nowhere, ["x"])

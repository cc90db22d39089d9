"""What users have run into as workers failed or were left, each test named after the issue that reports it.

SCENARIOS.md lists them among all others.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from rpw_fixture.events.kinds import RequestCancelled, WorkerRetired
from rpw_fixture.pytest_plugin import MakeServer
from rpw_fixture.testing.endpoint import Endpoint

from .worker_actions import (
    CANCELLATION,
    MUX,
    SANDBOX,
    action,
    begun,
    compile_action,
    probe_action,
    run_all,
    wait_for,
)


def failure_of(server: Endpoint, script: str, *startup: str, timeout: float = 20.0) -> str:
    """Return the message of an action whose worker misbehaves."""
    outcome = server.run(
        compile_action("x", script=script, startup=startup, timeout=timeout), check=False
    )
    assert outcome.status in {"FAILED_PRECONDITION", "DEADLINE_EXCEEDED"}, outcome
    return outcome.message


def test_buildbuddy_2132_the_error_carries_the_end_of_stderr(rpw_server: Endpoint) -> None:
    message = failure_of(rpw_server, "crashing.py")
    assert "worker's stderr ends with:\ncrashing.py: the native library gave up" in message


def test_bazel_4897_text_on_stdout_is_diagnosed(rpw_server: Endpoint) -> None:
    prints = "print('console.log was here', flush=True); import sys; sys.stdin.read()"
    outcome = rpw_server.run(action("p.py", tool_inputs={"tools/p.py": prints}), check=False)
    assert "text on stdout: 'console.log was here" in outcome.message
    assert "print to stderr" in outcome.message


def test_bazel_8505_a_warning_between_responses_is_diagnosed(rpw_server: Endpoint) -> None:
    noisy = {"script": "noisy.py", "startup": ["--between"]}
    assert rpw_server.run(compile_action("a", **noisy)).ok
    outcome = rpw_server.run(compile_action("b", **noisy), check=False)
    assert outcome.status == "FAILED_PRECONDITION"
    assert "text on stdout: 'warning: the tiny compiler is up" in outcome.message


def test_rules_java_158_a_banner_before_the_first_response_is_diagnosed(
    rpw_server: Endpoint,
) -> None:
    assert "text on stdout: 'Welcome to the tiny compiler" in failure_of(rpw_server, "noisy.py")


def test_bazel_6009_and_5767_half_a_frame_before_the_end_is_reported_as_a_truncated_frame(
    rpw_server: Endpoint,
) -> None:
    message = failure_of(rpw_server, "crashing.py", "--half-frame", "--exit-status=-9")
    assert "truncated frame: only " in message
    assert "killed by SIGKILL" in message
    assert "the native library gave up" in message


@pytest.mark.parametrize("status", [0, 7])
def test_bazel_11285_and_15699_an_exit_inside_a_request_says_its_status(
    rpw_server: Endpoint, status: int
) -> None:
    message = failure_of(rpw_server, "crashing.py", f"--exit-status={status}")
    assert "crash: it " in message
    assert f"before its response was complete (exit status {status})" in message


def test_rules_scala_1839_an_end_without_any_output_is_reported_too(rpw_server: Endpoint) -> None:
    silent = "import os, sys; sys.stdin.buffer.read(1); os._exit(1)"
    outcome = rpw_server.run(action("s.py", tool_inputs={"tools/s.py": silent}), check=False)
    assert "crash" in outcome.message
    assert "worker's stderr is empty" in outcome.message


def test_bazel_10288_a_worker_that_never_answers_is_killed_when_the_time_is_up(
    rpw_server: Endpoint,
) -> None:
    message = failure_of(rpw_server, "hanging.py", "--ignore-sigterm", timeout=0.5)
    assert "timeout: no response within the action's timeout" in message
    retired = wait_for(rpw_server, WorkerRetired)
    assert (retired.reason, retired.exit_status) == ("timeout", -signal.SIGKILL)


def test_bazel_26292_and_26311_slots_of_cancelled_requests_come_back(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(jobs=8, max_multiplex=4, cancel_grace=30.0)
    platform = {**SANDBOX, **CANCELLATION}
    running = [begun(server, tmp_path, f"{n}", platform=platform, **MUX) for n in range(4)]
    for each in running:
        each.cancel()
    wait_for(server, RequestCancelled)
    again = [probe_action(platform=platform, salt=bytes([n]), **MUX) for n in range(8)]

    assert {each.result().status for each in running} == {"CANCELLED"}
    assert {each.worker_name for each in run_all(server, again)} == {"rpw_fixture/worker-1"}


def test_bazel_614_and_9975_a_cancelled_action_does_not_wait_for_its_worker(
    rpw_server: Endpoint, tmp_path: Path
) -> None:
    running = begun(rpw_server, tmp_path, "x")
    running.cancel()
    assert running.result().status == "CANCELLED"
    assert wait_for(rpw_server, WorkerRetired).reason == "cancelled"


def test_rules_kotlin_325_and_337_a_worker_that_closed_its_stdin_fails_with_its_own_words(
    rpw_server: Endpoint,
) -> None:
    script = (
        "import os, sys\nos.close(0)\n"
        "print('the real error', file=sys.stderr, flush=True)\nsys.exit(4)\n"
    )
    outcome = rpw_server.run(
        action("c.py", *("x" * 1000 for _ in range(300)), tool_inputs={"tools/c.py": script}),
        check=False,
    )
    assert outcome.status == "FAILED_PRECONDITION"
    assert "exit status 4" in outcome.message
    assert "the real error" in outcome.message


def test_bazel_18156_and_6526_an_undeclared_flagfile_is_an_error_that_names_it(
    rpw_server: Endpoint,
) -> None:
    base = probe_action()
    missing = base.with_arguments(*base.arguments, "@/etc/hostname")
    outcome = rpw_server.run(missing, check=False)
    assert outcome.status == "INVALID_ARGUMENT"
    assert "'/etc/hostname' is not a declared input" in outcome.message


def test_bazel_18319_a_dead_worker_is_no_exit_code_and_an_exit_code_no_dead_worker(
    rpw_server: Endpoint,
) -> None:
    failed = rpw_server.run(compile_action("a", "--fail", "type error"))
    assert (failed.status, failed.exit_code, failed.stderr) == ("OK", 1, b"type error\n")
    dead = rpw_server.run(compile_action("a", script="crashing.py"), check=False)
    assert dead.status == "FAILED_PRECONDITION"


def test_bazel_worker_86_a_worker_that_can_not_start_fails_at_once(rpw_server: Endpoint) -> None:
    missing = probe_action(timeout=60.0).with_arguments("tools/nowhere")
    outcome = rpw_server.run(missing, check=False)
    assert outcome.status == "FAILED_PRECONDITION"
    assert "start failed" in outcome.message
    assert "tools/nowhere" in outcome.message

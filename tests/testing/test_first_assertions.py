"""The assertions that people reach for first, and what they say when they fail."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rpw_fixture import Action, ActionFailedError, ConfigError, Server
from rpw_fixture.testing.endpoint import Endpoint
from tests.workers.worker_actions import compile_action

SHELL = "/bin/sh", "-c"
#: A worker that only knows JSON; what it can't read ends it.
JSON_WORKER = """
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps({"exitCode": 0, "output": "fine"}), flush=True)
"""
#: One that answers whatever it reads, also garbage.
JSON_ANSWERS = """
import os
while os.read(0, 65536):
    os.write(1, b'{"exitCode": 1, "output": "no JSON"}\\n')
"""


def json_worker(program: str = JSON_WORKER, **others: object) -> Action:
    return Action(  # type: ignore[arg-type]
        arguments=[sys.executable, "worker.py"],
        flagfile=["x"],
        tool_inputs={"worker.py": program},
        worker_key="k",
        do_not_cache=True,
        **others,
    )


# --- workers ---


def test_actions_on_workers_pass_cold_and_warm(rpw_server: Server) -> None:
    first, second = rpw_server.run(compile_action("a")), rpw_server.run(compile_action("b"))
    rpw_server.assert_on_worker(first)
    rpw_server.assert_on_worker(first, second)
    rpw_server.assert_on_worker(rpw_server.actions)


def test_an_action_that_ran_one_shot_is_not_on_a_worker_and_the_reason_is_given(
    rpw_server: Server,
) -> None:
    good = rpw_server.run(compile_action("a"))
    bad = rpw_server.run(Action(arguments=["/bin/true"], target="//:bad"))
    with pytest.raises(AssertionError) as caught:
        rpw_server.assert_on_worker(good, bad)
    assert "//:bad" in str(caught.value)
    assert "persistentWorkerKey is not set" in str(caught.value)
    assert "Fix:" in str(caught.value)


def test_an_empty_selection_is_not_on_a_worker(rpw_server: Server) -> None:
    for subjects in ((), (rpw_server.actions,)):
        with pytest.raises(AssertionError, match="no action to look at"):
            rpw_server.assert_on_worker(*subjects)


def test_the_number_of_workers_is_limited_and_each_start_has_its_reason(
    rpw_server: Server,
) -> None:
    rpw_server.assert_workers(at_most=0)
    rpw_server.run(compile_action("a"))
    rpw_server.run(compile_action("b"))
    rpw_server.assert_workers(at_most=1)
    rpw_server.run(compile_action("c", environment={"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"}))
    with pytest.raises(AssertionError) as caught:
        rpw_server.assert_workers(at_most=1)
    text = str(caught.value)
    assert text.startswith("Expected at most 1 worker, but 2 were started.")
    assert "LANG" in text
    assert "Fix: give both actions the same environment." in text
    rpw_server.reset()
    rpw_server.assert_workers(at_most=0)


# --- exit codes and outputs ---


def test_an_exit_code_raises_on_demand_only(rpw_server: Server) -> None:
    failing = Action(arguments=[*SHELL, "echo oh no >&2; exit 3"])
    assert rpw_server.run(failing).exit_code == 3
    with pytest.raises(ActionFailedError) as caught:
        rpw_server.run(failing, check="exit")
    assert "exit code 3" in str(caught.value)
    assert "oh no" in str(caught.value)
    assert caught.value.outcome.exit_code == 3
    assert rpw_server.run(Action(arguments=["/bin/true"]), check="exit").ok
    with pytest.raises(ActionFailedError):
        rpw_server.client.run(failing, check="exit")


def test_a_status_raises_with_exit_too(rpw_server: Server) -> None:
    with pytest.raises(ActionFailedError, match="/no/such"):
        rpw_server.run(Action(arguments=["/no/such/program"]), check="exit")


def test_another_check_is_refused(rpw_server: Server) -> None:
    with pytest.raises(ConfigError, match="'exit_code'"):
        rpw_server.run(Action(arguments=["/bin/true"]), check="exit_code")  # type: ignore[arg-type]


def test_a_missing_output_says_how_the_action_ended_and_what_it_made(rpw_server: Server) -> None:
    script = "echo made > made; echo no luck; exit 4"
    outcome = rpw_server.run(Action(arguments=[*SHELL, script], outputs=["made", "other"]))
    with pytest.raises(KeyError) as caught:
        outcome.outputs["other"]
    text = str(caught.value)
    assert text.startswith("no output 'other'; the action ended with exit code 4 and made made\n")
    assert "no luck" in text
    assert "not declared" not in text
    assert outcome.outputs.get("other") is None
    assert "other" not in outcome.outputs


def test_an_output_that_is_not_declared_is_named_so(rpw_server: Server) -> None:
    outcome = rpw_server.run(Action(arguments=[*SHELL, "echo x > a"], outputs=["a"]))
    with pytest.raises(KeyError, match="It is not declared; outputs of the Action are a"):
        outcome.outputs["b"]


# --- protocols ---


def test_a_worker_that_expects_json_is_recognized_in_its_answer(rpw_server: Server) -> None:
    outcome = rpw_server.run(json_worker(JSON_ANSWERS, protocol="proto"), check=False)
    assert "answers to JSON: set persistentWorkerProtocol=json" in outcome.message
    assert 'protocol="json"' in outcome.message


def test_a_worker_that_ends_at_its_first_request_may_speak_the_other_protocol(
    rpw_server: Server,
) -> None:
    program = JSON_WORKER.replace("for line in sys.stdin:", "for line in [sys.stdin.read(1)]:")
    outcome = rpw_server.run(json_worker(program, protocol="proto"), check=False)
    assert "it was asked in proto; if it speaks json, set persistentWorkerProtocol" in (
        outcome.message
    )
    # The sample worker speaks proto unless it is started with another flag.
    proto = compile_action("a", protocol="json", do_not_cache=True, timeout=5.0)
    message = rpw_server.run(proto, check=False).message
    assert "it was asked in json; if it speaks proto, set persistentWorkerProtocol" in message


@pytest.mark.rpw(personality="buildbarn-255")
def test_a_personality_that_speaks_only_proto_says_so(rpw_server: Endpoint) -> None:
    rpw_server.run(json_worker(JSON_ANSWERS, protocol="json"), check=False)
    reason = rpw_server.actions[-1].reason
    assert reason == (
        "persistentWorkerProtocol is 'json'; this personality speaks only proto with workers"
    )


@pytest.mark.rpw(personality="buildfarm")
def test_a_personality_that_reads_no_protocol_says_that_it_speaks_only_proto(
    rpw_server: Endpoint,
) -> None:
    asked = json_worker(JSON_ANSWERS, platform={"persistentWorkerProtocol": "json"})
    outcome = rpw_server.run(asked, check=False)
    assert "this server's personality speaks only proto with workers" in outcome.message


def test_noise_is_no_hint_at_another_protocol(rpw_server: Server, tmp_path: Path) -> None:
    noisy = "import sys\nprint('hello', flush=True)\nsys.stdin.read()\n"
    outcome = rpw_server.run(json_worker(noisy, protocol="proto"), check=False)
    assert "text on stdout" in outcome.message
    assert "JSON" not in outcome.message
    assert not list(tmp_path.iterdir())

"""Personalities: which actions each sends to a worker, and by whom that worker is shared.

The numbers in the headings are those of the divergences as docs/personalities.md lists them.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from rpw_fixture.client.action import Action
from rpw_fixture.errors import ConfigError
from rpw_fixture.events.kinds import ActionRouted, WorkerStarted
from rpw_fixture.pytest_plugin import MakeServer
from rpw_fixture.server import Server
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.workers.personalities import find
from rpw_fixture.workers.personalities.reference import REFERENCE
from rpw_fixture.workers.personalities.rules import Personality, SourcedRule
from tests.waiting import until

from .personality_runs import (
    CHANGES,
    EVERY,
    EVERYWHERE,
    TRIGGERED,
    by_rule,
    lame,
    portrait,
    probe,
    routes,
)
from .worker_actions import Running, run_all, seen, tools_of

# --- the data ---


@EVERY
def test_every_rule_has_a_source_or_is_unknown_and_then_as_in_the_reference(name: str) -> None:
    personality = find(name)
    rules = {
        each.name: getattr(personality, each.name)
        for each in dataclasses.fields(Personality)
        if isinstance(getattr(personality, each.name), SourcedRule)
    }
    assert len(rules) == len(dataclasses.fields(Personality)) - 3
    for rule, sourced in rules.items():
        assert sourced.is_known or sourced.value == getattr(REFERENCE, rule).value, rule
    assert name != "reference" or all(each.is_known for each in rules.values())


def test_the_page_about_personalities_is_what_they_are() -> None:
    script = Path(__file__).parents[2] / ".ci" / "render_personalities.py"
    check = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stdout + check.stderr


@EVERY
def test_a_worker_that_can_do_more_is_not_shared_with_actions_that_ask_for_less(name: str) -> None:
    personality = find(name)
    assert not personality.abilities.value or "ability" in personality.key.value


def test_an_unknown_personality_is_refused_with_the_one_that_may_be_meant() -> None:
    with pytest.raises(ConfigError, match="did you mean 'buildfarm'"):
        Server(personality="buildfram")
    with pytest.raises(ConfigError, match="known are reference, bazel-local"):
        find("x")


@EVERY
def test_a_worker_that_copes_with_everything_is_reused_everywhere(name: str) -> None:
    run = portrait(name)
    assert run.workers == 1
    assert (run.first.reused, run.second.reused) == (False, True)
    assert seen(run.first)["pid"] == seen(run.last)["pid"]


# --- strict clusters ---


@EVERY
def test_any_personality_can_refuse_properties_that_were_not_declared(
    make_rpw_server: MakeServer, name: str
) -> None:
    """bazel#29267 and rules_img#452: persistentWorkerProtocol broke clusters that did not know it."""
    known = ("persistentWorkerKey", "supports-workers")
    server = make_rpw_server(personality=name, known_properties=known)
    declared = probe(platform={"supports-workers": "1"})
    accepted = server.run(declared)
    refused = server.run(declared.with_platform(persistentWorkerProtocol="proto"), check=False)
    one_shot = Action(arguments=("/bin/true",), platform={"Pool": "big", "OSFamily": "linux"})

    assert accepted.worker is not None
    assert refused.status == "FAILED_PRECONDITION"
    assert "unregistered platform property 'persistentWorkerProtocol'" in refused.message
    assert "known are persistentWorkerKey, supports-workers" in refused.message
    assert "'OSFamily'" in server.run(one_shot, check=False).message


def test_a_single_known_property_may_be_given_as_text(make_rpw_server: MakeServer) -> None:
    server = make_rpw_server(known_properties="Pool")
    action = Action(arguments=("/bin/true",), platform={"Pool": "big"})

    assert server.config.known_properties == ("Pool",)
    assert server.run(action).ok
    assert not server.run(action.with_platform(Oops=""), check=False).ok
    assert server.run(action.with_platform(Pool=None)).ok


# --- what sends an action to a worker ---


@EVERY
@pytest.mark.parametrize("trigger", TRIGGERED)
def test_what_sends_an_action_to_a_worker(name: str, trigger: str) -> None:
    found, (_, one_shot) = routes(name)[trigger], TRIGGERED[trigger]

    assert found.mode == ("one-shot" if name in one_shot else "worker"), found
    assert found.mode == "worker" or "is not set" in found.reason


@pytest.mark.parametrize("name", ["reference", "buildbarn"])
def test_properties_of_the_command_alone_count_unless_a_server_reads_the_action_only(
    make_rpw_server: MakeServer, name: str
) -> None:
    server = make_rpw_server(personality=name)
    outcome = run_without_action_platform(server, probe())
    routed = server.events.of(ActionRouted)[-1]

    assert outcome == 0
    assert routed.mode == ("one-shot" if name == "buildbarn" else "worker")


def run_without_action_platform(server: Server, action: Action) -> int:
    """Executes the action with its properties on the Command only; the exit code."""
    from rpw_fixture.client.encoding import encode
    from rpw_fixture.wire.digests import SHA256

    encoded = encode(action, SHA256)
    message = reapi.Action.FromString(encoded.blobs[encoded.digest])
    message.ClearField("platform")
    data = message.SerializeToString()
    digest = SHA256.of(data)
    server.client.upload({**encoded.blobs, digest: data})
    for update in server.client.execute(digest):
        if update.done:
            response = reapi.ExecuteResponse()
            update.response.Unpack(response)
    return response.result.exit_code


# --- 7: what a worker is shared by ---


@EVERY
@pytest.mark.parametrize("change", CHANGES)
def test_what_a_worker_is_shared_by(name: str, change: str) -> None:
    parts, part = find(name).key.value, CHANGES[change][1]
    is_platform = change in {"client key", "silo", "property"}

    is_apart = part in parts or ("platform" in parts and is_platform)
    assert (routes(name)[change].key != routes(name)["base"].key) == is_apart


def test_a_multiplex_worker_survives_a_changed_tool_as_in_bazel(
    make_rpw_server: MakeServer,
) -> None:
    """bazel#29447, which the reference does not share."""
    platform = {**EVERYWHERE, "persistentWorkerMultiplex": "1"}
    for name, workers in (("bazel-local", 1), ("reference", 2)):
        server = make_rpw_server(personality=name)
        action = probe(platform=platform, startup=["--multiplex"])
        for content in (b"1", b"2"):
            server.run(action.with_tool_input("tools/extra", content))
        assert len(server.events.of(WorkerStarted)) == workers


def test_the_paths_of_tools_count_where_their_content_does_not(make_rpw_server: MakeServer) -> None:
    server = make_rpw_server(personality="buildbarn")
    base = lame().with_tool_input("tools/extra", b"1")
    for action in (base, base.with_tool_input("tools/more", b"1")):
        server.run(action, check=False)
    one, other = (each.key for each in server.events.of(ActionRouted))
    assert one != other


# --- 8: a full pool ---


@pytest.mark.parametrize(("name", "policy"), by_rule("when_full"))
def test_what_a_full_pool_does(
    make_rpw_server: MakeServer, tmp_path: Path, name: str, policy: str
) -> None:
    server = make_rpw_server(personality=name, max_workers=1, jobs=4)
    gate, started = tmp_path / "gate", tmp_path / "started"
    busy = Running(server, probe("--started", str(started), "--wait-for", str(gate), salt=b"busy"))
    until(started.exists)
    second = Running(server, probe(salt=b"second"))
    second.operation  # noqa: B018 - waits until it has a name
    if policy == "wait":
        gate.touch()
    outcome = second.result()
    gate.touch()

    assert busy.result().ok
    if policy == "error":
        assert outcome.status == "RESOURCE_EXHAUSTED"
    elif policy == "one-shot":
        server.assert_one_shot(outcome, because="the worker pool is full")
    else:
        assert outcome.ok
        assert len(server.events.of(WorkerStarted)) == (2 if policy == "grow" else 1)


@pytest.mark.parametrize("name", ["reference", "nativelink"])
def test_after_how_many_requests_a_worker_ends(make_rpw_server: MakeServer, name: str) -> None:
    assert find("nativelink").most_requests.value == 200
    server = make_rpw_server(personality=name, worker_max_requests=2)
    for _ in range(4):
        server.run(probe())
    assert len(server.events.of(WorkerStarted)) == 2, "what the operator sets comes first"


# --- 13: unmarked tools, as of clients such as Buck2 ---


@EVERY
def test_a_buck2_client_marks_no_tool_and_says_no_protocol(name: str) -> None:
    found = routes(name)["unmarked"]
    accepts = {"buildbuddy", "buildfarm", "buildbarn", "buildbarn-adr13", "nativelink"}

    assert found.mode == ("worker" if name in accepts else "one-shot"), found
    assert found.mode == "worker" or "no tool input" in found.reason
    if name == "buildfarm":  # which wants the program to be marked, or absolute
        assert routes(name)["unmarked program"].mode == "INVALID_ARGUMENT"


def test_a_buck2_client_gets_a_worker_that_is_reused(make_rpw_server: MakeServer) -> None:
    server = make_rpw_server(personality="buildbuddy")
    plain = probe(tool_inputs={}, inputs=tools_of("probe.py"))
    server.assert_worker_reused(server.run(plain), server.run(plain))


def test_a_buck2_client_is_accepted_by_the_reference_when_tools_are_named(
    make_rpw_server: MakeServer,
) -> None:
    server = make_rpw_server(tool_inputs=("tools/**",))
    plain = probe(tool_inputs={}, inputs=tools_of("probe.py"))
    server.assert_worker_reused(server.run(plain), server.run(plain))
    server.assert_tool_inputs(plain, ["tools/**"])


@EVERY
def test_a_program_that_is_no_tool_input(name: str) -> None:
    found = routes(name)["bare program"]

    if name == "buildfarm":
        assert found.mode == "INVALID_ARGUMENT"
        assert "neither a tool input nor an absolute path" in found.reason
    else:
        assert found.mode == "worker"


@pytest.mark.parametrize("name", ["reference", "buildfarm", "nativelink"])
def test_no_personality_mixes_up_overlapping_actions(
    make_rpw_server: MakeServer, name: str
) -> None:
    server = make_rpw_server(personality=name, jobs=6, max_workers_per_key=2)
    actions = [
        probe(inputs={f"src/{n}": "x"}, outputs=[f"out/{n}"], salt=bytes([n])) for n in range(6)
    ]
    for number, outcome in enumerate(run_all(server, actions)):
        assert f"src/{number}" in seen(outcome)["files"]

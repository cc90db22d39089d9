"""Personalities: each divergence between real servers, seen by a worker that reports what it gets.

The numbers in the headings are those of the divergences as docs/personalities.md lists them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rpw_fixture.action import Action
from rpw_fixture.errors import ConfigError
from rpw_fixture.events import ActionRouted, WorkerStarted
from rpw_fixture.pytest_plugin import MakeServer
from rpw_fixture.server import Server
from rpw_fixture.wire.protos import remote_execution as re
from rpw_fixture.workers.personalities import PERSONALITIES, find, names
from rpw_fixture.workers.personalities.reference import REFERENCE
from rpw_fixture.workers.personalities.rules import Personality, Rule

from .portraits import CHANGES, EVERYWHERE, SPLITS, TRIGGERED, lame, portrait, probe, routes
from .support import Running, run_all, seen, tools_of, until

EVERY = pytest.mark.parametrize("name", names())


def by_rule(rule: str) -> list[object]:
    """Each personality's name with its value of a rule."""
    return [
        pytest.param(each.name, getattr(each, rule).value, id=each.name) for each in PERSONALITIES
    ]


# --- the data ---


@EVERY
def test_every_rule_has_a_source_or_is_unknown_and_then_as_in_the_reference(name: str) -> None:
    personality = find(name)
    rules = {
        each.name: getattr(personality, each.name)
        for each in dataclasses.fields(Personality)
        if isinstance(getattr(personality, each.name), Rule)
    }
    assert len(rules) == len(dataclasses.fields(Personality)) - 3
    for rule, told in rules.items():
        assert told.is_known or told.value == getattr(REFERENCE, rule).value, rule
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
    told = portrait(name)
    assert told.workers == 1
    assert (told.first.reused, told.second.reused) == (False, True)
    assert seen(told.first)["pid"] == seen(told.last)["pid"]


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
    message = re.Action.FromString(encoded.blobs[encoded.digest])
    message.ClearField("platform")
    data = message.SerializeToString()
    digest = SHA256.of(data)
    server.client.upload({**encoded.blobs, digest: data})
    for update in server.client.execute(digest):
        if update.done:
            response = re.ExecuteResponse()
            update.response.Unpack(response)
    return response.result.exit_code


# --- 1: flagfiles ---


@pytest.mark.parametrize(("name", "expansion"), by_rule("expansion"))
def test_flagfiles_are_expanded_or_sent_raw(name: str, expansion: str) -> None:
    arguments = seen(portrait(name).last)["arguments"]

    is_raw = expansion == "its name, as @file"
    assert arguments == (["@action.params"] if is_raw else ["--out", "out/seen"])
    assert is_raw == (name in {"buildfarm", "nativelink"})


@EVERY
@pytest.mark.parametrize("argument", SPLITS)
def test_which_arguments_start_the_worker(name: str, argument: str) -> None:
    argv = routes(name)[argument].argv
    rest = set(argv) - {"/bin/false", "--persistent_worker", "--split"}

    expected = SPLITS[argument]
    assert sorted(rest) == expected.get(name, expected["else"])


@EVERY
def test_an_argument_after_a_flagfile(name: str) -> None:
    found = routes(name)["late flagfile"]

    if name == "buildfarm":
        assert found.mode == "INVALID_ARGUMENT"
        assert "must stand at the end" in found.reason
    else:
        assert found.mode == "worker"
        assert ("--late" in found.argv) == (name != "nativelink")


@EVERY
def test_an_action_without_a_flagfile(name: str) -> None:
    found = routes(name)["no flagfile"]

    expected = {"buildbarn": "INVALID_ARGUMENT", "nativelink": "worker"}.get(name, "one-shot")
    assert found.mode == expected
    assert found.mode == "worker" or "no flagfile" in found.reason


@pytest.mark.parametrize("name", ["reference", "buildbuddy"])
def test_what_the_path_of_a_flagfile_is_relative_to(make_rpw_server: MakeServer, name: str) -> None:
    server = make_rpw_server(personality=name)
    action = probe(
        working_directory="pkg",
        flagfile=None,
        tool_inputs={f"pkg/{path}": file for path, file in tools_of("probe.py").items()},
        inputs={
            "args": "--out\nout/seen\n--say\nroot\n",
            "pkg/args": "--out\nout/seen\n--say\npkg\n",
        },
    )
    outcome = server.run(action.replace(arguments=(*action.arguments, "@args")))

    assert outcome.stdout + outcome.stderr == (b"root" if name == "buildbuddy" else b"pkg")


# --- 2: inputs ---


@pytest.mark.parametrize(("name", "listing"), by_rule("inputs"))
def test_what_inputs_are_listed_with_which_digest_bytes(name: str, listing: str) -> None:
    inputs = seen(portrait(name).first)["inputs"]
    hexed = hashlib.sha256(b"x").hexdigest()
    expected = {
        "all, hex as ASCII": hexed.encode().hex(),
        "all, raw hash": hexed,
        "all, Digest message": re.Digest(hash=hexed, size_bytes=1).SerializeToString().hex(),
    }

    if listing == "none":
        assert inputs == {}
    else:
        assert inputs["src/x"] == expected[listing]
        assert "tools/probe.py" in inputs


# --- 3: protocol ---


@EVERY
def test_what_decides_on_json_and_which_fields_are_there_at_their_default(
    make_rpw_server: MakeServer, name: str
) -> None:
    """The latter is divergence 10."""
    server = make_rpw_server(personality=name)
    spoken, raw = {}, {}
    for protocol in ("persistentWorkerProtocol", "requires-worker-protocol"):
        outcome = server.run(probe(platform={**EVERYWHERE, protocol: "json"}, worker_key=protocol))
        if outcome.worker is None:
            spoken[protocol] = "one-shot"
            continue
        view = seen(outcome)
        spoken[protocol] = "json" if view["raw"] else "proto"
        raw |= view["raw"] or {}

    ours = {"buildfarm": "proto", "nativelink": "proto", "buildbarn-255": "one-shot"}
    theirs = {"nativelink": "json"}
    assert spoken["persistentWorkerProtocol"] == ours.get(name, "json")
    assert spoken["requires-worker-protocol"] == theirs.get(name, "proto")
    zeros = {"requestId", "verbosity", "cancel"} & raw.keys()
    assert len(zeros) == (3 if name in {"buildbuddy", "nativelink"} else 0)
    assert ("sandboxDir" in raw) == (name in {"buildbuddy", "nativelink"})


@EVERY
def test_a_protocol_that_does_not_exist(name: str) -> None:
    found = routes(name)["xml"]

    if name == "buildfarm":
        assert found.mode == "worker"
    elif name in {"nativelink", "buildbarn-255"}:
        assert found.mode == "one-shot"
        assert "xml" in found.reason
    else:
        assert found.mode == "INVALID_ARGUMENT"
        assert "known are proto and json" in found.reason


@pytest.mark.parametrize(
    ("name", "spoken"),
    [("reference", "json"), ("engflow", "json"), ("buildfarm", "proto"), ("buildbarn-255", None)],
)
def test_the_default_protocol_is_the_operators(
    make_rpw_server: MakeServer, name: str, spoken: str | None
) -> None:
    """bazel#28405. Who knows proto only sticks to it, or to no worker at all."""
    server = make_rpw_server(personality=name, default_protocol="json")
    outcome = server.run(probe())

    assert (outcome.worker is None) == (spoken is None)
    assert spoken is None or bool(seen(outcome)["raw"]) == (spoken == "json")


# --- 4, 5: directories and leftovers ---


@pytest.mark.parametrize(("name", "roots"), by_rule("roots"))
def test_where_a_request_finds_its_inputs(name: str, roots: str) -> None:
    told = portrait(name)
    first, last = seen(told.first), seen(told.last)

    assert first["cwd"] == last["cwd"]
    assert "src/x" in first["files"]
    assert "src/new" in last["files"]
    assert os.path.isabs(first["sandbox_dir"]) == (roots != "working directory")  # noqa: PTH117
    assert (name == "nativelink") == bool(first["sandbox_dir"])


@pytest.mark.parametrize(("name", "leftovers"), by_rule("leftovers"))
def test_what_an_earlier_action_leaves_to_the_next(name: str, leftovers: str) -> None:
    files = seen(portrait(name).last)["files"]

    assert ("src/old" in files) == ("out/left" in files) == (leftovers == "kept")
    assert ("src/failed" in files) == ("out/failed" in files) == (leftovers != "removed")


@pytest.mark.parametrize("name", ["bazel-local", "buildbarn-adr13"])
def test_an_input_that_is_kept_gets_new_content_all_the_same(
    make_rpw_server: MakeServer, name: str
) -> None:
    server = make_rpw_server(personality=name)
    listed = []
    for content in ("one", "two"):
        view = server.run(probe("--say", content, inputs={"src/x": content}))
        listed.append(view.stderr)
    assert listed == [b"one", b"two"]
    server.run(probe("--leave", "out/late"))
    # What the next action declares as its output is gone before it begins.
    files = seen(server.run(probe("--out", "out/late", outputs=["out/late"])))["files"]
    assert "out/late" not in files


@pytest.mark.parametrize(("name", "are_collected"), by_rule("outputs_after_failure"))
def test_outputs_of_an_action_that_failed(name: str, are_collected: bool) -> None:
    failed = portrait(name).failed
    assert failed.exit_code == 3
    assert bool(failed.outputs) == are_collected


# --- 6: response text ---


@EVERY
def test_where_texts_go(name: str) -> None:
    outcome = portrait(name).first

    if name == "buildfarm":
        assert (outcome.stdout, outcome.stderr) == (b"text", b"noise\n")
    else:
        assert (outcome.stdout, outcome.stderr) == (b"", b"text")
    is_logged = name not in {"buildfarm", "nativelink"}
    assert ("worker-stderr" in outcome.logs) == is_logged


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


# --- 9: request_id and was_cancelled ---


@EVERY
def test_whether_the_response_is_checked(make_rpw_server: MakeServer, name: str) -> None:
    personality, server = find(name), make_rpw_server(personality=name)
    for misdeed, checks in (
        ("--id 41", personality.checks_request_id),
        ("--was-cancelled", personality.checks_was_cancelled),
    ):
        outcome = server.run(probe(*misdeed.split()), check=False)
        assert outcome.status == ("FAILED_PRECONDITION" if checks.value else "OK"), misdeed


# --- 11: environment ---


@pytest.mark.parametrize(("name", "environment"), by_rule("environment"))
def test_the_environment_that_a_worker_gets(name: str, environment: str) -> None:
    variables = seen(portrait(name).first)["env"]

    is_servers = environment == "the server's own"
    assert ("SENTINEL" in variables) == is_servers
    assert ("OWN" in variables) == (not is_servers)


@pytest.mark.parametrize("name", ["reference", "buildfarm"])
def test_the_environment_of_bazels_java_compiler(make_rpw_server: MakeServer, name: str) -> None:
    jar = "external/remote_java_tools/java_tools/JavaBuilder_deploy.jar"
    action = probe(environment={"OWN": "1"}, startup=[jar])
    view = seen(make_rpw_server(personality=name).run(action))

    assert ("OWN" in view["env"]) == (name == "reference")


# --- 12: --persistent_worker ---


@EVERY
def test_persistent_worker_comes_last_but_for_one_server(name: str) -> None:
    argv = routes(name)["@@lit"].argv
    assert argv.index("--persistent_worker") == (1 if name == "buildbarn-255" else len(argv) - 1)


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

"""Personalities: each divergence between real servers, seen by a worker that reports what it gets.

The numbers in the headings are those of the divergences as docs/personalities.md lists them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from rpw_fixture.action import Action
from rpw_fixture.errors import ConfigError
from rpw_fixture.events import ActionRouted, WorkerStarted
from rpw_fixture.inputs import File
from rpw_fixture.pytest_plugin import MakeServer
from rpw_fixture.server import Server
from rpw_fixture.wire.protos import remote_execution as re
from rpw_fixture.workers.personalities import PERSONALITIES, find, names
from rpw_fixture.workers.personalities.reference import REFERENCE
from rpw_fixture.workers.personalities.rules import Personality, Rule

from .support import Running, probe_action, run_all, seen, tools_of, until

#: What makes every server send an action to a worker.
EVERYWHERE = {"supports-workers": "1"}
EVERY = pytest.mark.parametrize("name", names())


def probe(*arguments: str, startup: Sequence[str] = (), **others: object) -> Action:
    """An action of the probe, whose launcher bears any first argument, as a JVM's does not."""
    action = probe_action(*arguments, **{"platform": EVERYWHERE, **others})
    launcher = f'#!/bin/sh\nexec {sys.executable} "$(dirname "$0")/probe.py" "$@"\n'.encode()
    for entries in ("tool_inputs", "inputs"):
        held = getattr(action, entries)
        folder = next((each.removesuffix("probe.py") for each in held if "probe.py" in each), None)
        if folder is not None:
            path = f"{folder}run"
            action = action.replace(**{entries: {**held, path: File(launcher, is_executable=True)}})
            relative = path.removeprefix(f"{action.working_directory}/")
            return action.with_arguments(f"./{relative}", *startup)
    raise AssertionError("the action has no probe")


def by_rule(rule: str) -> list[object]:
    """Each personality's name with its value of a rule."""
    return [pytest.param(each.name, getattr(each, rule).value, id=each.name) for each in PERSONALITIES]


def route_of(server: Server, action: Action) -> tuple[str, str]:
    """Mode and reason of an action, or its status and message when it is refused."""
    outcome = server.run(action, check=False)
    routed = [e for e in server.events.of(ActionRouted) if e.operation == outcome.operation]
    if not routed:
        return outcome.status, outcome.message
    return routed[-1].mode, routed[-1].reason


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
def test_a_worker_that_copes_with_everything_is_reused_everywhere(
    make_rpw_server: MakeServer, name: str
) -> None:
    server = make_rpw_server(personality=name)
    first = server.run(probe("--say", "hello", inputs={"a": "1"}))
    second = server.run(probe("--say", "hello", inputs={"b": "1"}))

    server.assert_worker_reused(first, second)
    assert seen(first)["pid"] == seen(second)["pid"]
    assert first.stdout + first.stderr == b"hello"


# --- what sends an action to a worker ---

TRIGGERED = {
    "persistentWorkerKey": ({"worker_key": "k", "platform": {}}, {"nativelink"}),
    "supports-workers": (
        {"worker_key": None, "platform": {"supports-workers": "1"}},
        set(names()) - {"nativelink", "buildbarn-adr13"},
    ),
    "persistent-workers": (
        {"worker_key": None, "platform": {"persistent-workers": "true"}},
        set(names()) - {"buildbuddy"},
    ),
}


@EVERY
@pytest.mark.parametrize("trigger", TRIGGERED)
def test_what_sends_an_action_to_a_worker(
    make_rpw_server: MakeServer, name: str, trigger: str
) -> None:
    properties, one_shot = TRIGGERED[trigger]
    mode, reason = route_of(make_rpw_server(personality=name), probe_action(**properties))

    assert mode == ("one-shot" if name in one_shot else "worker"), reason
    assert mode == "worker" or "is not set" in reason


@EVERY
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
    digest = SHA256.digest(data)
    server.client.upload({**encoded.blobs, digest: data})
    for update in server.client.execute(digest):
        if update.done:
            response = re.ExecuteResponse()
            update.response.Unpack(response)
    return response.result.exit_code


# --- 1: flagfiles ---


@pytest.mark.parametrize(("name", "expansion"), by_rule("expansion"))
def test_flagfiles_are_expanded_or_sent_raw(
    make_rpw_server: MakeServer, name: str, expansion: str
) -> None:
    view = seen(make_rpw_server(personality=name).run(probe("--say", "x")))

    is_raw = expansion == "its name, as @file"
    assert view["arguments"] == (["@action.params"] if is_raw else ["--out", "out/seen", "--say", "x"])
    assert is_raw == (name in {"buildfarm", "nativelink"})


SPLITS = {
    # arguments between the script and the flagfile → those that start the worker, by personality
    "@@lit": {
        "nativelink": [],
        "buildfarm": [],
        "buildbarn-255": ["@@lit"],
        "buildbarn-adr13": ["@@lit"],
        "else": [],
    },
    "--flagfile=lit": {"nativelink": ["--flagfile=lit"], "else": []},
    "@x//y:z": {"buildbarn-255": ["@x//y:z"], "else": []},
    "@": {"nativelink": [], "buildfarm": [], "else": ["@"]},
}


@EVERY
@pytest.mark.parametrize("argument", SPLITS)
def test_which_arguments_start_the_worker(
    make_rpw_server: MakeServer, name: str, argument: str
) -> None:
    server = make_rpw_server(personality=name)
    server.run(probe(startup=[argument]), check=False)
    started = [
        each
        for each in server.events.of(WorkerStarted)[0].startup_arguments[2:]
        if each != "--persistent_worker"
    ]

    assert started == SPLITS[argument].get(name, SPLITS[argument]["else"])


@EVERY
def test_an_argument_after_a_flagfile(make_rpw_server: MakeServer, name: str) -> None:
    server = make_rpw_server(personality=name)
    action = probe()
    late = action.replace(
        arguments=(*action.arguments, "@action.params", "--late"),
        flagfile=None,
        inputs={"action.params": "--out\nout/seen\n"},
    )
    mode, message = route_of(server, late)

    if name == "buildfarm":
        assert mode == "INVALID_ARGUMENT"
        assert "must stand at the end" in message
    else:
        assert mode == "worker"
        started = server.events.of(WorkerStarted)[0].startup_arguments
        assert ("--late" in started) == (name != "nativelink")


@EVERY
def test_an_action_without_a_flagfile(make_rpw_server: MakeServer, name: str) -> None:
    mode, reason = route_of(
        make_rpw_server(personality=name), probe(do_not_cache=True).replace(flagfile=None)
    )
    expected = {"buildbarn": "INVALID_ARGUMENT", "nativelink": "worker"}.get(name, "one-shot")
    assert mode == expected
    assert mode == "worker" or "no flagfile" in reason


@EVERY
def test_what_the_path_of_a_flagfile_is_relative_to(make_rpw_server: MakeServer, name: str) -> None:
    server = make_rpw_server(personality=name)
    action = probe(
        working_directory="pkg",
        flagfile=None,
        tool_inputs={f"pkg/{path}": file for path, file in tools_of("probe.py").items()},
        inputs={"args": "--out\nout/seen\n--say\nroot\n", "pkg/args": "--out\nout/seen\n--say\npkg\n"},
    )
    outcome = server.run(action.replace(arguments=(*action.arguments, "@args")))

    assert outcome.stdout + outcome.stderr == (b"root" if name == "buildbuddy" else b"pkg")


# --- 2: inputs ---


@pytest.mark.parametrize(("name", "listing"), by_rule("inputs"))
def test_what_inputs_are_listed_with_which_digest_bytes(
    make_rpw_server: MakeServer, name: str, listing: str
) -> None:
    view = seen(make_rpw_server(personality=name).run(probe(inputs={"src/x": b"x"})))
    hexed = hashlib.sha256(b"x").hexdigest()
    expected = {
        "all, hex as ASCII": hexed.encode().hex(),
        "all, raw hash": hexed,
        "all, Digest message": re.Digest(hash=hexed, size_bytes=1).SerializeToString().hex(),
    }

    if listing == "none":
        assert view["inputs"] == {}
    else:
        assert view["inputs"]["src/x"] == expected[listing]
        assert "tools/probe.py" in view["inputs"]


# --- 3: protocol ---


@EVERY
def test_a_json_worker_needs_the_property_that_the_server_reads(
    make_rpw_server: MakeServer, name: str
) -> None:
    server = make_rpw_server(personality=name)
    json = {"startup": ["--worker_protocol=json"], "timeout": 5.0}
    modes = {}
    for protocol in ("persistentWorkerProtocol", "requires-worker-protocol"):
        outcome = server.run(
            probe(platform={**EVERYWHERE, protocol: "json"}, worker_key=protocol, **json),
            check=False,
        )
        modes[protocol] = outcome.status if outcome.status != "OK" else outcome.stderr or "OK"

    reads_ours = name not in {"buildfarm", "buildbarn-255", "nativelink"}
    assert (modes["persistentWorkerProtocol"] == "OK") == (reads_ours or name == "buildbarn-255")
    assert (modes["requires-worker-protocol"] == "OK") == (name == "nativelink")


@EVERY
def test_a_protocol_that_does_not_exist(make_rpw_server: MakeServer, name: str) -> None:
    platform = {
        **EVERYWHERE,
        "persistentWorkerProtocol": "xml",
        "requires-worker-protocol": "xml",
    }
    mode, message = route_of(make_rpw_server(personality=name), probe(platform=platform))
    if name == "buildfarm":
        assert mode == "worker"
    elif name in {"nativelink", "buildbarn-255"}:
        assert mode == "one-shot"
        assert "xml" in message
    else:
        assert mode == "INVALID_ARGUMENT"
        assert "known are proto and json" in message


@EVERY
def test_the_default_protocol_is_the_operators(make_rpw_server: MakeServer, name: str) -> None:
    server = make_rpw_server(personality=name, default_protocol="json")
    server.run(probe(startup=["--worker_protocol=json"], timeout=5.0), check=False)
    started = server.events.of(WorkerStarted)
    # Who knows proto only sticks to it, or to no worker at all.
    assert bool(started) == (name != "buildbarn-255")


# --- 4, 5: directories and leftovers ---


@pytest.mark.parametrize(("name", "roots"), by_rule("roots"))
def test_where_a_request_finds_its_inputs(
    make_rpw_server: MakeServer, name: str, roots: str
) -> None:
    server = make_rpw_server(personality=name)
    views = [seen(server.run(probe(inputs={f"src/{n}": "x"}))) for n in range(2)]

    assert len({each["cwd"] for each in views}) == 1
    for number, view in enumerate(views):
        assert f"src/{number}" in view["files"]
        assert os.path.isabs(view["sandbox_dir"]) == (roots != "working directory")
    assert (name == "nativelink") == bool(views[0]["sandbox_dir"])


@pytest.mark.parametrize(("name", "leftovers"), by_rule("leftovers"))
@pytest.mark.parametrize("exit_code", ["0", "3"])
def test_what_an_earlier_action_leaves_to_the_next(
    make_rpw_server: MakeServer, name: str, leftovers: str, exit_code: str
) -> None:
    server = make_rpw_server(personality=name)
    server.run(probe("--exit", exit_code, "--leave", "out/left", inputs={"src/old": "x"}))
    files = seen(server.run(probe(inputs={"src/new": "x"})))["files"]

    is_kept = leftovers == "kept" or (leftovers == "kept after a failure" and exit_code == "3")
    assert ("src/old" in files) == is_kept
    assert ("out/left" in files) == is_kept
    assert "src/new" in files


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
def test_outputs_of_an_action_that_failed(
    make_rpw_server: MakeServer, name: str, are_collected: bool
) -> None:
    outcome = make_rpw_server(personality=name).run(probe("--exit", "3"))
    assert outcome.exit_code == 3
    assert bool(outcome.outputs) == are_collected


# --- 6: response text ---


@EVERY
def test_where_texts_go(make_rpw_server: MakeServer, name: str) -> None:
    outcome = make_rpw_server(personality=name).run(probe("--say", "text", "--noise", "noise"))

    if name == "buildfarm":
        assert (outcome.stdout, outcome.stderr) == (b"text", b"noise\n")
    else:
        assert (outcome.stdout, outcome.stderr) == (b"", b"text")
    is_logged = name not in {"buildfarm", "nativelink"}
    assert outcome.logs.get("worker-stderr") == (b"noise\n" if is_logged else None)


# --- 7: what a worker is shared by ---

CHANGES = {
    "client key": (lambda it: it.with_worker_key("other"), "persistentWorkerKey"),
    "tool content": (lambda it: it.with_tool_input("tools/extra", b"2"), "tool input"),
    "environment": (lambda it: it.with_environment(LANG="C"), "environment"),
    "startup": (lambda it: it.with_arguments(*it.arguments, "--more"), "startup argument"),
    "property": (lambda it: it.with_platform(OSFamily="linux"), "platform"),
    "silo": (lambda it: it.with_platform(**{"cache-silo-key": "b"}), "cache-silo-key"),
    "mnemonic": (lambda it: it.replace(mnemonic="Other"), "mnemonic"),
}


@EVERY
@pytest.mark.parametrize("change", CHANGES)
def test_what_a_worker_is_shared_by(make_rpw_server: MakeServer, name: str, change: str) -> None:
    server = make_rpw_server(personality=name)
    base = probe()
    base = base.with_tool_input("tools/extra", b"1")
    changed, part = CHANGES[change]
    server.run(base)
    server.run(changed(base))

    parts = find(name).key.value
    is_apart = part in parts or ("platform" in parts and change in {"client key", "silo"})
    assert len(server.events.of(WorkerStarted)) == (2 if is_apart else 1)


def test_a_multiplex_worker_survives_a_changed_tool_as_in_bazel(make_rpw_server: MakeServer) -> None:
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
    base = probe().with_tool_input("tools/extra", b"1")
    server.run(base)
    server.run(base.with_tool_input("tools/more", b"1"))
    assert len(server.events.of(WorkerStarted)) == 2


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
@pytest.mark.parametrize("misdeed", ["--id 41", "--was-cancelled"])
def test_whether_the_response_is_checked(
    make_rpw_server: MakeServer, name: str, misdeed: str
) -> None:
    personality = find(name)
    is_id = misdeed.startswith("--id")
    checks = personality.checks_request_id if is_id else personality.checks_was_cancelled
    outcome = make_rpw_server(personality=name).run(probe(*misdeed.split()), check=False)

    assert outcome.status == ("FAILED_PRECONDITION" if checks.value else "OK"), outcome.message


# --- 10: JSON ---


@EVERY
def test_which_fields_of_a_json_request_are_there_at_their_default(
    make_rpw_server: MakeServer, name: str
) -> None:
    platform = {**EVERYWHERE, "requires-worker-protocol": "json"}
    action = probe(protocol="json", platform=platform, startup=["--worker_protocol=json"], timeout=5.0)
    outcome = make_rpw_server(personality=name).run(action, check=False)
    if name in {"buildfarm", "buildbarn-255"}:
        return  # they know no JSON
    raw = seen(outcome)["raw"]

    assert ("requestId" in raw) == (name in {"buildbuddy", "nativelink"})
    assert ("verbosity" in raw) == (name in {"buildbuddy", "nativelink"})
    assert ("sandboxDir" in raw) == (name in {"buildbuddy", "nativelink"})
    assert ("cancel" in raw) == (name in {"buildbuddy", "nativelink"})


# --- 11: environment ---


@pytest.mark.parametrize(("name", "environment"), by_rule("environment"))
def test_the_environment_that_a_worker_gets(
    make_rpw_server: MakeServer, monkeypatch: pytest.MonkeyPatch, name: str, environment: str
) -> None:
    monkeypatch.setenv("SENTINEL", "the server's")
    view = seen(make_rpw_server(personality=name).run(probe(environment={"OWN": "1"})))

    is_servers = environment == "the server's own"
    assert ("SENTINEL" in view["env"]) == is_servers
    assert ("OWN" in view["env"]) == (not is_servers)


@EVERY
def test_the_environment_of_bazels_java_compiler(make_rpw_server: MakeServer, name: str) -> None:
    jar = "external/remote_java_tools/java_tools/JavaBuilder_deploy.jar"
    action = probe(environment={"OWN": "1"}, startup=[jar])
    view = seen(make_rpw_server(personality=name).run(action))

    assert ("OWN" in view["env"]) == (name not in {"buildfarm", "nativelink"})


# --- 12: --persistent_worker ---


@EVERY
def test_where_persistent_worker_stands(make_rpw_server: MakeServer, name: str) -> None:
    server = make_rpw_server(personality=name)
    # The interpreter would take the flag for its own where it comes first.
    server.run(probe(startup=["--last"]), check=False)
    argv = server.events.of(WorkerStarted)[0].startup_arguments

    assert argv.index("--persistent_worker") == (1 if name == "buildbarn-255" else len(argv) - 1)


# --- 13: unmarked tools, as of clients such as Buck2 ---


@EVERY
def test_a_buck2_client_marks_no_tool_and_says_no_protocol(
    make_rpw_server: MakeServer, name: str
) -> None:
    server = make_rpw_server(personality=name)
    plain = probe(tool_inputs={}, inputs=tools_of("probe.py"))
    mode, reason = route_of(server, plain)

    accepts = {"buildbuddy", "buildfarm", "buildbarn", "buildbarn-adr13", "nativelink"}
    assert mode == ("worker" if name in accepts else "one-shot"), reason
    if name in accepts:
        server.assert_worker_reused(server.run(plain), server.run(plain))
    else:
        assert "no tool input" in reason


def test_a_buck2_client_is_accepted_by_the_reference_when_tools_are_named(
    make_rpw_server: MakeServer,
) -> None:
    server = make_rpw_server(tool_inputs=("tools/**",))
    plain = probe(tool_inputs={}, inputs=tools_of("probe.py"))
    server.assert_worker_reused(server.run(plain), server.run(plain))
    server.assert_tool_inputs(plain, ["tools/**"])


@EVERY
def test_a_program_that_is_no_tool_input(make_rpw_server: MakeServer, name: str) -> None:
    server = make_rpw_server(personality=name)
    action = probe(environment={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"})
    bare = action.with_arguments("python3", *action.arguments[1:])
    mode, message = route_of(server, bare)

    if name == "buildfarm":
        assert mode == "INVALID_ARGUMENT"
        assert "neither a tool input nor an absolute path" in message
    else:
        assert mode == "worker"


@EVERY
def test_no_personality_mixes_up_overlapping_actions(make_rpw_server: MakeServer, name: str) -> None:
    server = make_rpw_server(personality=name, jobs=6, max_workers_per_key=2)
    actions = [probe(inputs={f"src/{n}": "x"}, outputs=[f"out/{n}"], salt=bytes([n])) for n in range(6)]
    if find(name).when_full.value == "error":
        actions = actions[:2]
    for number, outcome in enumerate(run_all(server, actions)):
        assert f"src/{number}" in seen(outcome)["files"]

"""Personalities: what a worker of each is started with, gets, and may answer.

The numbers in the headings are those of the divergences as docs/personalities.md lists them.
"""

from __future__ import annotations

import hashlib
import os

import pytest

from rpw_fixture.pytest_plugin import MakeServer
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.workers.personalities import find
from rpw_fixture.workers.personalities.rules import Environment

from .personality_runs import EVERY, EVERYWHERE, SPLITS, by_rule, portrait, probe, routes
from .worker_actions import seen, tools_of

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
        assert "must be at the end" in found.reason
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
        "all, Digest message": reapi.Digest(hash=hexed, size_bytes=1).SerializeToString().hex(),
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


@pytest.mark.parametrize(("name", "end"), by_rule("json_end"))
def test_a_json_response_without_a_newline(
    make_rpw_server: MakeServer, name: str, end: str
) -> None:
    """rules_swift's worker answers so."""
    spoken = {"persistentWorkerProtocol": "json", "requires-worker-protocol": "json"}
    tools = {
        "tools/probe.py": "import sys\n"
        "for line in sys.stdin:\n"
        '    sys.stdout.write(\'{"exitCode":7,"requestId":0}\'); sys.stdout.flush()\n'
    }
    action = probe(platform={**EVERYWHERE, **spoken}, tool_inputs=tools, outputs=["x"], timeout=1.0)
    outcome = make_rpw_server(personality=name).run(action, check=False)

    if name in {"buildfarm", "buildbarn-255"}:  # they know proto only, or run it one-shot
        assert outcome.exit_code != 7
    elif end == "with the line":
        assert outcome.status == "DEADLINE_EXCEEDED"
        assert "it lacks a newline" in outcome.message
    else:
        assert (outcome.status, outcome.exit_code) == ("OK", 7)
    assert (end == "with the line") == (name == "nativelink")


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
    """bazel#28405. A server that knows only proto uses it, or no worker at all."""
    server = make_rpw_server(personality=name, default_protocol="json")
    outcome = server.run(probe())

    assert (outcome.worker is None) == (spoken is None)
    assert spoken is None or bool(seen(outcome)["raw"]) == (spoken == "json")


# --- 4, 5: directories and leftovers ---


@pytest.mark.parametrize(("name", "roots"), by_rule("roots"))
def test_where_a_request_finds_its_inputs(name: str, roots: str) -> None:
    run = portrait(name)
    first, last = seen(run.first), seen(run.last)

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
def test_the_environment_that_a_worker_gets(name: str, environment: Environment) -> None:
    variables = seen(portrait(name).first)["env"]

    is_servers = environment is Environment.SERVER
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

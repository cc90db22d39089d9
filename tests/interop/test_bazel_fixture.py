"""Bazel against the pytest fixture: the server lives in this process, a fresh one for each test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from .bazel import GOOD_TOOL, BazelWorkspace
from .observations import (
    assert_no_internal_error,
    of_kind,
    requests_by_action,
    routes,
    starts_by_key,
    tool_digest,
)
from .workspace_files import ACTIONS, JSON, PLAIN, SILO

MakeServer = Callable[..., Any]
TOOLS = ("tools/**",)
PYTHON_TARGETS = "//python:all"
#: A worker whose output is how many inputs its request lists, and which of these are not there.
LISTS_INPUTS = """
import os, sys
sys.dont_write_bytecode = True
import rpw_worker

def handle(request):
    missing = [path for path in request.inputs if not os.path.isfile(path)]
    with open(request.arguments[request.arguments.index("--out") + 1], "w") as file:
        file.write(f"{len(request.inputs)} {missing}")
    return rpw_worker.WorkResponse()

sys.exit(rpw_worker.main(handle))
"""
PYTHON_ACTIONS = PLAIN + SILO + JSON


@pytest.mark.parametrize("limit", [1, 3])
def test_workers_never_outnumber_the_limit_and_outputs_stay_the_same(
    workspace: BazelWorkspace,
    local_outputs: Mapping[str, bytes],
    make_rpw_server: MakeServer,
    limit: int,
) -> None:
    server = make_rpw_server(tool_inputs=TOOLS, max_workers_per_key=limit)
    result = workspace.build(flags=server.bazel_flags())
    assert result.exit_code == 0, result.stderr
    assert result.outputs == local_outputs
    starts = starts_by_key(server.events)
    assert len(starts) == 4
    assert max(starts.values()) <= limit
    assert requests_by_action(server.events).total() == ACTIONS
    assert_no_internal_error(server.events)


def test_a_tool_edit_between_builds_restarts_the_worker(
    workspace: BazelWorkspace, local_outputs: Mapping[str, bytes], make_rpw_server: MakeServer
) -> None:
    server = make_rpw_server(tool_inputs=TOOLS, max_workers_per_key=1)
    first = workspace.build("//python:plain0", flags=server.bazel_flags())
    workspace.edit_tool()
    second = workspace.build("//python:plain0", flags=server.bazel_flags())
    assert (first.exit_code, second.exit_code) == (0, 0), first.stderr + second.stderr
    assert second.outputs["python/plain0.txt"] == local_outputs["python/plain0.txt"]
    before, after = of_kind(server.events, "worker_started")
    assert tool_digest(before, GOOD_TOOL) != tool_digest(after, GOOD_TOOL)
    (refused,) = of_kind(server.events, "worker_not_reused")
    assert refused.closest_worker == before.worker
    assert any(GOOD_TOOL in difference for difference in refused.differences)


def test_an_edited_source_is_compiled_anew_by_the_same_worker(
    workspace: BazelWorkspace, make_rpw_server: MakeServer
) -> None:
    server = make_rpw_server(tool_inputs=TOOLS, max_workers_per_key=1)
    first = workspace.build("//python:plain0", flags=server.bazel_flags())
    (workspace.root / "python/src/0.txt").write_text("another text\n")
    second = workspace.build("//python:plain0", flags=server.bazel_flags())
    assert (first.exit_code, second.exit_code) == (0, 0), first.stderr + second.stderr
    assert b"ANOTHER TEXT" in second.outputs["python/plain0.txt"]
    assert b"ANOTHER TEXT" not in first.outputs["python/plain0.txt"]
    assert len(of_kind(server.events, "worker_started")) == 1
    cold, warm = of_kind(server.events, "action_completed")
    assert (cold.reused, warm.reused) == (False, True)


def test_a_build_after_clean_is_served_from_the_action_cache(
    workspace: BazelWorkspace, local_outputs: Mapping[str, bytes], make_rpw_server: MakeServer
) -> None:
    server = make_rpw_server(tool_inputs=TOOLS)
    workspace.build(PYTHON_TARGETS, flags=server.bazel_flags())
    requests = requests_by_action(server.events)
    workspace.clean()
    again = workspace.build(PYTHON_TARGETS, flags=server.bazel_flags())
    assert again.processes["remote cache hit"] == PYTHON_ACTIONS
    assert again.executes == 0
    assert requests_by_action(server.events) == requests
    assert all(local_outputs[path] == content for path, content in again.outputs.items())


def test_without_marks_for_the_tool_an_action_runs_one_shot(
    workspace: BazelWorkspace, local_outputs: Mapping[str, bytes], make_rpw_server: MakeServer
) -> None:
    server = make_rpw_server()
    result = workspace.build(PYTHON_TARGETS, flags=server.bazel_flags())
    assert result.exit_code == 0, result.stderr
    assert all(local_outputs[path] == content for path, content in result.outputs.items())
    assert routes(server.events) == {"one-shot": PYTHON_ACTIONS}
    assert all("tool input" in each.reason for each in of_kind(server.events, "action_routed"))


def test_without_a_worker_key_no_persistent_result_is_reused(
    workspace: BazelWorkspace, local_outputs: Mapping[str, bytes], make_rpw_server: MakeServer
) -> None:
    server = make_rpw_server(tool_inputs=TOOLS)
    workspace.build(PYTHON_TARGETS, flags=server.bazel_flags())
    workspace.use_worker_keys(enabled=False)
    result = workspace.build(PYTHON_TARGETS, flags=server.bazel_flags())
    assert result.exit_code == 0, result.stderr
    assert routes(server.events) == {"worker": PYTHON_ACTIONS, "one-shot": PYTHON_ACTIONS}
    assert result.executes == PYTHON_ACTIONS
    assert "remote cache hit" not in result.processes
    assert all(local_outputs[path] == content for path, content in result.outputs.items())


@pytest.mark.parametrize(
    ("bug", "words"),
    [
        ("crashing", "crashing.py: the native library gave up"),
        ("noisy", "stdout"),
    ],
)
def test_a_broken_worker_fails_its_action_without_a_retry(
    workspace: BazelWorkspace, make_rpw_server: MakeServer, bug: str, words: str
) -> None:
    server = make_rpw_server(tool_inputs=TOOLS, default_protocol="proto")
    result = workspace.build(f"//broken:{bug}", flags=server.bazel_flags())
    assert result.exit_code != 0
    assert words in result.stderr
    assert result.executes == 1, "Bazel tried again"
    assert requests_by_action(server.events).total() == 1
    assert_no_internal_error(server.events)


def test_json_workers_without_a_declared_protocol_are_found_out(
    workspace: BazelWorkspace, local_outputs: Mapping[str, bytes], make_rpw_server: MakeServer
) -> None:
    """Bazel 6.0 to 9.0 sends the key and no persistentWorkerProtocol, and so does this workspace."""
    server = make_rpw_server(tool_inputs=TOOLS)
    properties = workspace.root / "properties.bzl"
    declared = properties.read_text()
    properties.write_text(declared.replace(', "persistentWorkerProtocol": "json"', ""))
    result = workspace.build(PYTHON_TARGETS, flags=server.bazel_flags())

    assert declared != properties.read_text()
    assert result.exit_code == 0, result.stderr
    built = {path: local_outputs[path] for path in result.outputs}
    assert result.outputs == built
    assert routes(server.events) == {"worker": PYTHON_ACTIONS}
    detected = of_kind(server.events, "protocol_detected")
    assert {each.protocol for each in detected if each.worker is not None} == {"json"}
    assert not of_kind(server.events, "protocol_violation")
    started = {
        each.worker: each.startup_arguments for each in of_kind(server.events, "worker_started")
    }
    json_workers = {
        each.worker
        for each in of_kind(server.events, "action_completed")
        if "--worker_protocol=json" in started[each.worker]
    }
    assert json_workers <= {
        each.worker
        for each in of_kind(server.events, "worker_started")
        if dict(each.key_components)["protocol"] == "json"
    }
    assert_no_internal_error(server.events)


@pytest.mark.parametrize("layout", [(), ("--experimental_sibling_repository_layout",)])
def test_a_worker_finds_all_inputs_by_the_paths_in_its_requests(
    workspace: BazelWorkspace, make_rpw_server: MakeServer, layout: tuple[str, ...]
) -> None:
    server = make_rpw_server(tool_inputs=("**/tools/**", *TOOLS))
    (workspace.root / GOOD_TOOL).write_text(LISTS_INPUTS)
    result = workspace.build("//python:plain0", flags=[*server.bazel_flags(), *layout])

    assert result.exit_code == 0, result.stderr
    count, missing = result.outputs["python/plain0.txt"].decode().split(maxsplit=1)
    assert int(count) >= 4
    assert missing == "[]"
    assert routes(server.events) == {"worker": 1}


def test_bazel_prints_why_an_action_timed_out(
    workspace: BazelWorkspace, make_rpw_server: MakeServer
) -> None:
    server = make_rpw_server(tool_inputs=TOOLS, default_timeout=2.0)
    tool = workspace.root / GOOD_TOOL
    tool.write_text("import sys, time\nsys.stdin.read(1)\ntime.sleep(1000)\n")
    result = workspace.build("//python:plain0", flags=server.bazel_flags())

    assert result.exit_code != 0
    assert "no response within the action's timeout" in result.stderr


def test_a_broken_worker_leaves_other_actions_of_the_build_alone(
    workspace: BazelWorkspace, local_outputs: Mapping[str, bytes], make_rpw_server: MakeServer
) -> None:
    server = make_rpw_server(tool_inputs=TOOLS)
    targets = ("//broken:crashing", "//python:plain0", "//python:json0")
    result = workspace.build(*targets, flags=server.bazel_flags())
    assert result.exit_code != 0
    for path in ("python/plain0.txt", "python/json0.txt"):
        assert result.outputs[path] == local_outputs[path]

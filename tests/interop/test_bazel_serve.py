"""Bazel against ``python -m rpw_fixture serve``: one series of builds, as the events file records it.

The builds run once, in `story`; every test looks at one chapter of it, in any order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from .bazel import GOOD_TOOL, BazelWorkspace, BuildResult
from .observations import (
    assert_no_internal_error,
    of_kind,
    requests_by_action,
    routes,
    starts_by_key,
    tool_digest,
)
from .serve_process import ServeProcess
from .workspace_files import ACTIONS, JAVA

MAX_WORKERS_PER_KEY = 2
#: Plain, silo, JSON and Java targets; each group has a separate pool.
POOLS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One build and the events it caused."""

    result: BuildResult
    events: list[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Builds, each after the one before, then all events, and how the server ended.

    What a server does for an action before its reply is in the chapter. What it may do afterwards,
    such as retiring a worker, is only certain to be among all events.
    """

    cold: Chapter
    cached: Chapter
    rerun: Chapter
    edited: Chapter
    keyless: Chapter
    crashing: Chapter
    noisy: Chapter
    events: list[Any]
    exit_status: int
    survivors: list[int]
    ready: dict[str, Any]
    port_file: str
    log: str


@pytest.fixture(scope="module")
def story(
    shared_workspace: BazelWorkspace,
    local_outputs: Mapping[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Story]:
    """All chapters; the workspace is its old self afterwards."""
    assert local_outputs
    folder = tmp_path_factory.mktemp("serve")
    flags = ("--tool-input", "tools/**", "--max-workers-per-key", str(MAX_WORKERS_PER_KEY))
    with ServeProcess(folder, *flags) as server:
        yield _tell(server, shared_workspace, server.port_file)
    shared_workspace.restore()


def _tell(server: ServeProcess, workspace: BazelWorkspace, port_file: Path) -> Story:
    def chapter(*targets: str, flags: tuple[str, ...] = ()) -> Chapter:
        seen = len(server.events())
        result = workspace.build(*targets, flags=(*server.bazel_flags, *flags))
        return Chapter(result=result, events=server.events()[seen:])

    workspace.restore()
    workspace.clean()
    cold = chapter()
    workspace.clean()
    cached = chapter()
    workspace.clean()
    rerun = chapter(flags=("--noremote_accept_cached",))
    workspace.edit_tool()
    edited = chapter()
    workspace.use_worker_keys(enabled=False)
    workspace.clean()
    keyless = chapter()
    workspace.restore()
    crashing, noisy = chapter("//broken:crashing"), chapter("//broken:noisy")
    port = port_file.read_text()
    exit_status = server.stop()
    events = server.events()
    pids = [event.pid for event in of_kind(events, "worker_started")]
    return Story(
        cold=cold,
        cached=cached,
        rerun=rerun,
        edited=edited,
        keyless=keyless,
        crashing=crashing,
        noisy=noisy,
        events=events,
        exit_status=exit_status,
        survivors=[pid for pid in pids if psutil.pid_exists(pid)],
        ready=server.ready,
        port_file=port,
        log=server.log,
    )


@pytest.mark.parametrize("name", ["cold", "cached", "rerun", "edited", "keyless"])
def test_every_build_gives_the_bytes_of_a_local_build(
    story: Story, local_outputs: Mapping[str, bytes], name: str
) -> None:
    result: BuildResult = getattr(story, name).result
    assert result.exit_code == 0, result.stderr
    assert result.outputs == local_outputs


def test_a_cold_build_sends_every_action_to_a_worker_once(story: Story) -> None:
    requests = requests_by_action(story.cold.events)
    assert routes(story.cold.events) == {"worker": ACTIONS}
    assert len(requests) == requests.total() == ACTIONS
    assert story.cold.result.executes == ACTIONS
    assert story.cold.result.processes["remote"] == ACTIONS


def test_workers_are_started_per_key_and_slot_and_not_per_action(story: Story) -> None:
    starts = starts_by_key(story.cold.events)
    assert len(starts) == POOLS
    assert max(starts.values()) <= MAX_WORKERS_PER_KEY


def test_only_the_first_action_of_each_worker_finds_it_cold(story: Story) -> None:
    completed = of_kind(story.events, "action_completed")
    worked = [event for event in completed if event.mode == "worker" and event.exit_code == 0]
    firsts = [event.worker for event in worked if not event.reused]
    assert firsts
    assert sorted(firsts) == sorted({event.worker for event in worked})


def test_the_silo_and_the_protocol_separate_pools_of_one_client_key(story: Story) -> None:
    by_key: dict[str, list[str]] = {}
    for event in of_kind(story.cold.events, "worker_started"):
        by_key[event.key] = list(event.startup_arguments)
    commands = sorted(by_key.values())
    good = "tools/python/good"
    assert [command[0] for command in commands] == ["tools/java/compiler", good, good, good]
    assert all(command[-1] == "--persistent_worker" for command in commands)
    assert sum("--worker_protocol=json" in command for command in commands) == 1


def test_marked_files_are_the_tool_inputs_of_a_worker(story: Story) -> None:
    started = of_kind(story.cold.events, "worker_started")
    assert started
    for event in started:
        paths = {each.path for each in event.tool_inputs}
        assert event.startup_arguments[0] in paths
        assert all(path.startswith("tools/") for path in paths)


def test_after_clean_the_same_build_comes_from_the_action_cache(story: Story) -> None:
    assert story.cached.result.processes["remote cache hit"] == ACTIONS
    assert story.cached.result.executes == 0
    assert of_kind(story.cached.events, "request_sent") == []
    assert of_kind(story.cached.events, "worker_started") == []


def test_actions_that_must_run_again_find_the_workers_warm(story: Story) -> None:
    events = story.rerun.events
    assert requests_by_action(events).total() == ACTIONS
    earlier = starts_by_key(story.cold.events)
    again = starts_by_key(events)
    assert set(again) <= set(earlier)
    # A pool may still grow to its limit, but no live worker is replaced.
    assert max((earlier + again).values()) <= MAX_WORKERS_PER_KEY
    assert of_kind(events, "worker_not_reused") == []


def test_an_edited_tool_restarts_its_workers_and_no_others(story: Story) -> None:
    started = of_kind(story.edited.events, "worker_started")
    assert {event.startup_arguments[0] for event in started} == {"tools/python/good"}
    assert set(starts_by_key(started)).isdisjoint(starts_by_key(story.cold.events))
    assert requests_by_action(story.edited.events).total() == ACTIONS - JAVA
    old = {
        tool_digest(event, GOOD_TOOL)
        for event in of_kind(story.cold.events, "worker_started")
        if event.startup_arguments[0] == "tools/python/good"
    }
    assert old.isdisjoint(tool_digest(event, GOOD_TOOL) for event in started)


def test_the_event_says_which_tool_file_kept_a_worker_from_being_reused(story: Story) -> None:
    refused = of_kind(story.edited.events, "worker_not_reused")
    assert refused
    text = "\n".join(line for event in refused for line in event.differences)
    assert GOOD_TOOL in text
    assert "tools/python/rpw_worker.py" not in text


def test_without_a_worker_key_nothing_is_shared_with_persistent_entries(story: Story) -> None:
    routed = of_kind(story.keyless.events, "action_routed")
    assert routes(story.keyless.events) == {"one-shot": ACTIONS}
    assert all("persistentWorkerKey" in event.reason for event in routed)
    assert story.keyless.result.executes == ACTIONS
    assert "remote cache hit" not in story.keyless.result.processes
    assert of_kind(story.keyless.events, "worker_started") == []


def test_a_worker_that_dies_fails_the_build_at_once_with_its_last_words(story: Story) -> None:
    result = story.crashing.result
    assert result.exit_code != 0
    assert result.executes == 1, "Bazel tried again"
    # Once in each protocol, because Bazel does not say which one the worker speaks.
    assert requests_by_action(story.crashing.events).total() == 2
    assert "crashing.py: the native library gave up" in result.stderr
    sent, _ = of_kind(story.crashing.events, "request_sent")
    retired = next(
        event for event in of_kind(story.events, "worker_retired") if event.worker == sent.worker
    )
    assert retired.exit_status == 1
    assert retired.requests == 1
    assert "the native library gave up" in retired.stderr_tail


def test_text_on_stdout_fails_the_build_at_once_and_is_named(story: Story) -> None:
    result = story.noisy.result
    assert result.exit_code != 0
    assert result.executes == 1, "Bazel tried again"
    assert requests_by_action(story.noisy.events).total() == 2
    assert of_kind(story.noisy.events, "protocol_violation")
    assert "stdout" in result.stderr


def test_each_routed_action_has_one_end_and_no_event_is_missing(story: Story) -> None:
    assert_no_internal_error(story.events)
    assert [event.seq for event in story.events] == list(range(1, len(story.events) + 1))
    routed = Counter(event.action for event in of_kind(story.events, "action_routed"))
    assert routed
    assert Counter(event.action for event in of_kind(story.events, "action_completed")) == routed


def test_the_ready_line_and_the_port_file_name_the_same_port(story: Story) -> None:
    port = story.ready["endpoint"].rpartition(":")[2]
    assert story.ready["endpoint"] == f"grpc://127.0.0.1:{port}"
    assert port in story.port_file
    assert set(story.ready) >= {"endpoint", "pid", "version"}


def test_sigterm_ends_the_server_with_status_0_and_no_worker_survives(story: Story) -> None:
    assert story.exit_status == 0, story.log
    assert story.survivors == []

"""The pool over the wire: who shares a worker, limits, and what a full pool does."""

from __future__ import annotations

import random
import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpw_fixture import Server
from rpw_fixture.client import Client
from rpw_fixture.client.action import Action
from rpw_fixture.client.inputs import File
from rpw_fixture.events.kinds import (
    ActionCompleted,
    ActionRouted,
    Event,
    WorkerNotReused,
    WorkerRetired,
    WorkerStarted,
)
from rpw_fixture.pytest_plugin import MakeServer
from rpw_fixture.workers.pool import WorkerPool
from rpw_fixture.workers.worker import Worker
from tests.waiting import PATIENCE, until

from .worker_actions import Running, begun, compile_action, probe_action, run_all, seen, wait_for

# --- sharing ---

#: How two actions can differ, each as a change of the same action, and what is reported of it.
DIFFERENCES = {
    "persistentWorkerKey": lambda it: it.with_worker_key("another"),
    "cache-silo-key": lambda it: it.with_platform(**{"cache-silo-key": "team"}),
    "protocol": lambda it: it.replace(protocol="json"),
    "ability": lambda it: it.with_platform(persistentWorkerCancellation="1"),
    "startup argument": lambda it: it.with_arguments(*it.arguments, "--more"),
    "environment": lambda it: it.with_environment(LANG="C"),
    "tool input content": lambda it: it.with_tool_input("tools/content", b"another"),
    "tool input path": lambda it: it.with_tool_input("tools/more", b""),
    "tool input gone": lambda it: it.without_input("tools/gone"),
    "tool input bit": lambda it: it.with_tool_input("tools/bit", File(b"", is_executable=True)),
    "tool input mark": lambda it: it.with_input("tools/mark", b""),
}
#: What two actions may differ in and still share a worker.
INDIFFERENT = {
    "input": lambda it: it.with_input("src/x", b"other"),
    "more input": lambda it: it.with_input("src/y", b"more"),
    "request": lambda it: it.with_flagfile("--say", "hello"),
    "output": lambda it: it.with_outputs("out/other"),
    "timeout": lambda it: it.replace(timeout=30.0),
    "salt": lambda it: it.replace(salt=b"salt"),
    "property": lambda it: it.with_platform(OSFamily="linux"),
    "mnemonic": lambda it: it.replace(mnemonic="Other", target="//x"),
}


MORE_TOOLS = {f"tools/{name}": b"" for name in ("content", "gone", "bit", "mark")}


def with_all_tools(action: Action) -> Action:
    """With tool inputs that `DIFFERENCES` can change and the worker does not need."""
    return action.replace(tool_inputs={**action.tool_inputs, **MORE_TOOLS})


def key_of(server: Server, client: Client, action: Action) -> str:
    """The pool key to which the action is routed."""
    operation = client.run(action, check=False, skip_cache_lookup=True).operation
    routed = [each for each in server.events.of(ActionRouted) if each.operation == operation]
    assert routed[0].key is not None, routed[0].reason
    return routed[0].key


def test_two_actions_share_a_key_exactly_when_they_differ_in_no_component() -> None:
    # Workers that end at once are enough to see where actions are sent.
    base = with_all_tools(probe_action(tool_inputs={}, inputs={"src/x": b"x"}))
    base = base.with_arguments("/bin/false")

    @settings(max_examples=40)
    @given(
        differing=st.lists(st.sampled_from(sorted(DIFFERENCES)), unique=True, max_size=3),
        indifferent=st.lists(st.sampled_from(sorted(INDIFFERENT)), unique=True, max_size=4),
        is_elsewhere=st.booleans(),
    )
    def check(differing: list[str], indifferent: list[str], is_elsewhere: bool) -> None:
        other = base
        for name in indifferent:
            other = INDIFFERENT[name](other)
        assert key_of(server, server.client, other) == first
        for name in differing:
            other = DIFFERENCES[name](other)
        key = key_of(server, elsewhere if is_elsewhere else server.client, other)
        assert (key == first) == (not differing and not is_elsewhere)

    with Server() as server, server.connect(instance_name="elsewhere") as elsewhere:
        first = key_of(server, server.client, base)
        check()


@pytest.mark.parametrize("name", DIFFERENCES)
def test_actions_that_differ_in_one_component_never_share_a_process(
    make_rpw_server: MakeServer, name: str
) -> None:
    server = make_rpw_server()
    action = with_all_tools(probe_action())
    one = server.run(action)
    other = server.run(DIFFERENCES[name](action), check=False)
    again = server.run(action)

    assert len(server.events.of(WorkerStarted)) == 2
    assert other.worker_name != one.worker_name
    assert again.worker_name == one.worker_name
    component = name.partition(" ")[0]
    differences = server.events.of(WorkerNotReused)[0].differences
    assert any(each.startswith((component, name)) for each in differences), differences


def test_instances_and_working_directories_have_separate_workers(
    make_rpw_server: MakeServer,
) -> None:
    server = make_rpw_server()
    action = probe_action()
    moved = action.replace(
        working_directory="pkg",
        tool_inputs={f"pkg/{path}": content for path, content in action.tool_inputs.items()},
    )
    with server.connect(instance_name="other") as elsewhere:
        workers = [
            client.run(each, skip_cache_lookup=True).worker_name
            for client, each in [
                (server.client, action),
                (elsewhere, action),
                (server.client, moved),
                (server.client, action),
                (elsewhere, action),
            ]
        ]
    assert workers[0] == workers[3]
    assert workers[1] == workers[4]
    assert len(set(workers)) == 3


def test_digest_functions_have_separate_workers(make_rpw_server: MakeServer) -> None:
    server = make_rpw_server(digest_functions=("SHA256", "SHA512"))
    action = probe_action()
    with server.connect(digest_function="SHA512") as other:
        assert server.run(action).worker_name != other.run(action).worker_name


@pytest.mark.parametrize("name", INDIFFERENT)
def test_actions_that_differ_in_nothing_of_the_key_share_a_process(
    make_rpw_server: MakeServer, name: str
) -> None:
    server = make_rpw_server()
    action = probe_action(inputs={"src/x": b"x"})
    server.run(action)
    server.run(INDIFFERENT[name](action))

    assert len(server.events.of(WorkerStarted)) == 1


def test_the_worker_used_last_is_used_next(make_rpw_server: MakeServer, tmp_path: Path) -> None:
    server = make_rpw_server()
    running = [begun(server, tmp_path, name) for name in "ab"]
    (tmp_path / "gate").touch()
    assert {each.result().worker_name[-1] for each in running} == {"1", "2"}

    workers = {server.run(probe_action()).worker for _ in range(4)}
    assert len(workers) == 1


# --- limits ---


def alive_at_most(events: list[Event]) -> tuple[int, int]:
    """The most workers that were alive at a time, of one key and in all."""
    keys: dict[int, str] = {}
    most_of_key = most = 0
    for event in events:
        if isinstance(event, WorkerStarted):
            keys[event.worker] = event.key
        elif isinstance(event, WorkerRetired):
            del keys[event.worker]
        most = max(most, len(keys))
        most_of_key = max([most_of_key, *Counter(keys.values()).values()])
    return most_of_key, most


def test_one_key_has_no_more_workers_than_allowed(make_rpw_server: MakeServer) -> None:
    server = make_rpw_server(jobs=12, max_workers_per_key=3)
    outcomes = run_all(server, [compile_action(f"n{n}") for n in range(12)])

    assert all(each.ok for each in outcomes)
    assert alive_at_most(server.events.snapshot())[0] <= 3


def test_an_idle_worker_of_another_key_makes_room_least_recently_used_first(
    make_rpw_server: MakeServer,
) -> None:
    server = make_rpw_server(max_workers=2)
    for key in ("a", "b", "a", "c"):
        server.run(probe_action(worker_key=key))

    assert [(each.worker, each.reason) for each in server.events.of(WorkerRetired)] == [
        (2, "least recently used")
    ]
    assert alive_at_most(server.events.snapshot())[1] == 2


def test_a_busy_worker_is_waited_for(make_rpw_server: MakeServer, tmp_path: Path) -> None:
    server = make_rpw_server(jobs=4, max_workers=1)
    first = begun(server, tmp_path, "a", worker_key="a")
    second = Running(server, probe_action(worker_key="b"))
    wait_for(server, ActionRouted, lambda each: each.operation == second.operation)
    assert len(server.events.of(WorkerStarted)) == 1
    (tmp_path / "gate").touch()

    assert first.result().ok
    assert second.result().ok
    assert alive_at_most(server.events.snapshot())[1] == 1


def test_an_action_that_waits_longer_than_its_timeout_says_what_it_waited_for(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(jobs=4, max_workers=1)
    first = begun(server, tmp_path, "a")
    late = server.run(probe_action(timeout=0.2), check=False)

    assert late.status == "DEADLINE_EXCEEDED"
    assert "no worker came free" in late.message
    assert "--max-workers 1" in late.message
    (tmp_path / "gate").touch()
    assert first.result().ok


# --- whom it serves first ---


@pytest.mark.slow
@pytest.mark.parametrize("order", ["cyclic", "random"])
def test_actions_in_any_order_start_hardly_more_workers_than_in_the_order_of_their_keys(
    make_rpw_server: MakeServer, order: str
) -> None:
    # In the order of their keys, each of the ten keys gets the four workers it may have.
    server = make_rpw_server(jobs=4, max_workers=8)
    numbers = [number % 10 for number in range(300)]
    if order == "random":
        random.Random(1).shuffle(numbers)
    actions = [
        compile_action(f"n{position}", worker_key=f"key {number}", do_not_cache=True)
        for position, number in enumerate(numbers)
    ]

    outcomes = in_threads(server, actions, 64)

    assert all(each.ok for each in outcomes)
    assert len(server.events.of(WorkerStarted)) <= 2 * 40


def test_an_action_is_passed_over_so_often_at_most(make_rpw_server: MakeServer) -> None:
    server = make_rpw_server(jobs=2, max_workers=1)
    actions = [probe_action(worker_key="many", salt=b"%d" % number) for number in range(200)]
    rare = probe_action(worker_key="rare", salt=b"rare")

    outcomes = in_threads(server, [*actions[:4], rare, *actions[4:]], 16)

    ended = [each.operation for each in server.events.of(ActionCompleted)]
    assert all(each.ok for each in outcomes)
    assert ended.index(outcomes[4].operation) <= 32 + 16 + 4


# --- when full ---


def test_an_action_that_finds_the_pool_full_runs_one_shot_and_says_so(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(jobs=4, max_workers=1, when_full="one-shot")
    first = begun(server, tmp_path, "a")
    outcome = server.run(compile_action("x", worker_key="other"))

    assert outcome.outputs["out/x"].startswith(b"TEXT X\n")
    server.assert_one_shot(outcome, because="the worker pool is full")
    (tmp_path / "gate").touch()
    assert first.result().ok


def test_an_action_that_finds_the_pool_full_can_be_refused(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(jobs=4, max_workers=1, when_full="error")
    first = begun(server, tmp_path, "a")
    outcome = server.run(compile_action("x", worker_key="other"), check=False)

    assert outcome.status == "RESOURCE_EXHAUSTED"
    assert "the worker pool is full (--max-workers-per-key is 4, --max-workers 1)" in (
        outcome.message
    )
    (tmp_path / "gate").touch()
    assert first.result().ok


def test_a_pool_that_grows_goes_back_to_its_limit(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(jobs=4, max_workers=1, when_full="grow")
    running = [begun(server, tmp_path, name, worker_key=name) for name in "abc"]
    (tmp_path / "gate").touch()

    assert all(each.result().ok for each in running)
    wait_for(server, WorkerRetired)
    assert alive_at_most(server.events.snapshot())[1] == 3
    until(lambda: len(server.events.of(WorkerRetired)) == 2)
    assert {each.reason for each in server.events.of(WorkerRetired)} == {"least recently used"}


def test_a_worker_that_has_ended_makes_no_other_one_superfluous(
    make_rpw_server: MakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispose, may_go_on = WorkerPool._dispose, threading.Event()

    def held_up(pool: WorkerPool, worker: Worker) -> None:
        may_go_on.wait(PATIENCE)
        dispose(pool, worker)

    monkeypatch.setattr(WorkerPool, "_dispose", held_up)
    server = make_rpw_server(jobs=4, max_workers=1, when_full="grow")
    folders = [tmp_path / name for name in "ab"]
    for each in folders:
        each.mkdir()
    running = [begun(server, each, each.name, worker_key=each.name) for each in folders]
    for each, action in zip(folders, running, strict=True):
        (each / "gate").touch()
        assert action.result().ok
        wait_for(
            server, WorkerRetired
        )  # it is the one of the first action, and still on its way out

    again = server.run(probe_action(salt=b"again", worker_key="b"))
    may_go_on.set()
    server.assert_worker_reused(running[1].result(), again)


# --- stress ---


@pytest.mark.slow
def test_a_thousand_mixed_actions_over_twenty_keys_keep_the_limits_and_leave_nothing(
    make_rpw_server: MakeServer, mixed_actions: int
) -> None:
    server = make_rpw_server(jobs=24, max_workers=8, max_workers_per_key=3, worker_max_requests=40)
    names = [f"n{number}" for number in range(mixed_actions)]
    actions = [
        compile_action(
            name,
            worker_key=f"key {number * 7 % 20}",
            do_not_cache=True,
            **({"script": "crashing.py", "startup": ["--after=9"]} if number % 10 == 0 else {}),
        )
        for number, name in enumerate(names)
    ]

    outcomes = in_threads(server, actions, 24)

    for name, outcome in zip(names, outcomes, strict=True):
        crashed = outcome.status == "FAILED_PRECONDITION" and "crash" in outcome.message
        assert crashed or outcome.outputs[f"out/{name}"].startswith(b"TEXT N"), outcome
    assert sum(each.ok for each in outcomes) >= 0.9 * len(outcomes)
    of_key, in_all = alive_at_most(server.events.snapshot())
    assert of_key <= 3
    assert in_all <= 8
    server.reset()
    started = [each for each in server.workers if each.is_alive]
    assert started == []


def in_threads(server: Server, actions: list[Action], count: int) -> list:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(lambda each: server.client.run(each, check=False), actions))


def test_the_probe_reports(make_rpw_server: MakeServer) -> None:
    """The other tests rest on it."""
    view = seen(make_rpw_server().run(probe_action(inputs={"src/x": b"x"})))

    assert view["argv"][-1] == "--persistent_worker"
    assert "src/x" in view["inputs"]

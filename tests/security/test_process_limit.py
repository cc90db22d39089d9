"""A machine that has no process left: actions are refused while it lasts, and served when it is over."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from rpw_fixture import Action, Server
from rpw_fixture.processes.spawner import Spawner, StartError
from tests.processes.programs import Running, run
from tests.waiting import until

from .test_stopped_spawner import worker_action

REQUIRED = os.environ.get("RPW_FIXTURE_REQUIRE_INTEROP") == "1"
#: Where the controller of process numbers may be mounted: version 1, then version 2.
GROUPS = (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup"))
#: Sets how many processes more than now some may start together; None lifts the limit.
Limit = Callable[[list[int], int | None], None]


@pytest.fixture
def limit() -> Iterator[Limit]:
    """By a control group, which holds for root too; else by the number of this user's processes."""
    if sys.platform != "linux":
        pytest.skip("there is no way to limit one process from outside")
    with contextlib.ExitStack() as undo:
        group = _new_group(undo)
        if group is not None:
            yield lambda pids, more: _limit_group(group, pids, more)
        elif os.geteuid() == 0:
            (pytest.fail if REQUIRED and GROUPS[0].is_dir() else pytest.skip)(
                "root is only limited by a control group, and none can be made here"
            )
        else:
            yield _limit_user


def _new_group(undo: contextlib.ExitStack) -> Path | None:
    for parent in GROUPS:
        group = parent / f"rpw_fixture-test-{uuid.uuid4().hex[:8]}"
        with contextlib.suppress(OSError):
            group.mkdir()
            if (group / "pids.max").exists():
                undo.callback(group.rmdir)
                undo.callback(_until_empty, group)
                return group
            group.rmdir()
    return None


def _until_empty(group: Path) -> None:
    until(lambda: not (group / "cgroup.procs").read_text())


def _limit_group(group: Path, pids: list[int], more: int | None) -> None:
    for pid in pids:
        (group / "cgroup.procs").write_text(str(pid))
    inside = len((group / "cgroup.procs").read_text().split())
    (group / "pids.max").write_text("max" if more is None else str(inside + more))


def _limit_user(pids: list[int], more: int | None) -> None:
    """Any more than one is more than the user has already."""
    for pid in pids:
        hard = resource.prlimit(pid, resource.RLIMIT_NPROC)[1]
        soft = hard if more is None else 1
        resource.prlimit(pid, resource.RLIMIT_NPROC, (soft, hard))


def spawner_and_supervisors() -> list[int]:
    (spawner,) = psutil.Process().children()
    return [spawner.pid, *(each.pid for each in spawner.children())]


def statuses(server: Server, count: int, make: Callable[[int], Action]) -> set[str]:
    return {server.run(make(number), check=False).status for number in range(count)}


def echo(number: int) -> Action:
    return Action(arguments=["/bin/echo", str(number)])


def test_actions_are_refused_while_no_process_can_be_started(limit: Limit) -> None:
    with Server() as server:
        assert server.run(echo(100)).ok
        processes = spawner_and_supervisors()
        limit(processes, 0)
        try:
            assert statuses(server, 5, echo) == {"RESOURCE_EXHAUSTED"}
            assert server.run(worker_action(), check=False).status == "RESOURCE_EXHAUSTED"
        finally:
            limit(processes, None)
        assert statuses(server, 5, echo) == {"OK"}
        assert server.run(worker_action()).ok
        assert spawner_and_supervisors()[0] == processes[0]


def test_a_start_with_setup_is_refused_as_well(limit: Limit) -> None:
    with Server(limits=("core=0",)) as server:
        assert server.run(echo(100)).ok
        processes = spawner_and_supervisors()
        limit(processes, 0)
        try:
            assert statuses(server, 3, echo) == {"RESOURCE_EXHAUSTED"}
        finally:
            limit(processes, None)
        assert statuses(server, 3, echo) == {"OK"}
        assert spawner_and_supervisors()[0] == processes[0]


def hold_all(spawner: Spawner, running: contextlib.ExitStack) -> None:
    """Keep every supervisor busy that is there already, and one more."""
    for _ in range(50):
        running.enter_context(Running(spawner, ["/bin/sleep", "1000"]))


def test_a_start_is_refused_when_no_supervisor_can_be_started_for_it(limit: Limit) -> None:
    with Spawner() as spawner, contextlib.ExitStack() as running:
        run(spawner, ["/bin/true"])
        assert spawner.pid is not None
        limit([spawner.pid], 0)
        try:
            with pytest.raises(StartError) as caught:
                hold_all(spawner, running)
        finally:
            limit([spawner.pid], None)
        assert (caught.value.errno, caught.value.stage) == (errno.EAGAIN, "spawner")
        assert run(spawner, ["/bin/echo", "again"])[0] == b"again\n"

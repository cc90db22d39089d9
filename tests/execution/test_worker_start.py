"""Workers that can't be started: their processes and pipes are gone, and the reason is reported."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any

import pytest

from rpw_fixture.config import Config
from rpw_fixture.errors import Code
from rpw_fixture.execution import worker_start as module
from rpw_fixture.execution.worker_start import WorkerStarter
from rpw_fixture.processes.spawner import StartError
from rpw_fixture.support.thread_pool import ThreadStartError
from rpw_fixture.workers.failure import WorkerFailure
from rpw_fixture.workers.lifecycle import Retirement
from rpw_fixture.workers.personalities.reference import REFERENCE


class Pipes:
    """Pipes that note what is done to them."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *_: self.done.append(name)


def key(*, is_multiplex: bool = False) -> Any:
    return SimpleNamespace(
        is_multiplex=is_multiplex,
        abilities=frozenset(),
        protocol="proto",
        startup_arguments=("./tool",),
        environment=(),
        working_directory="",
        container=None,
    )


def starter(launcher: object = None) -> Any:
    folder: Any = SimpleNamespace()
    slot: Any = None
    any_launcher: Any = launcher
    return WorkerStarter(Config(), REFERENCE, any_launcher, folder, slot)


@pytest.mark.parametrize("is_multiplex", [False, True])
def test_a_worker_that_no_thread_can_listen_to_is_ended(
    is_multiplex: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **_options: object) -> None:
        raise ThreadStartError

    monkeypatch.setattr(module, "Multiplex" if is_multiplex else "Singleplex", fail)
    pipes = Pipes()
    with pytest.raises(ThreadStartError):
        starter()._conversation(key(is_multiplex=is_multiplex), pipes)
    assert pipes.done == ["kill", "wait_for_exit", "close"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file"), Code.FAILED_PRECONDITION),
        (PermissionError(errno.EACCES, "Permission denied"), Code.FAILED_PRECONDITION),
        (StartError(errno.ENOENT, "cannot start x", stage="executable"), Code.FAILED_PRECONDITION),
        (StartError(errno.EAGAIN, "cannot start x", stage="spawner"), Code.RESOURCE_EXHAUSTED),
        (StartError(errno.EPIPE, "cannot start x", stage="spawner"), Code.UNAVAILABLE),
    ],
)
def test_a_tool_that_can_not_be_started_leaves_no_pipe(
    error: Exception, code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = Pipes(), Pipes()

    def launch(*_: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(module, "make_pipes", lambda: (ours, theirs))
    folder = SimpleNamespace(below=lambda name: SimpleNamespace(path=f"/worker/{name}"))
    with pytest.raises(WorkerFailure) as found:
        starter(SimpleNamespace(launch=launch))._launch(7, key(), folder)
    assert (found.value.worker, found.value.rule) == (7, Retirement.START_FAILED)
    assert found.value.code is code
    assert str(error) in str(found.value)
    assert (ours.done, theirs.done) == (["close"], ["close"])

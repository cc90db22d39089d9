"""Bugs of this server, which stop an action with words instead of a wrong result."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rpw_fixture.errors import Code, RequestError
from rpw_fixture.execution import outputs, response
from rpw_fixture.execution.job import ActionProgress
from rpw_fixture.execution.output_lookup import OutputsChangedError
from rpw_fixture.execution.persistent import PersistentExecutor
from rpw_fixture.execution.protocol_finder import ProtocolFinder
from rpw_fixture.execution.protocol_race import Side
from rpw_fixture.execution.staging.changes import ChangeSet, FolderWatcher
from rpw_fixture.workers.failure import WorkerFailure
from rpw_fixture.workers.lifecycle import Retirement


def test_an_action_runs_only_once_it_is_resolved() -> None:
    timeline: Any = None
    with pytest.raises(RuntimeError, match="not resolved"):
        _ = ActionProgress(timeline=timeline).action


def test_an_action_without_a_result_has_no_response() -> None:
    job: Any = SimpleNamespace(progress=SimpleNamespace(result=None, action=None))
    with pytest.raises(ValueError, match="no result"):
        response.completed(job)


def test_an_action_without_a_key_has_no_worker() -> None:
    executor: Any = PersistentExecutor.__new__(PersistentExecutor)
    route = SimpleNamespace(key=None)
    job: Any = SimpleNamespace(progress=SimpleNamespace(action=None, route=route))
    with pytest.raises(ValueError, match="no worker"):
        executor._task(job)


@pytest.mark.parametrize(
    ("winner", "error", "expected"),
    [
        (Side.SECOND, None, (RuntimeError, "no result")),
        (Side.SECOND, KeyError("bug"), (KeyError, "bug")),
        (None, KeyError("bug"), (KeyError, "bug")),
        (None, None, (RuntimeError, "neither answered nor failed")),
        (None, RequestError(Code.INTERNAL, "x"), (RuntimeError, "neither answered nor failed")),
    ],
)
def test_a_race_of_two_protocols_ends_with_a_result_or_a_failure(
    winner: Side | None, error: Exception | None, expected: tuple[type[Exception], str]
) -> None:
    finder: Any = ProtocolFinder.__new__(ProtocolFinder)
    race = SimpleNamespace(winner=winner, result=None, error=error)
    kind, words = expected
    with pytest.raises(kind, match=words):
        finder._outcome(race, SimpleNamespace(), None, None, None)


class _Requests:
    """Leases workers that fail in a certain way."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.discarded: list[Retirement] = []
        self.worker = SimpleNamespace(number=2)
        self.is_reused = False
        self.discard = self.discarded.append

    @contextmanager
    def lease(self, _task: object, *, is_extra: bool) -> Iterator[Any]:
        assert is_extra
        yield self

    def serve(self, lease: object, _task: object) -> None:
        assert lease is self
        raise self.error


class _Race:
    """A race that notes who takes part."""

    def __init__(self, error: BaseException | None) -> None:
        self.noted: list[object] = []
        self.error: BaseException | None = None
        self._refusal = error

    def enter(self, worker: object) -> None:
        if self._refusal is not None:
            raise self._refusal
        self.noted.append(worker)

    def leave(self) -> None:
        self.noted.append("left")


_CRASH = WorkerFailure(worker=2, rule="crash", detail="")


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize(
    "error", [_CRASH, KeyError("bug"), RequestError(Code.CANCELLED, "x"), KeyboardInterrupt()]
)
def test_a_second_worker_that_fails_takes_no_part_any_longer(
    error: BaseException, is_late: bool
) -> None:
    """What waits for it would otherwise wait until the action's time is up."""
    finder: Any = ProtocolFinder.__new__(ProtocolFinder)
    finder._requests = requests = _Requests(error)
    race = _Race(error if is_late else None)
    assigned: list[tuple[int, bool]] = []
    progress = SimpleNamespace(
        assign=lambda number, *, is_reused: assigned.append((number, is_reused))
    )
    is_failure = isinstance(error, WorkerFailure)
    with nullcontext() if is_failure else pytest.raises(type(error)):
        finder._serve_second(race, SimpleNamespace(progress=progress))
    assert race.noted == ["left"] if is_late else [requests.worker, "left"]
    assert race.error is (error if is_failure else None)
    assert requests.discarded == ([Retirement.OTHER_PROTOCOL] if is_failure else [])
    assert assigned == [(2, False)]


def test_a_link_that_is_none_any_longer_is_the_actions_fault(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        for name in ("file", "absent"):
            with pytest.raises(OutputsChangedError) as changed:
                outputs._target(fd, name, f"out/{name}")
            assert changed.value.path == f"out/{name}"
    finally:
        os.close(fd)


def test_an_absolute_link_is_refused_where_links_must_be_relative() -> None:
    outputs._refuse_absolute({"a": "b/c"})
    with pytest.raises(RequestError, match="output symlink 'a' has the absolute target '/b'"):
        outputs._refuse_absolute({"x": "y", "a": "/b"})


@pytest.mark.parametrize("fails", [False, True])
def test_a_file_beyond_what_can_be_watched_has_no_watch(fails: bool, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    watcher: Any = FolderWatcher()
    changes = ChangeSet()
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        assert watcher.watch_file(fd, "file", changes) == -1  # nothing is watched yet
        assert watcher.watch(fd, changes) >= 0
        assert watcher.watch_file(fd, "absent", changes) == -1
        watcher._most_files = len(watcher._sets) + 1
        assert watcher.watch_file(fd, "file", changes) >= 0
        assert watcher.watch_file(fd, "file", changes) == -1
        if fails:
            watcher._inotify.close()
            watcher._inotify = SimpleNamespace(add=_full, close=lambda: None)
            assert watcher.watch(fd, changes) == -1
        assert changes.is_blind is fails
    finally:
        os.close(fd)
        watcher.close()


def _full(*_: object) -> int:
    raise OSError(errno.ENOSPC, "too many watches")

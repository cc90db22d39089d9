"""The file of --events when it can't be written for a while: whole lines, and what was lost."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture import Server
from rpw_fixture.client.action import Action
from rpw_fixture.events.event_file import EventFile
from rpw_fixture.events.kinds import InternalError
from rpw_fixture.events.log import EventLog

#: Writes events until the file may grow no more, then lets it grow again, as when a disk is cleared.
LIMITED = """
import resource, sys
from rpw_fixture.events.event_file import EventFile
from rpw_fixture.events.log import EventLog
from rpw_fixture.events.kinds import InternalError

sink, log = EventFile(sys.argv[1]), EventLog()
log.add_sink(sink)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
for number in range(20):
    log.append(InternalError(where="here", detail="x" * 100))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
if sys.argv[2] == "go on":
    log.append(InternalError(where="here", detail="after"))
sink.close()
"""
REQUIRED = os.environ.get("RPW_FIXTURE_REQUIRE_INTEROP") == "1"


def lines(path: Path) -> list[dict[str, object]]:
    """What is in the file, which ends with a whole line."""
    text = path.read_text(encoding="ascii")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("ending", ["go on", "close"])
def test_a_file_that_may_grow_again_has_whole_lines_and_says_what_is_missing(
    tmp_path: Path, ending: str
) -> None:
    path = tmp_path / "events"
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path), ending],
        capture_output=True,
        text=True,
        check=True,
    )
    found = lines(path)
    lost = [each for each in found if each["event"] == "events_lost"]

    assert len(lost) == 1
    before = found.index(lost[0])
    assert [each["seq"] for each in found[:before]] == list(range(1, before + 1))
    assert (lost[0]["count"], lost[0]["first"], lost[0]["last"]) == (20 - before, before + 1, 20)
    assert [each["seq"] for each in found[before:]] == [20, 21][: 1 + (ending == "go on")]
    assert ended.stderr.count("are lost until it can be written again") == 1
    assert f"{20 - before} events were lost" in ended.stderr


def test_a_pipe_goes_on_with_the_next_reader(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    sink, log = EventFile(str(path)), EventLog()
    log.add_sink(sink)
    log.append(InternalError(where="here", detail="read"))
    assert os.read(reader, 10_000)
    os.close(reader)
    log.append(InternalError(where="here", detail="lost"))
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        log.append(InternalError(where="here", detail="read again"))
        found = [json.loads(line) for line in os.read(reader, 10_000).splitlines()]
    finally:
        sink.close()
        os.close(reader)

    assert [(each["event"], each["seq"]) for each in found] == [
        ("events_lost", 2),
        ("internal_error", 3),
    ]
    assert found[0]["count"] == 1


@pytest.mark.parametrize("room", [1, 50, 100, 101, 150])
def test_a_line_that_was_cut_in_a_pipe_is_ended_before_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    path = tmp_path / "events"
    sink, log = EventFile(str(path)), EventLog()
    log.add_sink(sink)
    write = sink._file.write

    def cut(data: memoryview) -> int | None:
        """Take a number of bytes in all, and then no more, like a full pipe."""
        nonlocal room
        taken = write(data[:room]) if room else None
        room -= taken or 0
        return taken

    monkeypatch.setattr(EventFile, "_truncate", lambda _self, _count: False)
    with monkeypatch.context() as patch:
        patch.setattr(sink, "_file", Raw(sink._file, cut))
        for _ in range(3):
            log.append(InternalError(where="here", detail="x" * 50))
    log.append(InternalError(where="here", detail="after"))
    sink.close()

    found = lines(path)
    assert [each["event"] for each in found].count("events_lost") == 1
    assert found[-1]["detail"] == "after"


class Raw:
    """A file whose writing is replaced."""

    def __init__(self, file: Any, write: Callable[[memoryview], int | None]) -> None:
        self._file = file
        self.write = write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, where that can be had."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    made = mount and subprocess.run(command, capture_output=True, check=False).returncode == 0
    if not made:
        if REQUIRED and os.geteuid() == 0:
            pytest.fail("root can't mount a tmpfs here")
        pytest.skip("needs root, to mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_actions_run_on_a_full_disk_and_events_go_on_when_there_is_room(small_disk: Path) -> None:
    path = small_disk / "events"
    with Server(events=str(path)) as server:
        assert server.run(Action(arguments=["/bin/true"], salt=b"before")).ok
        fill(small_disk / "ballast")
        for number in range(40):
            assert server.run(Action(arguments=["/bin/true"], salt=b"%d" % number)).ok
        (small_disk / "ballast").unlink()
        assert server.run(Action(arguments=["/bin/true"], salt=b"after")).ok
        count = len(server.events)
    found = lines(path)
    # The disk's last block may have room for one short record between longer ones that are lost.
    losses = [each for each in found if each["event"] == "events_lost"]

    assert losses
    assert all(each["count"] == each["last"] - each["first"] + 1 for each in losses)
    assert len(found) - len(losses) + sum(each["count"] for each in losses) == count
    assert [each["event"] for each in found[-2:]] == ["action_routed", "action_completed"]


def fill(path: Path) -> None:
    """Makes the file as large as the disk allows."""
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(b"x" * 512)


def test_many_threads_lose_no_line(tmp_path: Path) -> None:
    path = tmp_path / "events"
    sink, log = EventFile(str(path)), EventLog()
    log.add_sink(sink)

    def append() -> None:
        for _ in range(200):
            log.append(InternalError(where="here", detail="d"))

    threads = [threading.Thread(target=append) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sink.close()

    assert [each["seq"] for each in lines(path)] == list(range(1, 801))


@pytest.mark.parametrize("what", ["fstat", "ftruncate"])
def test_a_line_that_can_not_be_removed_is_ended_before_the_next_one(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "output error")

    sink = EventFile(str(tmp_path / "events"))
    file: Any = sink._file
    half = HalfWritten(file)
    sink._file = half
    with monkeypatch.context() as patched:
        patched.setattr(os, what, fail)
        sink(InternalError(where="here", detail="lost"))
    half.is_full = False
    sink(InternalError(where="here", detail="after"))
    sink.close()
    assert [each["event"] for each in lines(tmp_path / "events")] == [
        "internal_error",
        "events_lost",
        "internal_error",
    ]


class HalfWritten:
    """A file that takes ten bytes more, and then none until there is room."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._room = 10
        self.is_full = True

    def write(self, data: memoryview) -> int:
        if self.is_full and not self._room:
            raise OSError(errno.ENOSPC, "no space")
        count = self._room if self.is_full else len(data)
        self._room = 0
        return int(self._file.write(data[:count]))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

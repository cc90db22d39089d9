"""Finding, marking and killing process trees."""

from __future__ import annotations

import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from rpw_fixture.processes import process_tree

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc and prlimit are Linux's")

# A process whose child was forked by another thread; both hold standard output.
THREADED = """
import os, signal, threading
def fork():
    if os.fork() == 0:
        os.write(1, b"%d" % os.getpid())
        signal.pause()
    threading.Event().wait()
threading.Thread(target=fork, daemon=True).start()
signal.pause()
"""


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", THREADED],
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        yield process
        os.killpg(process.pid, signal.SIGKILL)


def child_of(parent: subprocess.Popen[bytes]) -> int:
    assert parent.stdout is not None
    assert select.select([parent.stdout], [], [], 30)[0]
    return int(os.read(parent.stdout.fileno(), 100))


def mark(pid: int, value: int) -> None:
    resource.prlimit(pid, resource.RLIMIT_RTTIME, (value, resource.RLIM_INFINITY))


def test_children_of_every_thread_are_found(parent: subprocess.Popen[bytes]) -> None:
    child = child_of(parent)
    assert process_tree.children(parent.pid) == [child]


def test_children_are_found_on_a_kernel_without_the_children_file(
    parent: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(pid: int, thread: str) -> list[int]:
        raise process_tree._NoChildrenFileError

    monkeypatch.setattr(process_tree, "_thread_children", without)
    child = child_of(parent)
    assert process_tree.children(parent.pid) == [child]


def test_a_process_that_is_gone_has_no_children_and_no_mark() -> None:
    with subprocess.Popen(["/bin/true"]) as process:
        process.wait()
    assert process_tree.children(process.pid) == []
    assert process_tree.mark_of(process.pid) is None
    assert not process_tree.send(process.pid, signal.SIGKILL)
    assert not process_tree.send_group(process.pid, signal.SIGKILL)


def test_a_mark_is_read_from_proc_where_the_system_call_is_refused(
    parent: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = process_tree.new_mark()
    mark(parent.pid, own)

    def refuse(pid: int, number: int) -> tuple[int, int]:
        raise PermissionError

    monkeypatch.setattr(resource, "prlimit", refuse)
    assert process_tree.mark_of(parent.pid) == own
    assert process_tree.mark_of(os.getpid()) is None


def test_freezing_stops_the_roots_and_everything_below(parent: subprocess.Popen[bytes]) -> None:
    child = child_of(parent)
    frozen: set[int] = set()
    process_tree.freeze(lambda: [parent.pid], frozen)
    assert frozen == {parent.pid, child}
    _, status = os.waitpid(parent.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)


def test_a_purge_kills_what_bears_the_mark_and_nothing_else(
    parent: subprocess.Popen[bytes],
) -> None:
    child, own = child_of(parent), process_tree.new_mark()
    mark(child, own)
    assert process_tree.purge(own + 1, timeout=0) == 0
    assert process_tree.children(parent.pid) == [child]
    assert process_tree.purge(own, timeout=30) == 0
    assert parent.poll() is None


def test_a_stopped_process_is_distinguished_from_a_running_one(
    parent: subprocess.Popen[bytes],
) -> None:
    assert not process_tree.is_stopped(parent.pid)
    parent.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, parent.pid, os.WSTOPPED | os.WNOWAIT)
    assert process_tree.is_stopped(parent.pid)

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


def tag(pid: int, value: int) -> None:
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


def test_a_process_that_is_gone_has_no_children_and_no_tag() -> None:
    with subprocess.Popen(["/bin/true"]) as process:
        process.wait()
    assert process_tree.children(process.pid) == []
    assert process_tree.tag_of(process.pid) is None
    assert not process_tree.belongs(process.pid, tag=1, leader=process.pid)
    assert not process_tree.send(process.pid, signal.SIGKILL)
    assert not process_tree.send_group(process.pid, signal.SIGKILL)


def test_a_tag_is_read_from_proc_where_the_system_call_is_refused(
    parent: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = process_tree.new_tag_base()
    tag(parent.pid, base + 7)

    def refuse(pid: int, number: int) -> tuple[int, int]:
        raise PermissionError

    monkeypatch.setattr(resource, "prlimit", refuse)
    assert process_tree.tag_of(parent.pid) == base + 7
    assert process_tree.tag_of(os.getpid()) is None


def test_membership_follows_the_tag_and_without_one_the_session(
    parent: subprocess.Popen[bytes],
) -> None:
    child, base = child_of(parent), process_tree.new_tag_base()
    assert process_tree.belongs(child, tag=base, leader=parent.pid)
    assert not process_tree.belongs(child, tag=base, leader=os.getpid())
    tag(child, base)
    assert process_tree.belongs(child, tag=base, leader=1)
    assert not process_tree.belongs(child, tag=base + 1, leader=parent.pid)


def test_freezing_stops_the_roots_and_everything_below(parent: subprocess.Popen[bytes]) -> None:
    child = child_of(parent)
    frozen: set[int] = set()
    process_tree.freeze(lambda: [parent.pid], frozen)
    assert frozen == {parent.pid, child}
    _, status = os.waitpid(parent.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)


def test_a_purge_kills_all_tags_of_one_spawner_and_no_others(
    parent: subprocess.Popen[bytes],
) -> None:
    child, base = child_of(parent), process_tree.new_tag_base()
    tag(child, base + process_tree.TAG_SPAN - 1)
    assert process_tree.purge(base - process_tree.TAG_SPAN, timeout=0) == 0
    assert process_tree.children(parent.pid) == [child]
    assert process_tree.purge(base, timeout=30) == 0
    assert parent.poll() is None

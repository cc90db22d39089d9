"""What the kernel says of the threads of a process, in words; /proc is written by hand."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from rpw_fixture.hermeticity.trials import waiting
from rpw_fixture.hermeticity.trials.waiting import describe

PID = 7
LINKS = {"/proc/self/fd/40": "pipe:[1]", "/proc/7/fd/0": "pipe:[1]", "/proc/7/fd/9": "/file"}


class Proc:
    """The threads of one process: state, system call and kernel function of each."""

    def __init__(self) -> None:
        self.threads: list[tuple[str, str, str]] = []
        self.children: list[int] = []
        self.names = {8: "sleep"}

    def read(self, path: str) -> str:
        *_, thread, name = path.split("/")
        if name == "comm":
            return self.names.get(int(thread), "")
        state, call, channel = self.threads[int(thread)]
        return {"stat": f"1 (a) b) {state} 1" if state else "", "syscall": call, "wchan": channel}[
            name
        ]

    def list(self, path: str) -> list[str]:
        if path != f"/proc/{PID}/task":
            raise FileNotFoundError
        return [str(number) for number in range(len(self.threads))]


@pytest.fixture
def proc(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proc]:
    made = Proc()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "platform", "linux")
        patched.setattr(os, "uname", lambda: SimpleNamespace(machine="x86_64"))
        patched.setattr(waiting, "_read", made.read)
        patched.setattr(waiting, "_link", lambda path: LINKS.get(path, ""))
        patched.setattr(os, "listdir", made.list)
        patched.setattr(waiting.process_tree, "children", lambda _: made.children)
        yield made


@pytest.mark.parametrize(
    ("thread", "words"),
    [
        (("R", "", ""), "running"),
        (("T", "0 0x0", ""), "stopped"),
        (("Z", "", ""), "ended"),
        (("S", "0 0x0 0x1", ""), "reading from stdin"),
        (("S", "0 0x9 0x1", ""), "reading from /file"),
        (("S", "1 0x1 0x1", ""), "writing to stdout"),
        (("S", "1 0x2 0x1", ""), "writing to stderr"),
        (("S", "0 0x1f 0x1", ""), "reading from descriptor 31"),
        (("S", "232 0x5", ""), "waiting for events"),
        (("S", "35 0x5", ""), "sleeping"),
        (("S", "202 0x5", ""), "waiting for a lock or another thread"),
        (("S", "999 0x5", "do_wait\n"), "in do_wait"),
        (("S", "running", "pipe_read"), "in pipe_read"),
        (("S", "-1 0x0", "0"), "waiting"),
        (("S", "0", ""), "waiting"),
    ],
)
def test_a_thread_has_a_state_in_words(
    thread: tuple[str, str, str], words: str, proc: Proc
) -> None:
    proc.threads = [thread]
    assert describe(PID, {"stdin": 40}) == f"its threads: {words}"


def test_equal_states_are_counted_and_many_are_cut(proc: Proc) -> None:
    proc.threads = [("", "", ""), *[("R", "", "")] * 3, ("T", "", "")]
    assert describe(PID) == "its threads: running (3 threads); stopped"
    proc.threads = [("S", "", f"f{number}") for number in range(6)]
    assert describe(PID) == "its threads: in f0; in f1; in f2; in f3; in f4; and 1 more states"
    proc.threads.pop()
    assert describe(PID).endswith("in f4")


def test_children_have_names_or_numbers(proc: Proc) -> None:
    proc.children = [8, 9]
    assert describe(PID) == "its child processes: sleep, 9"


def test_elsewhere_and_of_a_process_that_is_gone_nothing_is_known(
    proc: Proc, monkeypatch: pytest.MonkeyPatch
) -> None:
    proc.threads = [("R", "", "")]
    assert describe(PID + 1) == ""
    monkeypatch.setattr(sys, "platform", "darwin")
    assert describe(PID) == ""

"""What is read from /proc is what psutil says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from rpw_fixture.hermeticity.trials import process_facts
from tests import waiting


def test_own_process() -> None:
    own = process_facts.family(os.getpid())[0]
    known = psutil.Process()
    assert (own.pid, own.name, own.threads) == (os.getpid(), known.name(), known.num_threads())
    times = known.cpu_times()
    assert own.cpu_seconds == pytest.approx(times.user + times.system, abs=2.0)
    assert not own.is_zombie
    assert process_facts.memory(own.pid) == pytest.approx(known.memory_info().rss, rel=0.2)
    assert process_facts.descriptors(own.pid) == known.num_fds()


@pytest.mark.parametrize("name", ["sleep", "a sleep) with (a very long name", "fifteen-letters"])
def test_names_of_children(tmp_path: Path, name: str) -> None:
    program = shutil.copy(shutil.which("sleep") or "", tmp_path / name)
    with subprocess.Popen([program, "60"]) as child:
        try:
            found = {each.pid: each for each in process_facts.family(os.getpid())}
            assert found[child.pid].name == psutil.Process(child.pid).name() == name
        finally:
            child.kill()
            waiting.until(lambda: process_facts.family(child.pid)[0].is_zombie)
    assert process_facts.family(child.pid) == []
    with pytest.raises(OSError, match=str(child.pid)):
        process_facts.memory(child.pid)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are asked as on systems without /proc."""
    monkeypatch.setattr(process_facts, "sys", SimpleNamespace(platform="darwin"))


def gone() -> int:
    """The id of a process that has ended."""
    with subprocess.Popen(["true"]) as child:
        pass
    return child.pid


@pytest.mark.usefixtures("elsewhere")
def test_own_process_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_facts.process_tree, "children", lambda _: [])
    (own,) = process_facts.family(os.getpid())
    known = psutil.Process()
    assert (own.pid, own.name, own.threads) == (os.getpid(), known.name(), known.num_threads())
    assert not own.is_zombie
    assert own.cpu_seconds > 0
    assert process_facts.command_line(own.pid) == " ".join(known.cmdline())
    assert process_facts.descriptors(own.pid) == known.num_fds()
    assert process_facts.memory(own.pid) == pytest.approx(known.memory_info().rss, rel=0.2)
    assert process_facts.is_busy(own.pid)


@pytest.mark.usefixtures("elsewhere")
def test_where_processes_can_not_be_observed_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert process_facts.family(os.getpid()) == []
    assert process_facts.command_line(os.getpid()) == ""
    with pytest.raises(OSError, match="processes can't be observed"):
        process_facts.memory(os.getpid())


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_of_a_process_that_is_gone_nothing_is_known(
    platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = gone()
    monkeypatch.setattr(process_facts, "sys", SimpleNamespace(platform=platform))
    assert process_facts.family(pid) == []
    assert process_facts.command_line(pid) == ""
    assert process_facts.is_busy(pid)  # it was a moment ago
    for ask in (process_facts.memory, process_facts.descriptors):
        with pytest.raises(OSError, match=str(pid)):
            ask(pid)


@pytest.mark.parametrize(
    ("states", "is_busy"),
    [
        ("S", False),
        ("R", True),
        ("D", True),
        ("SR", True),
        ("SS", False),
        ("T", False),
        ("Z", False),
    ],
)
def test_a_process_is_busy_when_one_of_its_threads_is(
    states: str, is_busy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = {f"/proc/5/task/{number}/stat": state for number, state in enumerate(states)}
    listed = SimpleNamespace(listdir=lambda _: map(str, range(len(states))))
    monkeypatch.setattr(process_facts, "os", listed)
    monkeypatch.setattr(process_facts, "_state", lambda path: threads[path].encode())
    assert process_facts.is_busy(5) is is_busy


def test_a_command_line_is_its_words() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        try:
            waiting.until(lambda: process_facts.command_line(child.pid) == "sleep 60")
        finally:
            child.kill()

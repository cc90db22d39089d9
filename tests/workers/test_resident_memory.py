"""Reading the memory of workers, and machines that do not let us."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from rpw_fixture.pytest_plugin import MakeServer
from rpw_fixture.workers import resident_memory
from tests.waiting import until

from .worker_actions import probe_action

MESSAGE = "--worker-max-rss has no effect"


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No process's memory can be read, as macOS has it for programs of another user."""

    def refuse(self: psutil.Process) -> object:
        raise psutil.AccessDenied(self.pid)

    monkeypatch.setattr(psutil.Process, "memory_info", refuse)
    resident_memory._warn_once.cache_clear()
    yield
    resident_memory._warn_once.cache_clear()


def test_descendants_count() -> None:
    held = "import sys; held = bytearray(50 << 20); sys.stdout.write('x'); sys.stdout.flush()"
    before = resident_memory.resident_bytes(os.getpid())
    with subprocess.Popen(
        [sys.executable, "-c", f"{held}; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.read(1) == b"x"
        assert resident_memory.resident_bytes(os.getpid()) >= before + (40 << 20)


def test_a_process_that_is_gone_uses_none() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    assert resident_memory.resident_bytes(child.pid) == 0


@pytest.mark.usefixtures("unreadable")
def test_what_can_not_be_read_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    assert [resident_memory.resident_bytes(os.getpid()) for _ in range(3)] == [0, 0, 0]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(
        f"{MESSAGE}: the memory of workers can't be read on this system"
    )
    assert f"({sys.platform}: AccessDenied)" in record.getMessage()


@pytest.mark.usefixtures("unreadable")
def test_a_server_says_that_the_limit_can_not_be_kept(
    make_rpw_server: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    server = make_rpw_server(worker_max_rss=1 << 20)
    assert server.run(probe_action()).ok
    until(lambda: any(MESSAGE in each.getMessage() for each in caplog.records))
    assert server.run(probe_action()).ok

"""SIGTERM ends a server whichever of its threads the kernel gives it to."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from rpw_fixture.cli.interruptible import interruptible
from rpw_fixture.cli.stop_signals import StopSignals
from rpw_fixture.errors import Interrupted
from tests.server_process import ServerProcess
from tests.waiting import until


def tgkill(pid: int, thread: int, number: int) -> None:
    """Send a signal to one thread of a process (tgkill(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.tgkill(pid, thread, number):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


class Sleeping:
    """Whether a process's main thread has not run between any of the last twenty looks."""

    def __init__(self, pid: int, thread: int = 0) -> None:
        self._status = Path(f"/proc/{pid}/task/{thread or pid}/status")
        self._seen: list[str] = []

    def __call__(self) -> bool:
        text = self._status.read_text()
        switches = text.partition("voluntary_ctxt_switches:")[2].split()[0]
        self._seen.append(f"{'(sleeping)' in text} {switches}")
        return self._seen[-20:] == [f"True {switches}"] * 20


@pytest.mark.skipif(sys.platform != "linux", reason="tgkill(2) is of Linux")
def test_a_server_ends_when_another_thread_than_the_main_one_takes_the_signal() -> None:
    with ServerProcess() as server:
        until(Sleeping(server.pid), "the main thread waits, and does nothing else")
        threads = [int(each.name) for each in Path(f"/proc/{server.pid}/task").iterdir()]
        others = [each for each in threads if each != server.pid]
        assert others
        # The first one is of gRPC, or reads signals; the main thread sleeps and is not woken by it.
        tgkill(server.pid, others[-1], signal.SIGTERM)
        assert server.wait(20) == 0


def test_the_first_signal_is_an_event_and_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals() as signals:
        assert not signals.stopping.is_set()
        signal.raise_signal(signal.SIGTERM)
        until(signals.stopping.is_set, "the signal was noticed")
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.skipif(sys.platform != "linux", reason="tgkill(2) is of Linux")
def test_a_waiting_main_thread_is_woken_when_another_thread_takes_the_signal() -> None:
    never = threading.Event()
    main = threading.get_native_id()
    done = threading.Event()

    def send() -> None:
        until(Sleeping(os.getpid(), main), "the main thread waits")
        tgkill(os.getpid(), threading.get_native_id(), signal.SIGTERM)
        done.wait(10)

    thread = threading.Thread(target=send)

    def wait() -> None:
        with interruptible():
            thread.start()
            never.wait()

    try:
        with pytest.raises(Interrupted, match="interrupted by SIGTERM") as caught:
            wait()
    finally:
        done.set()
        thread.join()
    assert caught.value.exit_code == 128 + signal.SIGTERM
    assert signal.set_wakeup_fd(-1) == -1


def test_handlers_come_back_after_a_command() -> None:
    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT, signal.SIGURG)]
    with interruptible():
        assert signal.getsignal(signal.SIGINT) is not before[1]
    after = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT, signal.SIGURG)]
    assert after == before

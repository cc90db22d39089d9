"""A thread that ends workers gracefully and inspects idle ones.

To end a worker, the thread closes its stdin; after a grace period it sends SIGTERM, and after another one
SIGKILL. No action waits for that.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from rpw_fixture.support.thread_pool import ThreadStartError, start_thread
from rpw_fixture.workers.worker import Worker

_PATIENCE_AFTER_KILL = 10.0


@dataclass(slots=True)
class _Leaving:
    """A worker that is ending: the remaining steps, and when the next one is due."""

    worker: Worker
    reason: str
    steps: list[Callable[[], None]]
    due: float


class Reaper:
    """Ends workers in a thread.

    Args:
        grace: seconds between closing stdin, SIGTERM and SIGKILL.
        on_gone: called in the reaper's thread with each worker that has ended, and the reason.
        inspect_idle: called about every ``interval`` seconds while the thread runs.
        interval: seconds.
    """

    def __init__(
        self,
        *,
        grace: float,
        on_gone: Callable[[Worker, str], None],
        inspect_idle: Callable[[], None],
        interval: float = 1.0,
    ) -> None:
        self._grace = grace
        self._on_gone = on_gone
        self._inspect_idle = inspect_idle
        self._interval = interval
        self._lock = threading.Lock()
        self._new: list[_Leaving] = []
        self._leaving: list[_Leaving] = []
        self._thread: threading.Thread | None = None
        self._is_stopping = False
        self._wake_receiver, self._wake_sender = socket.socketpair()
        self._wake_sender.setblocking(False)

    def retire(self, worker: Worker, reason: str, *, at_once: bool = False) -> None:
        """End ``worker`` and call `on_gone` afterwards; ``at_once`` starts with SIGKILL."""
        gentle = [worker.close_stdin, worker.process.terminate]
        steps = [*([] if at_once else gentle), worker.process.kill_tree]
        with self._lock:
            self._new.append(_Leaving(worker, reason, steps, due=0.0))
            self._start()
        self._wake()

    def watch(self) -> None:
        """Start the thread, if it does not run yet, because there are workers to inspect."""
        with self._lock:
            self._start()

    def stop(self) -> None:
        """Wait until all retired workers have ended, then end the thread."""
        with self._lock:
            self._is_stopping = True
            thread = self._thread
        self._wake()
        if thread is not None:
            thread.join()
        else:
            self._run()
        self._wake_receiver.close()
        self._wake_sender.close()

    def _start(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="rpw-reaper", daemon=True)
            # Without a thread left, the next call tries again, and `stop` does the work itself.
            with contextlib.suppress(ThreadStartError):
                start_thread(thread)
                self._thread = thread

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # many wake-ups are waiting already
            self._wake_sender.send(b"w")

    def _run(self) -> None:
        next_look = time.monotonic() + self._interval
        while True:
            with self._lock:
                self._leaving += self._new
                self._new.clear()
                if self._is_stopping and not self._leaving:
                    return
            now = time.monotonic()
            self._leaving = [each for each in self._leaving if not self._advance(each, now)]
            if now >= next_look and not self._is_stopping:
                self._inspect_idle()
                next_look = now + self._interval
            if self._is_stopping and not self._leaving:
                continue
            self._sleep(min([next_look, *(each.due for each in self._leaving)]))

    def _advance(self, leaving: _Leaving, now: float) -> bool:
        """Take the next step if it is due; return True once the worker is gone."""
        worker = leaving.worker
        worker.stderr.drain()
        if worker.process.poll() is not None:
            self._on_gone(worker, leaving.reason)
            return True
        if now >= leaving.due:
            if not leaving.steps:  # SIGKILL did not end it: it is stuck in the kernel
                self._on_gone(worker, leaving.reason)
                return True
            leaving.steps.pop(0)()
            leaving.due = now + (self._grace if leaving.steps else _PATIENCE_AFTER_KILL)
        return False

    def _sleep(self, until: float) -> None:
        poller = select.poll()
        poller.register(self._wake_receiver, select.POLLIN)
        for each in self._leaving:
            poller.register(each.worker.process.status_fd, select.POLLIN)
        ready = poller.poll(max(0.0, until - time.monotonic()) * 1000)
        if any(fd == self._wake_receiver.fileno() for fd, _ in ready):
            self._wake_receiver.recv(4096)

"""One asyncio loop in a thread, for calls that wait long and work little."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from rpw_fixture.support.closing import Closeable

T = TypeVar("T")
#: Seconds that tasks may take to end after they were cancelled.
_PATIENCE = 10.0


class LoopThread(Closeable):
    """A loop that runs until it is closed."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rpw-far", daemon=True)
        self._thread.start()

    def submit(self, task: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin a task; cancelling the result cancels it."""
        return asyncio.run_coroutine_threadsafe(task, self._loop)

    def run(self, task: Coroutine[Any, Any, T]) -> T:
        """Run a task and return its result."""
        return self.submit(task).result()

    def cancel_all(self) -> None:
        """Cancel all tasks and wait until they have ended, for some seconds at most."""
        self.run(_cancel_all())

    def close(self) -> None:
        """Cancel all tasks and end the loop. Safe to call twice."""
        if self._loop.is_closed():
            return
        self.cancel_all()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for each in tasks:
        each.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_PATIENCE)

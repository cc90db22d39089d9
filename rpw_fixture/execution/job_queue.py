"""The queue of jobs: a limited number runs at once; a job that waits for a worker lets others run.

Which worker a job needs is found out in the job's thread, once it runs. When it has to wait for that
worker, it gives up its turn, so that the jobs behind it begin and find out too; the pool can then first
serve those that fit an idle worker. The number of such waiting jobs is limited, because each of them
holds a thread.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from rpw_fixture.errors import RequestError, resource_exhausted
from rpw_fixture.support.thread_pool import ThreadPool

#: Most jobs that may wait for a worker at once, their turns given up.
MOST_PAUSED = 128


class HasClients(Protocol):
    """The clients that a job is run for."""

    @property
    def is_wanted(self) -> bool:
        """Whether a client waits for it."""


class Turn:
    """One job's place in the queue, later its right to run.

    Attributes:
        passed_over: how many jobs that began later have ended while this one was paused.
        work: runs the job.
    """

    __slots__ = ("_queue", "_wanted", "is_paused", "number", "passed_over", "work")

    def __init__(self, queue: JobQueue, wanted: HasClients) -> None:
        self._queue = queue
        self._wanted = wanted
        self.work: Callable[[], None] = _nothing
        self.number = 0
        self.passed_over = 0
        self.is_paused = False

    @property
    def is_wanted(self) -> bool:
        """Whether a client waits for the job."""
        return self._wanted.is_wanted

    @property
    def can_go_on(self) -> bool:
        """Whether `resume` would succeed now."""
        return not self.is_paused or self._queue.has_room

    @property
    def has_successors(self) -> bool:
        """Whether there are jobs that have not begun, so that the worker they need is not known."""
        return self._queue.has_successors

    @property
    def others_run(self) -> bool:
        """Whether there are jobs at work that are not paused."""
        return self._queue.is_at_work

    def pause(self) -> None:
        """Give up the turn; `pass_on` lets another job have it."""
        self._queue.pause(self)

    def pass_on(self) -> None:
        """Start other jobs as far as there is room; not to be called under the pool's lock."""
        self._queue.fill()

    def resume(self) -> bool:
        """Take a turn again after `pause`; False when too many other jobs run now."""
        return self._queue.resume(self)


class JobQueue:
    """Runs jobs in threads, in the order they came; those that a client waits for go first.

    Args:
        most_running: how many jobs run at once.
        on_room: called without locks when a job that is paused could run.
    """

    def __init__(self, most_running: int, on_room: Callable[[], None]) -> None:
        self._threads = ThreadPool(most_running + MOST_PAUSED, "rpw-job")
        self._lock = threading.Lock()
        self._on_room = on_room
        self._most_running = self._room = most_running
        self._began = 0
        self._pending: OrderedDict[Turn, None] = OrderedDict()
        #: Jobs that no client waited for when their turn came.
        self._unwanted: OrderedDict[Turn, None] = OrderedDict()
        self._paused: set[Turn] = set()

    @property
    def has_room(self) -> bool:
        """Whether one more job may run."""
        return self._room > 0

    @property
    def is_at_work(self) -> bool:
        """Whether a job runs that is not paused."""
        return self._room < self._most_running

    @property
    def has_successors(self) -> bool:
        """Whether more jobs that a client waits for can begin once there is room."""
        return bool(self._pending) and len(self._paused) < MOST_PAUSED

    def turn(self, wanted: HasClients) -> Turn:
        """Make a turn for a new job, which `add` puts into the queue when its work is set."""
        return Turn(self, wanted)

    def add(self, turn: Turn) -> None:
        """Run the job of ``turn`` as soon as there is room.

        Raises:
            RequestError: RESOURCE_EXHAUSTED when no thread can be started, and none runs that could
                take the job later.
        """
        with self._lock:
            self._pending[turn] = None
            if self._room <= 0:
                return
        self.fill()
        is_stuck = self._room == self._most_running and not self._paused
        if is_stuck and self.take_out(turn):
            raise resource_exhausted("no thread can be started for the action; try again later")

    def prefer(self, turn: Turn) -> None:
        """Put a job that no client waited for back where it was: a client asks for it again."""
        with self._lock:
            if turn in self._unwanted:
                del self._unwanted[turn]
                self._pending[turn] = None
                self._pending.move_to_end(turn, last=False)

    def take_out(self, turn: Turn) -> bool:
        """Remove a job that has not begun; False when it has."""
        with self._lock:
            for waiting in (self._pending, self._unwanted):
                if turn in waiting:
                    del waiting[turn]
                    return True
        return False

    def close(self) -> None:
        """Wait for the jobs that run; nothing may be added any more."""
        self._threads.shutdown(wait=True)

    def fill(self) -> None:
        """Start jobs while there is room: first those that were paused, then those in the queue."""
        while True:
            if self._paused and self._room > 0:
                self._on_room()
            turn = self._begin()
            if turn is None:
                return
            if not self._start(turn):
                return

    def pause(self, turn: Turn) -> None:
        """See `Turn.pause`."""
        with self._lock:
            turn.is_paused = True
            self._paused.add(turn)
            self._room += 1

    def resume(self, turn: Turn) -> bool:
        """See `Turn.resume`."""
        with self._lock:
            if turn.is_paused:
                if self._room <= 0:
                    return False
                self._room -= 1
                self._paused.remove(turn)
                turn.is_paused = False
        return True

    def _begin(self) -> Turn | None:
        """Take the next job out of the queue, if there is room for it."""
        with self._lock:
            if self._room <= 0 or len(self._paused) >= MOST_PAUSED:
                return None
            turn = self._next()
            if turn is not None:
                self._room -= 1
                self._began += 1
                turn.number = self._began
            return turn

    def _next(self) -> Turn | None:
        while self._pending:
            turn, _ = self._pending.popitem(last=False)
            if turn.is_wanted:
                return turn
            self._unwanted[turn] = None
        return self._unwanted.popitem(last=False)[0] if self._unwanted else None

    def _start(self, turn: Turn) -> bool:
        """Have a thread run a job; put it back and return False when none can be started."""
        try:
            self._threads.start(lambda: self._run(turn))
        except (RuntimeError, RequestError):
            with self._lock:
                self._room += 1
                self._pending[turn] = None
                self._pending.move_to_end(turn, last=False)
            return False
        return True

    def _run(self, turn: Turn) -> None:
        """Run a job, and after it those that follow, as long as no paused one could run instead."""
        following: Turn | None = turn
        while following is not None:
            following.work()
            self._end(following)
            following = None if self._paused else self._begin()
        self.fill()

    def _end(self, ended: Turn) -> None:
        ended.work = _nothing  # what it holds must not live as long as the turn
        with self._lock:
            if ended.is_paused:
                self._paused.discard(ended)
            else:
                self._room += 1
            for turn in self._paused:
                if turn.number < ended.number:
                    turn.passed_over += 1


def _nothing() -> None:
    """Stand for the work of a turn that has none yet, or has done it."""

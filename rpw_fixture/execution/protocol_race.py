"""Two workers for one action whose protocol is unknown: the first valid response decides.

The first worker gets the request in one protocol. If it stays silent, ends, or writes something that is
not a response, a second worker gets the request in the other protocol, in another folder. The first
valid response decides the protocol of this action and of all later ones with the same tool; the other
worker is killed. Other actions with that tool that come meanwhile have first workers too, but no second
ones: they wait for the answer of this one.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from enum import Enum

from rpw_fixture.errors import Code
from rpw_fixture.execution.results import RunResult
from rpw_fixture.support.cancellation import CancelToken
from rpw_fixture.wire.worker.messages import ProtocolRule
from rpw_fixture.workers.failure import WorkerFailure
from rpw_fixture.workers.key import WorkerKey
from rpw_fixture.workers.lifecycle import Retirement
from rpw_fixture.workers.protocol_memory import ProtocolMemory
from rpw_fixture.workers.worker import Worker

#: Seconds between two checks whether the first worker has begun to read.
_TICK = 0.05
#: Failures that a request in the wrong protocol may cause.
_AMBIGUOUS_FAILURES = frozenset(
    {
        Retirement.CRASH,
        ProtocolRule.STDOUT_TEXT,
        ProtocolRule.OVERSIZED,
        ProtocolRule.TRUNCATED,
        ProtocolRule.MALFORMED,
    }
)


class Side(Enum):
    """One of the two workers."""

    FIRST = "first"
    SECOND = "second"


class ProtocolRace:
    """The race between the two workers of one action.

    Args:
        memory: knows the protocols of tools, and learns this one's.
        first: the worker that gets the request first.
        patience: seconds that it may be silent once it has begun to read.
        deadline: of the action, on the monotonic clock.
        token: cancelled when no client waits for the action any longer.

    Attributes:
        winner: the worker whose response decided; None until then.
        was_second_asked: whether a second worker was needed.
        result: result of the second worker, if it is the winner.
        error: error of the second worker, or of its start.
    """

    def __init__(
        self,
        memory: ProtocolMemory,
        first: Worker,
        *,
        patience: float,
        deadline: float,
        token: CancelToken,
    ) -> None:
        self.winner: Side | None = None
        self.was_second_asked = False
        self.result: RunResult | None = None
        self.error: Exception | None = None
        self._memory = memory
        self._first = first
        self._patience = patience
        self._deadline = deadline
        self._token = token
        self._second: Worker | None = None
        self._failure: WorkerFailure | None = None
        self._begun_at: float | None = None
        self._is_over = False

    @property
    def second_key(self) -> WorkerKey:
        """Key of the second worker."""
        return self._first.key.with_protocol(self._first.key.protocol.other)

    @property
    def is_assumption_wrong(self) -> bool:
        """Whether the first worker is known by now to use the other protocol."""
        answer = self._memory.answer(self._first.key)
        return answer is not None and answer != self._first.key.protocol

    @contextlib.contextmanager
    def watching(self, ask_second: Callable[[], None]) -> Iterator[None]:
        """Watch the first worker during the block, and call ``ask_second`` once it is needed.

        The call runs in a thread; the block is left when that thread has ended.
        """
        thread = threading.Thread(
            target=self._watch, args=(ask_second,), name="rpw-protocol", daemon=True
        )
        thread.start()
        try:
            yield
        except BaseException:
            self._end()
            raise
        finally:
            thread.join()

    def first_failed(self, failure: WorkerFailure) -> None:
        """Note that the first worker failed; the second one may still answer."""
        with self._memory.changed:
            self._failure = failure
            self._memory.changed.notify_all()

    def enter(self, second: Worker) -> None:
        """Add the second worker to the race.

        Raises:
            WorkerFailure: the race is decided already.
        """
        with self._memory.changed:
            if self._is_over:
                raise _late(second)
            self._second = second

    def leave(self) -> None:
        """Remove the second worker from the race: it failed, and may have ended."""
        with self._memory.changed:
            self._second = None

    def claim(self, side: Side, worker: Worker) -> None:
        """Decide the race by a valid response, and kill the other worker.

        Raises:
            WorkerFailure: the race is decided already.
        """
        with self._memory.changed:
            if self._is_over:
                raise _late(worker)
            self.winner = side
            self._is_over = True
            self._memory.settle(worker.key)
            loser = self._second if side is Side.FIRST else self._first
            if loser is not None:
                loser.process.kill_tree()

    def _end(self) -> None:
        with self._memory.changed:
            self._is_over = True
            if self._second is not None and self.winner is not Side.SECOND:
                self._second.process.kill_tree()
            self._memory.changed.notify_all()

    def _watch(self, ask_second: Callable[[], None]) -> None:
        tool = self._first.key.tool
        with self._token.calling(self._wake):
            if not self._await_turn(tool):
                return
        try:
            ask_second()
        except Exception as error:  # noqa: BLE001 - `ProtocolFinder.serve` raises it
            self.error = error
        finally:
            with self._memory.changed:
                self._memory.asked_twice.discard(tool)
                self._memory.changed.notify_all()

    def _await_turn(self, tool: str) -> bool:
        """Wait until the second worker is to be asked; return False when it need not be."""
        changed = self._memory.changed
        with changed:
            while not self._is_settled():
                wait = self._delay()
                if wait <= 0 and tool not in self._memory.asked_twice:
                    self._memory.asked_twice.add(tool)
                    self.was_second_asked = True
                    return True
                left = self._deadline - time.monotonic()
                changed.wait(min(wait, left) if wait > 0 else left)
            return False

    def _is_settled(self) -> bool:
        """Return whether there is no reason left to ask a second worker."""
        if self._is_over or self._token.is_cancelled or time.monotonic() >= self._deadline:
            return True
        if self.is_assumption_wrong:  # as another action found out
            self._first.process.kill_tree()
            return True
        if self._memory.answer(self._first.key) is not None:
            return True
        return self._failure is not None and not _is_ambiguous(self._failure)

    def _delay(self) -> float:
        """Return how many more seconds the first worker may have without a second one."""
        if self._failure is not None:
            return 0.0
        now = time.monotonic()
        if self._begun_at is None:
            if not self._first.has_begun:
                return _TICK
            self._begun_at = now
        return max(0.0, self._begun_at + self._patience - now)

    def _wake(self) -> None:
        with self._memory.changed:
            self._memory.changed.notify_all()


def _is_ambiguous(failure: WorkerFailure) -> bool:
    """Return whether a request in the wrong protocol may be the cause of a failure.

    It is not if the worker read nothing of the request. If the worker was killed by something else, or
    lost with its supervisor, the failure shows nothing.
    """
    was_killed = failure.exit_status == -signal.SIGKILL and not failure.is_violation
    was_lost = failure.code is Code.UNAVAILABLE
    return failure.rule in _AMBIGUOUS_FAILURES and not (
        failure.was_unread or was_killed or was_lost
    )


def _late(worker: Worker) -> WorkerFailure:
    return WorkerFailure(
        worker=worker.number,
        rule=str(Retirement.OTHER_PROTOCOL),
        detail="a worker that was asked in the other protocol answered before",
    )

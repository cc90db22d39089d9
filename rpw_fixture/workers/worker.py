"""A worker as the pool sees it: identity, state, and how many requests it takes at a time."""

from __future__ import annotations

import math
import threading
import time
from typing import Protocol

from rpw_fixture.processes.spawner import Process
from rpw_fixture.support.cancellation import CancelToken
from rpw_fixture.wire.worker.messages import Request, Response
from rpw_fixture.workers.failure import IdleProblem
from rpw_fixture.workers.key import WorkerKey
from rpw_fixture.workers.lifecycle import Retirement, State, transition
from rpw_fixture.workers.process_pipes import ProcessPipes
from rpw_fixture.workers.stderr_tail import StderrTail

#: Seconds between two readings of a worker's peak memory; one takes as long as 1 % of a short action.
_PEAK_INTERVAL = 0.05


class Conversation(Protocol):
    """The exchange of requests and responses with a worker: `Singleplex` or `Multiplex`."""

    def new_request_id(self) -> int:
        """Return the id of the next request."""

    def call(self, request: Request, deadline: float, token: CancelToken) -> Response:
        """Send a request and wait for its response."""

    def find_problem(self) -> IdleProblem | None:
        """Return why an idle worker is unusable; None when it is usable."""

    def close(self) -> None:
        """Release all resources; the process has ended already."""


class Worker:
    """A live worker process.

    Args:
        number: its number, which is never used twice in one server.
        key: the pool key of the actions that it may serve.
        pipes: the process and the pipes to it.
        conversation: the exchange of requests over them.
        slots: how many requests it takes at a time.
        folder: its folder, which holds its working directory.

    Attributes:
        requests: number of requests that were sent to it.
        leases: number of its leases that are in use.
        granted: number of all its leases, also of those without a request.
        has_answered: whether it has answered a request, so that it uses its key's protocol.
        retire_reason: why it ends when its last lease is returned; None when it stays.
        outdated_at: when a worker with another version of its tool was started, on the monotonic clock;
            infinity if there was none, or if this worker was leased since.
        idle_since: when its last lease was returned, on the monotonic clock.
    """

    def __init__(
        self,
        *,
        number: int,
        key: WorkerKey,
        pipes: ProcessPipes,
        conversation: Conversation,
        slots: int,
        folder: str,
    ) -> None:
        self.number = number
        self.key = key
        self.slots = slots
        self.folder = folder
        self.requests = 0
        self.leases = 0
        self.granted = 0
        self.has_answered = False
        self.retire_reason: Retirement | None = None
        self.idle_since = 0.0
        self.outdated_at = math.inf
        self._started_at = time.monotonic()
        self._peak_bytes = 0
        self._peak_due = 0.0
        self._pipes = pipes
        self._conversation = conversation
        self._state = State.STARTING
        self._count_lock = threading.Lock()

    @property
    def process(self) -> Process:
        """The worker's process."""
        return self._pipes.process

    @property
    def stderr(self) -> StderrTail:
        """The end of the worker's stderr."""
        return self._pipes.stderr

    @property
    def peak_bytes(self) -> int:
        """Largest resident set of the process so far, bytes; 0 where it is unknown.

        After the end of the process it is the last value that was read.
        """
        self._peak_bytes = max(self._peak_bytes, self._pipes.peak_bytes)
        return self._peak_bytes

    @property
    def recent_peak_bytes(self) -> int:
        """The same as `peak_bytes`, but read at most every 50 ms, because reading takes time.

        After a request that takes longer than that it is exact.
        """
        now = time.monotonic()
        if now < self._peak_due:
            return self._peak_bytes
        self._peak_due = now + _PEAK_INTERVAL
        return self.peak_bytes

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._started_at

    @property
    def state(self) -> State:
        """Where the worker is in its life; see `lifecycle`."""
        return self._state

    @property
    def exit_status(self) -> int | None:
        """Exit status of the process; negative for a signal, None while it lives or when unknown."""
        return self._pipes.exit_status

    @property
    def has_begun(self) -> bool:
        """Whether it has begun to read its first request; see `ProcessPipes.has_begun`."""
        return self._pipes.has_begun

    def idle_for(self, *, since: float) -> float:
        """Return the seconds that it has been idle, not counting the time before ``since``."""
        return time.monotonic() - max(self.idle_since, since)

    def move(self, to: State) -> None:
        """Change the state.

        Raises:
            ValueError: when there is no such transition (see `lifecycle`).
        """
        self._state = transition(self._state, to)

    def new_request_id(self) -> int:
        """Return the id of the next request."""
        return self._conversation.new_request_id()

    def call(self, request: Request, deadline: float, token: CancelToken) -> Response:
        """Send a request and wait for its response.

        Args:
            request: what to send, with an id from `new_request_id`.
            deadline: when the request must be answered, on the monotonic clock.
            token: when cancelled, the request is cancelled too, if necessary by killing the worker.

        Raises:
            WorkerFailure: the worker must not be used again.
            RequestError: CANCELLED or DEADLINE_EXCEEDED of this request alone.
        """
        with self._count_lock:
            self.requests += 1
        response = self._conversation.call(request, deadline, token)
        self.has_answered = True
        return response

    def find_problem(self) -> IdleProblem | None:
        """Return why an idle worker is unusable: it ended, or wrote to stdout; None when it is usable."""
        return self._conversation.find_problem()

    def close_stdin(self) -> None:
        """Close the worker's stdin, by which the protocol asks a worker to end."""
        self._pipes.close_stdin()

    def kill(self) -> None:
        """Kill the worker with all its descendants and wait for their end."""
        self._pipes.kill()

    def close(self) -> None:
        """Close the descriptors of the process, which must have ended already."""
        self._conversation.close()
        self._pipes.close()

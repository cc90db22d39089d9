"""A worker as the pool sees it: identity, life, and how many requests it takes at a time."""

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
from rpw_fixture.workers.lifecycle import Retirement, State, moved
from rpw_fixture.workers.process_pipes import ProcessPipes
from rpw_fixture.workers.stderr_tail import StderrTail


class Conversation(Protocol):
    """How requests get to a worker and responses back: `Singleplex` or `Multiplex`."""

    def new_request_id(self) -> int:
        """The id of the next request."""

    def call(self, request: Request, deadline: float, token: CancelToken) -> Response:
        """Sends a request and waits for its response."""

    def find_problem(self) -> IdleProblem | None:
        """What makes an idle worker unusable; None when nothing does."""

    def close(self) -> None:
        """Gives back what it holds; the process has ended."""


class Worker:
    """A live worker process.

    Args:
        number: never used twice in one server.
        key: what it may serve.
        plumbing: the process and the pipes to it.
        conversation: the protocol spoken over them.
        slots: how many requests it takes at a time.
        folder: its folder, which holds its working directory.

    Attributes:
        requests: how many it was sent.
        leases: how many are being served by it now.
        granted: how many it was given to serve, those never sent included.
        has_answered: it answered a request, so it speaks its key's protocol.
        doom: why it ends as soon as nobody needs it any more, None when it does not.
        outdated_at: when a worker with another version of its tool started, and nobody asked for this
            one since; infinity when there is none.
        idle_since: when the last of them ended, on the monotonic clock.
    """

    def __init__(
        self,
        *,
        number: int,
        key: WorkerKey,
        plumbing: ProcessPipes,
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
        self._plumbing = plumbing
        self._conversation = conversation
        self._state = State.STARTING
        self._count_lock = threading.Lock()

    @property
    def process(self) -> Process:
        """Its process."""
        return self._plumbing.process

    @property
    def stderr(self) -> StderrTail:
        """The end of what it wrote to stderr."""
        return self._plumbing.stderr

    @property
    def peak_bytes(self) -> int:
        """The largest resident set its process ever had; 0 where that is not known."""
        return self._plumbing.peak_bytes

    @property
    def state(self) -> State:
        """Where it stands in its life."""
        return self._state

    @property
    def exit_status(self) -> int | None:
        """Of the process; negative for a signal, None while it lives or when it was lost."""
        return self._plumbing.exit_status

    @property
    def has_begun(self) -> bool:
        """Whether it has read any of its first request, where that can be seen."""
        return self._plumbing.has_begun

    def idle_for(self, *, since: float) -> float:
        """Return for how long it has been idle, seconds, not counting the time before ``since``."""
        return time.monotonic() - max(self.idle_since, since)

    def move(self, to: State) -> None:
        """Changes the state.

        Raises:
            ValueError: when there is no such way (see `lifecycle`).
        """
        self._state = moved(self._state, to)

    def new_request_id(self) -> int:
        """The id of the next request."""
        return self._conversation.new_request_id()

    def call(self, request: Request, deadline: float, token: CancelToken) -> Response:
        """Sends a request and waits for its response.

        Args:
            request: what to send, with an id from `new_request_id`.
            deadline: on the monotonic clock.
            token: when cancelled, the request is taken back, if need be by killing the worker.

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
        """What makes an idle worker unusable: it has ended, or said something unasked; else None."""
        return self._conversation.find_problem()

    def close_stdin(self) -> None:
        """Asks the worker to end, as the protocol says it."""
        self._plumbing.close_stdin()

    def kill(self) -> None:
        """Kills the worker with all its descendants and waits for their end."""
        self._plumbing.kill()

    def close(self) -> None:
        """Gives back what the process held; it must have ended."""
        self._conversation.close()
        self._plumbing.close()

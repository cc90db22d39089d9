"""Actions that wait for a worker: what the pool must know of them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Protocol

from rpw_fixture.cancellation import CancelToken
from rpw_fixture.workers.key import WorkerKey
from rpw_fixture.workers.worker import Worker


class Turn(Protocol):
    """The right of an action to be one of those that run at once; see `execution.job_queue`."""

    @property
    def is_wanted(self) -> bool:
        """Whether a client waits for the action."""

    @property
    def passed_over(self) -> int:
        """How many actions that began later have ended while this one was paused."""

    @property
    def can_go_on(self) -> bool:
        """Whether `resume` would succeed now."""

    @property
    def has_successors(self) -> bool:
        """Whether there are actions of which nobody knows yet which worker they need."""

    def pause(self) -> None:
        """Give up the turn while the action waits."""

    def pass_on(self) -> None:
        """Let others have the turn; never called under the pool's lock, because it may serve."""

    def resume(self) -> bool:
        """Take a turn again; False when too many other actions run now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """For whom a worker is wanted: the action as events name it, and how long it can wait.

    Attributes:
        patience: seconds it waits while no action in line is served.
    """

    action: str
    operation: str
    patience: float
    token: CancelToken
    turn: Turn


@dataclass(slots=True, eq=False)
class Waiter:
    """An action in line, which will get an idle worker or leave to start one.

    Attributes:
        key: of the workers that fit it.
        most_workers: how many its key may have.
        turn: given up while it waits.
        served: set when it need not wait any more.
        worker: the idle worker it got; without one it may start one.
    """

    key: WorkerKey
    most_workers: int
    turn: Turn
    served: threading.Event = field(default_factory=threading.Event)
    worker: Worker | None = None

    @property
    def key_digest(self) -> str:
        """The key of the workers that fit it."""
        return self.key.digest

    @property
    def passed_over(self) -> int:
        """See `Turn.passed_over`."""
        return self.turn.passed_over

    @property
    def can_go_on(self) -> bool:
        """See `Turn.can_go_on`."""
        return self.turn.can_go_on

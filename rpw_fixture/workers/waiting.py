"""Actions that wait for a worker: what the pool must know about them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from rpw_fixture.events.actions import ActionIdentity
from rpw_fixture.support.cancellation import CancelToken
from rpw_fixture.workers.key import WorkerKey
from rpw_fixture.workers.worker import Worker

#: About the seconds that it takes to start a worker; no worker is ended for an action that waited less.
_START_SECONDS = 0.25


class PausableTurn(Protocol):
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
        """Whether there are actions that have not begun, so that the worker they need is not known."""

    @property
    def others_run(self) -> bool:
        """Whether there are actions at work that are not paused."""

    def pause(self) -> None:
        """Give up the turn while the action waits."""

    def pass_on(self) -> None:
        """Let other actions run; not to be called under the pool's lock, because it may serve others."""

    def resume(self) -> bool:
        """Take a turn again; False when too many other actions run now."""


class LeaseRequest(NamedTuple):
    """An action's request for a worker.

    Attributes:
        identity: of the action.
        key: of the worker.
        patience: seconds the action waits while no action in line is served.
        token: cancelled when no client waits for the action any longer.
        turn: given up while the action waits.
        is_extra: whether to start a worker beyond all limits; it is needed for a few seconds, to find
            out the protocol of a tool.
        before_start: called before a worker is started for the action; raises when the worker is no
            longer wanted.
    """

    identity: ActionIdentity
    key: WorkerKey
    patience: float
    token: CancelToken
    turn: PausableTurn
    is_extra: bool = False
    before_start: Callable[[], None] | None = None


@dataclass(slots=True, eq=False)
class Waiter:
    """An action in line, which will get an idle worker or leave to start one.

    Attributes:
        key: key of the workers that fit it.
        most_workers: most workers that its key may have.
        turn: given up while it waits.
        served: set when it need not wait any longer.
        worker: the idle worker that it got; None when it may start one.
        has_waited_long: whether it has waited as long as a start takes.
    """

    key: WorkerKey
    most_workers: int
    turn: PausableTurn
    served: threading.Event = field(default_factory=threading.Event)
    worker: Worker | None = None
    has_waited_long: bool = False

    @property
    def key_digest(self) -> str:
        """The key of the workers that fit it."""
        return self.key.digest

    @property
    def passed_over(self) -> int:
        """See `PausableTurn.passed_over`."""
        return self.turn.passed_over

    @property
    def can_go_on(self) -> bool:
        """See `PausableTurn.can_go_on`."""
        return self.turn.can_go_on

    def wait(
        self, patience: float, served_at: Callable[[], float], on_long: Callable[[], None]
    ) -> None:
        """Wait until it is served, or no action in line was served for ``patience`` seconds.

        So an action that is passed over waits longer, but how often it can be passed over is bounded.

        Args:
            patience: how long, seconds.
            served_at: when an action in line was served last.
            on_long: called when it has waited for as long as it takes to start a worker.
        """
        began = time.monotonic()
        if not self.served.wait(min(_START_SECONDS, patience)):
            self.has_waited_long = True
            on_long()
        while (left := max(began, served_at()) + patience - time.monotonic()) > 0:
            if self.served.wait(left):
                return

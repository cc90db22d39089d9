"""An action on its way to a worker, as a value."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from rpw_fixture.events.actions import ActionIdentity
from rpw_fixture.execution.job import ActionProgress
from rpw_fixture.execution.resolve import ResolvedAction
from rpw_fixture.execution.staging.placed import Parents
from rpw_fixture.support.cancellation import CancelToken
from rpw_fixture.workers.key import WorkerKey
from rpw_fixture.workers.waiting import PausableTurn
from rpw_fixture.workers.worker import Worker


class WorkerTask(NamedTuple):
    """An action that a worker is to serve.

    Attributes:
        identity: of the action.
        action: the action.
        key: key of the workers that may serve it.
        is_protocol_open: whether the key's protocol is a guess.
        arguments: arguments of the request, flagfiles expanded.
        parents: folders of the outputs.
        progress: gets times, worker and outputs.
        token: when cancelled, ends the wait for a worker, and the request.
        turn: given up while the action waits for a worker.
        latest: a deadline beside the action's timeout, on the monotonic clock.
        accept: called with the worker when its response is there, before outputs are collected;
            raises WorkerFailure when the response must not count.
    """

    identity: ActionIdentity
    action: ResolvedAction
    key: WorkerKey
    is_protocol_open: bool
    arguments: tuple[str, ...]
    parents: Parents
    progress: ActionProgress
    token: CancelToken
    turn: PausableTurn
    latest: float = math.inf
    accept: Callable[[Worker], None] | None = None

"""What is known of an action that goes to a worker."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from rpw_fixture.execution.resolve import ResolvedAction
from rpw_fixture.execution.results import OnWorker, Timeline
from rpw_fixture.execution.staging.placed import Parents
from rpw_fixture.support.beneath import Beneath
from rpw_fixture.support.cancellation import CancelToken
from rpw_fixture.workers.key import WorkerKey
from rpw_fixture.workers.waiting import Turn
from rpw_fixture.workers.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTask:
    """One action for a worker; see `PersistentRunner.run`.

    Attributes:
        key: of the worker that may serve it.
        is_protocol_open: the key's protocol is a guess.
        arguments: what the request says, flagfiles expanded.
        parents: folders of the outputs.
        mnemonic, target: as the client calls the action.
        latest: when the response must be there, on the monotonic clock, besides the timeout.
        on_answer: called with the worker when its response is there, before outputs are collected;
            it raises WorkerFailure when the response must not count.
    """

    action: ResolvedAction
    key: WorkerKey
    is_protocol_open: bool
    arguments: tuple[str, ...]
    parents: Parents
    operation: str
    mnemonic: str
    target: str
    timeline: Timeline
    token: CancelToken
    turn: Turn
    on_worker: OnWorker
    collect: Callable[[Beneath], None]
    latest: float = math.inf
    on_answer: Callable[[Worker], None] | None = None

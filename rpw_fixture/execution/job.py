"""An action to execute, and what is known of it while it is executed."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import NamedTuple

from rpw_fixture.events.actions import ActionIdentity, Mode
from rpw_fixture.execution.job_queue import Turn
from rpw_fixture.execution.operation import Execution
from rpw_fixture.execution.outputs import Outputs
from rpw_fixture.execution.resolve import ResolvedAction
from rpw_fixture.execution.results import RunResult, Timeline
from rpw_fixture.execution.routing import Route
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.support.cancellation import CancelToken
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.protos import remote_execution as reapi

#: Equal for jobs that can share one execution: instance name, digest function, digest of the Action.
MergeKey = tuple[str, str, Digest]
_UNROUTED = Route(mode=Mode.ONE_SHOT, reason="")


@dataclass(slots=True, kw_only=True)
class ActionProgress:
    """The state of an action during its execution; executors write to it.

    Attributes:
        timeline: the times at which the action reached its stages.
        resolved: the action with all it refers to, once it is resolved.
        route: where the action runs, and why.
        worker: number of the last worker that was lent to the action.
        is_reused: whether that worker had served an action before.
        result: how the command or the request ended.
        outputs: what was collected.
        after_reply: closed after the client has the response.
    """

    timeline: Timeline = field(default_factory=Timeline)
    resolved: ResolvedAction | None = None
    route: Route = _UNROUTED
    worker: int | None = None
    is_reused: bool = False
    result: RunResult | None = None
    outputs: Outputs = field(default_factory=Outputs)
    after_reply: ExitStack = field(default_factory=ExitStack)

    @property
    def action(self) -> ResolvedAction:
        """The resolved action, for executors that run after it was resolved.

        Raises:
            RuntimeError: the action was not resolved.
        """
        if self.resolved is None:
            raise RuntimeError("the action was not resolved before it was run")
        return self.resolved

    def assign(self, worker: int, *, is_reused: bool) -> None:
        """Note which worker serves the action, before its request is sent."""
        self.worker, self.is_reused = worker, is_reused

    def take_over(self, other: ActionProgress) -> None:
        """Replace what a worker contributes by what another worker contributed."""
        self.assign(other.worker or 0, is_reused=other.is_reused)
        self.outputs = other.outputs
        self.timeline.take_over(other.timeline)


class Job(NamedTuple):
    """An action to execute.

    Attributes:
        identity: its names in events.
        digest: of the Action.
        action: the Action itself.
        store: blobs under its digest function.
        instance_name: of the request.
        skip_cache_lookup: run it even if its result is known.
        execution: carries the token, the stages and the response.
        turn: its place among the other jobs.
        progress: what is known of it so far.
    """

    identity: ActionIdentity
    digest: Digest
    action: reapi.Action
    store: BlobStore
    instance_name: str
    skip_cache_lookup: bool
    execution: Execution
    turn: Turn
    progress: ActionProgress

    @property
    def merge_key(self) -> MergeKey:
        """Key of the jobs that can share one execution with this one."""
        return self.instance_name, self.store.function.name, self.digest

    @property
    def token(self) -> CancelToken:
        """Cancelled when no client waits for the action any longer."""
        return self.execution.token

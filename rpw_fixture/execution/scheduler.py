"""Decides when each action runs; merges equal actions, cancels, and remembers finished operations."""

from __future__ import annotations

import itertools
import math
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from rpw_fixture.errors import Code, RequestError, not_found
from rpw_fixture.events.actions import ActionIdentity
from rpw_fixture.execution.executor import Executor
from rpw_fixture.execution.inline import InlineHints
from rpw_fixture.execution.job import ActionProgress, Job, MergeKey
from rpw_fixture.execution.job_queue import JobQueue, Turn
from rpw_fixture.execution.operation import ClientRequest, Execution, Operation
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.protos import remote_execution as reapi

#: Most finished operations that are remembered, whatever the grace period.
_MOST_FINISHED = 2_000
#: Each new operation makes the scheduler forget at most this many old ones.
_MOST_FORGOTTEN = 8
#: Least time between two searches for abandoned operations, seconds.
_LEAST_WATCH = 0.05


class _Tracked(NamedTuple):
    """An operation, and what runs for it."""

    operation: Operation
    execution: Execution
    turn: Turn


class Scheduler:
    """Executes jobs, a limited number at once.

    Args:
        executor: executes each of them.
        jobs: how many at once.
        grace: seconds for which a finished operation can still be asked for.
        abandoned_timeout: seconds after which an operation that no client waits for is cancelled;
            0 for never.
        on_room: called when a job that waits for a worker could run.
        on_bug: called with a name of the action and each exception that the executor raises.
        clock: seconds of a clock that never goes back.

    Attributes:
        refused_at: when the last action was refused because the server is stopping, monotonic seconds.
    """

    def __init__(
        self,
        executor: Executor,
        *,
        jobs: int,
        grace: float,
        abandoned_timeout: float = 0.0,
        on_room: Callable[[], None] = lambda: None,
        on_bug: Callable[[str, Exception], object] = lambda _where, _error: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._executor = executor
        self._on_bug = on_bug
        self._grace = grace
        self._abandoned_timeout = abandoned_timeout
        self._clock = clock
        self._queue = JobQueue(jobs, on_room)
        self._lock = threading.Lock()
        self._prefix = os.urandom(6).hex()
        self._numbers = itertools.count(1)
        self._operations: OrderedDict[str, _Tracked] = OrderedDict()
        self._mergeable: dict[MergeKey, Job] = {}
        self._is_closed = False
        self.refused_at = -math.inf
        self._end = threading.Event()
        self._watch = threading.Thread(target=self._watch_abandoned, name="rpw-abandoned")
        if abandoned_timeout:
            self._watch.start()

    def submit(
        self,
        *,
        digest: Digest,
        action: reapi.Action,
        store: BlobStore,
        request: reapi.ExecuteRequest,
        metadata: reapi.RequestMetadata,
    ) -> Operation:
        """Execute the action, or join an execution of the same action that is not over.

        Only cacheable actions are joined, and only when the client takes cached results
        (remote_execution.proto, Action.do_not_cache, ExecuteRequest.skip_cache_lookup).

        Raises:
            RequestError: UNAVAILABLE when the server is stopping.
        """
        asked = ClientRequest(digest=digest, store=store, inline=InlineHints.of(request))
        operation = Operation(f"{self._prefix}/{next(self._numbers)}", asked, self._clock)
        new = self._new_job(_identity(digest, operation, metadata), action, asked, request)
        can_merge = not (action.do_not_cache or request.skip_cache_lookup)
        with self._lock:
            if self._is_closed:
                self.refused_at = time.monotonic()
                raise _stopping()
            self._forget_old()
            equal = self._mergeable.get(new.merge_key) if can_merge else None
            if equal is not None and equal.execution.attach(operation):
                job = equal
            else:
                job = new
                job.execution.attach(operation)
                if can_merge:
                    self._mergeable[job.merge_key] = job
            self._operations[operation.name] = _Tracked(operation, job.execution, job.turn)
        if job is new:
            self._add(job)
        else:
            self._queue.prefer(job.turn)
        return operation

    def _new_job(
        self,
        identity: ActionIdentity,
        action: reapi.Action,
        asked: ClientRequest,
        request: reapi.ExecuteRequest,
    ) -> Job:
        execution = Execution()
        job = Job(
            identity=identity,
            digest=asked.digest,
            action=action,
            store=asked.store,
            instance_name=request.instance_name,
            skip_cache_lookup=request.skip_cache_lookup,
            execution=execution,
            turn=self._queue.turn(execution),
            progress=ActionProgress(timeline=execution.timeline),
        )
        job.turn.work = partial(self._work, job)
        return job

    def _add(self, job: Job) -> None:
        try:
            self._queue.add(job.turn)
        except RequestError as error:
            job.execution.finish(_failed(error))
            self._forget(job)
            raise

    def find(self, name: str) -> Operation:
        """Return the operation of that name, running or finished a short time ago, for a client.

        Raises:
            RequestError: NOT_FOUND.
        """
        known = self._find(name)
        known.operation.touch()
        self._queue.prefer(known.turn)
        return known.operation

    def cancel(self, name: str) -> None:
        """Cancel one operation, and its execution unless another operation shares it.

        Raises:
            RequestError: NOT_FOUND.
        """
        self._cancel(self._find(name))

    def clear(self) -> None:
        """Cancel everything and forget all operations."""
        self._cancel_all()
        with self._lock:
            self._operations.clear()

    def close(self, grace: float) -> None:
        """Take no more jobs, wait for those at work, and cancel them after ``grace`` seconds.

        Those that no client waits for are cancelled at once.
        """
        with self._lock:
            self._is_closed = True
        running = self._newest_first()
        deadline = time.monotonic() + grace
        for known in running:
            if not known.operation.is_done and not known.operation.is_wanted:
                self._cancel(known, _stopping())
        for known in running:
            known.operation.wait(max(0.0, deadline - time.monotonic()))
        self._cancel_all(_stopping())
        self._end.set()
        if self._watch.ident is not None:
            self._watch.join()
        self._queue.close()

    def cancel_abandoned(self) -> float:
        """Cancel the operations for which no client has waited or asked for too long.

        Returns:
            Seconds until there may be another one.
        """
        now, left = self._clock(), self._abandoned_timeout
        for known in self._newest_first():
            since = known.operation.unwatched_since
            if since is None:
                continue
            remaining = since + self._abandoned_timeout - now
            if remaining <= 0:
                self._cancel(known, self._abandoned(known))
            else:
                left = min(left, remaining)
        return left

    def _watch_abandoned(self) -> None:
        left = self._abandoned_timeout
        while not self._end.wait(left):
            left = max(self.cancel_abandoned(), _LEAST_WATCH)

    def _abandoned(self, known: _Tracked) -> RequestError:
        return RequestError(
            Code.CANCELLED,
            f"operation {known.operation.name} was cancelled: no client waited for it for "
            f"{self._abandoned_timeout:g} s",
        )

    def _cancel_all(self, error: RequestError | None = None) -> None:
        for known in self._newest_first():
            self._cancel(known, error)

    def _newest_first(self) -> list[_Tracked]:
        """Return all operations, in an order in which cancelling them begins none of the queue."""
        with self._lock:
            return list(reversed(self._operations.values()))

    def _cancel(self, known: _Tracked, error: RequestError | None = None) -> None:
        known.operation.cancel(error)
        known.execution.detach(known.operation)
        # What waits in the queue ends here and now, instead of when its turn comes.
        if known.execution.token.is_cancelled and self._queue.take_out(known.turn):
            known.turn.work()

    def _work(self, job: Job) -> None:
        job.progress.timeline.reach("worker_start")
        try:
            with job.progress.after_reply:
                job.execution.finish(self._executor.execute(job))
        except Exception as error:  # noqa: BLE001 - a bug, or folders that can't be removed
            self._on_bug(f"execution of action {job.identity.digest}", error)
        finally:
            if not job.execution.is_finished:  # a client that never gets an answer hides the bug
                job.execution.finish(_lost(job))
            self._forget(job)

    def _forget(self, job: Job) -> None:
        with self._lock:
            if self._mergeable.get(job.merge_key) is job:
                del self._mergeable[job.merge_key]

    def _find(self, name: str) -> _Tracked:
        with self._lock:
            found = self._operations.get(name)
        if found is None:
            raise not_found(
                f"operation {name[:200]!r} is not known here; it may have ended over "
                f"{self._grace:g} s ago"
            )
        return found

    def _forget_old(self) -> None:
        """Forget a few finished operations that are older than the grace period."""
        oldest = self._clock() - self._grace
        excess = len(self._operations) - _MOST_FINISHED
        for _ in range(min(_MOST_FORGOTTEN, len(self._operations))):
            name, known = next(iter(self._operations.items()))
            operation = known.operation
            if not operation.is_done:
                self._operations.move_to_end(name)  # a long one must not keep all after it alive
            elif excess > 0 or operation.finished_at < oldest:
                del self._operations[name]
                excess -= 1
            else:
                break


def _stopping() -> RequestError:
    return RequestError(Code.UNAVAILABLE, "the server is stopping")


def _identity(
    digest: Digest, operation: Operation, metadata: reapi.RequestMetadata
) -> ActionIdentity:
    return ActionIdentity(
        digest=str(digest),
        operation=operation.name,
        mnemonic=metadata.action_mnemonic,
        target=metadata.target_id,
        invocation=metadata.tool_invocation_id,
    )


def _lost(job: Job) -> reapi.ExecuteResponse:
    message = f"internal error: action {job.digest} was lost while it was executed"
    return _failed(RequestError(Code.INTERNAL, message))


def _failed(error: RequestError) -> reapi.ExecuteResponse:
    response = reapi.ExecuteResponse(result=reapi.ActionResult())
    response.status.code = error.code
    response.status.message = error.message
    return response

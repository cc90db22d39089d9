"""Who is executed when: the queue, merging of equal actions, cancellation, and memory of the past."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from rpw_fixture.errors import Code, RequestError, not_found
from rpw_fixture.execution.inline import Inline
from rpw_fixture.execution.operation import Execution, Operation, Wanted
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.threads import ThreadPool
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.protos import remote_execution as re

#: Finished operations that can still be asked for, whatever the grace period.
_MOST_FINISHED = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An action to execute.

    Attributes:
        digest: of the Action.
        action: the Action itself.
        store: blobs under its digest function.
        instance_name: of the request.
        skip_cache_lookup: run it even if the result is known.
        metadata: what the client says of itself.
        operation: name of the first operation that wants it.
        execution: carries the token, the stages and the response.
    """

    digest: Digest
    action: re.Action
    store: BlobStore
    instance_name: str
    skip_cache_lookup: bool
    metadata: re.RequestMetadata
    operation: str
    execution: Execution


class Scheduler:
    """Executes jobs, so many at once.

    Args:
        run: executes one job and finishes its execution; it must not raise.
        jobs: how many at once.
        grace: seconds for which a finished operation can still be asked for.
    """

    def __init__(self, run: Callable[[Job], None], *, jobs: int, grace: float) -> None:
        self._run = run
        self._grace = grace
        self._threads = ThreadPool(jobs, "rpw-job")
        self._lock = threading.Lock()
        self._prefix = os.urandom(6).hex()
        self._numbers = itertools.count(1)
        self._operations: OrderedDict[str, tuple[Operation, Execution]] = OrderedDict()
        self._mergeable: dict[tuple[str, str, Digest], Execution] = {}
        self._is_closed = False

    def submit(
        self,
        *,
        digest: Digest,
        action: re.Action,
        store: BlobStore,
        request: re.ExecuteRequest,
        metadata: re.RequestMetadata,
    ) -> Operation:
        """Has the action executed, or joins an execution of the same action that is under way.

        Only cacheable actions are joined, and only when the client takes cached results
        (remote_execution.proto, Action.do_not_cache, ExecuteRequest.skip_cache_lookup).

        Raises:
            RequestError: UNAVAILABLE when the server is stopping.
        """
        wanted = Wanted(digest=digest, store=store, inline=Inline.of(request))
        operation = Operation(f"{self._prefix}/{next(self._numbers)}", wanted)
        merge_key = (request.instance_name, store.function.name, digest)
        can_merge = not (action.do_not_cache or request.skip_cache_lookup)
        with self._lock:
            if self._is_closed:
                raise _stopping()
            self._forget_old()
            execution = self._mergeable.get(merge_key) if can_merge else None
            if execution is None or not execution.attach(operation):
                execution = Execution()
                execution.attach(operation)
                job = Job(
                    digest=digest,
                    action=action,
                    store=store,
                    instance_name=request.instance_name,
                    skip_cache_lookup=request.skip_cache_lookup,
                    metadata=metadata,
                    operation=operation.name,
                    execution=execution,
                )
                self._threads.start(partial(self._work, job, merge_key))
                if can_merge:
                    self._mergeable[merge_key] = execution
            self._operations[operation.name] = (operation, execution)
        return operation

    def find(self, name: str) -> Operation:
        """The operation of that name, running or finished not long ago.

        Raises:
            RequestError: NOT_FOUND.
        """
        return self._find(name)[0]

    def cancel(self, name: str) -> None:
        """Cancels one operation; what it ran is ended when nobody else waits for it.

        Raises:
            RequestError: NOT_FOUND.
        """
        operation, execution = self._find(name)
        operation.cancel()
        execution.detach(operation)

    def clear(self) -> None:
        """Cancels everything and forgets all operations."""
        self._cancel_all()
        with self._lock:
            self._operations.clear()

    def close(self, grace: float) -> None:
        """Takes no more jobs, waits for those at work, and cancels them after ``grace`` seconds."""
        with self._lock:
            self._is_closed = True
            running = [operation for operation, _ in self._operations.values()]
        deadline = time.monotonic() + grace
        for operation in running:
            operation.wait(max(0.0, deadline - time.monotonic()))
        self._cancel_all(_stopping())
        self._threads.shutdown(wait=True)

    def _cancel_all(self, error: RequestError | None = None) -> None:
        with self._lock:
            found = list(self._operations.values())
        for operation, execution in found:
            operation.cancel(error)
            execution.detach(operation)

    def _work(self, job: Job, merge_key: tuple[str, str, Digest]) -> None:
        try:
            self._run(job)
        finally:
            if not job.execution.is_finished:  # a client that waits for ever hides the bug
                job.execution.finish(_lost(job))
            with self._lock:
                if self._mergeable.get(merge_key) is job.execution:
                    del self._mergeable[merge_key]

    def _find(self, name: str) -> tuple[Operation, Execution]:
        with self._lock:
            found = self._operations.get(name)
        if found is None:
            raise not_found(
                f"operation {name[:200]!r} is not known here; it may have ended over "
                f"{self._grace:g} s ago"
            )
        return found

    def _forget_old(self) -> None:
        """Drops finished operations that nobody can expect to find any more, a few at a time."""
        oldest = time.monotonic() - self._grace
        excess = len(self._operations) - _MOST_FINISHED
        for name, (operation, _) in list(itertools.islice(self._operations.items(), 8)):
            if not operation.is_done:
                self._operations.move_to_end(name)  # a long one must not keep all after it alive
            elif excess > 0 or operation.finished_at < oldest:
                del self._operations[name]
                excess -= 1
            else:
                break


def _stopping() -> RequestError:
    return RequestError(Code.UNAVAILABLE, "the server is stopping")


def _lost(job: Job) -> re.ExecuteResponse:
    response = re.ExecuteResponse(result=re.ActionResult())
    response.status.code = Code.INTERNAL
    response.status.message = f"internal error: action {job.digest} was lost while it was executed"
    return response

"""Operations: what a client sees of an action that is being executed."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from rpw_fixture.errors import Code, RequestError
from rpw_fixture.execution.inline import InlineHints
from rpw_fixture.execution.results import Timeline
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.support.cancellation import CancelToken
from rpw_fixture.support.pausing import Pause, Signal, blocking
from rpw_fixture.wire.digests import Digest, message_of
from rpw_fixture.wire.protos import longrunning
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.wire.raw_messages import packed, packed_bytes

#: Seconds after which the client gets the first update; a shorter action needs none.
_FIRST_UPDATE = 0.25
#: Seconds between two later updates, so that the call of a long action is not silent.
_UPDATE_INTERVAL = 10.0
#: How long a new operation counts as wanted before its stream begins, seconds.
_FIRST_WATCH = 1.0
#: How long an operation counts as wanted after a client asked for it by name, seconds.
_NEXT_QUESTION = 60.0
_QUEUED = reapi.ExecutionStage.QUEUED
_COMPLETED = reapi.ExecutionStage.COMPLETED


class ClientRequest(NamedTuple):
    """A client's request, as far as an operation needs it.

    Attributes:
        digest: of the Action.
        store: blobs under its digest function.
        inline: what the client wants inside the response.
    """

    digest: Digest
    store: BlobStore
    inline: InlineHints


class Operation:
    """One client's view of one execution.

    Several operations may share an execution; each can be cancelled by itself.

    Args:
        name: unique; never changes.
        request: what the client asked for.
        clock: seconds of a clock that never goes back.
    """

    def __init__(
        self, name: str, request: ClientRequest, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self.finished_at = 0.0
        self._clock = clock
        self._watchers = 0
        self._asked_at = clock()
        self._wanted_until = self._asked_at + _FIRST_WATCH
        self._request = request
        self._timeline: Timeline | None = None
        self._stage: int = _QUEUED
        #: Encoded, because thousands of finished operations are kept: a message takes five times as much.
        self._response: bytes | None = None
        self._lock = threading.Lock()
        self._signal = Signal()

    @property
    def is_done(self) -> bool:
        """Whether the response is there."""
        return self._response is not None

    @property
    def is_wanted(self) -> bool:
        """Whether a client waits for it, or is likely to ask for it by name again."""
        return self._watchers > 0 or self._clock() < self._wanted_until

    @property
    def unwatched_since(self) -> float | None:
        """When a client last waited or asked for it, by the clock; None while one waits, or when done."""
        with self._lock:
            is_left = not self._watchers and self._response is None
            return self._asked_at if is_left else None

    def touch(self) -> None:
        """Note that a client asked for it by name."""
        with self._lock:
            self._asked_at = self._clock()
            self._wanted_until = self._asked_at + _NEXT_QUESTION

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Count one client that waits for it, until the block is left."""
        with self._lock:
            self._watchers += 1
        try:
            yield
        finally:
            with self._lock:
                self._watchers -= 1
                self._asked_at = self._wanted_until = self._clock()

    def enter(self, stage: int, timeline: Timeline) -> None:
        """Note the stage and the times of the execution, unless this operation is over."""
        with self._lock:
            if self._response is None:
                self._stage = stage
                self._timeline = timeline

    def finish(self, response: reapi.ExecuteResponse) -> None:
        """Set the response; a later one changes nothing."""
        encoded = response.SerializeToString()
        with self._lock:
            if self._response is not None:
                return
            self._response = encoded
            self._stage = _COMPLETED
            self._timeline = None
            self.finished_at = self._clock()
        self._signal.notify()

    def cancel(self, error: RequestError | None = None) -> None:
        """End it with an error, by default CANCELLED, if it has not ended yet."""
        error = error or RequestError(Code.CANCELLED, f"operation {self.name} was cancelled")
        response = reapi.ExecuteResponse(result=reapi.ActionResult())
        response.status.code = error.code
        response.status.message = response.message = error.message
        self.finish(response)

    def message(self) -> longrunning.Operation:
        """Return the operation as it is now."""
        with self._lock:
            stage, response, timeline = self._stage, self._response, self._timeline
        request = self._request
        metadata = reapi.ExecuteOperationMetadata(
            stage=stage,
            action_digest=message_of(request.digest),
            digest_function=request.store.function.number,
        )
        if response is not None:
            if request.inline:
                response = request.inline.added_to(response, request.store)
            return longrunning.Operation(
                name=self.name,
                done=True,
                metadata=packed(metadata),
                response=packed_bytes(reapi.ExecuteResponse, response),
            )
        if timeline is not None:
            timeline.write_reached(metadata.partial_execution_metadata)
        return longrunning.Operation(name=self.name, metadata=packed(metadata))

    def updates(
        self, is_wanted: Callable[[], bool] = lambda: True
    ) -> Iterator[longrunning.Operation]:
        """Yield as `progress` does; the calling thread waits in between."""
        return blocking(self.progress(is_wanted))

    def progress(
        self, is_wanted: Callable[[], bool] = lambda: True
    ) -> Iterator[longrunning.Operation | Pause]:
        """Yield the operation now, after 0.25 s, every 10 s from then on, and when it is done.

        Args:
            is_wanted: whether the client still waits; after `wake` the updates end if it does not.
        """
        with self.watched():
            yield from self._updates(is_wanted)

    def _updates(self, is_wanted: Callable[[], bool]) -> Iterator[longrunning.Operation | Pause]:
        wait = _FIRST_UPDATE
        while True:
            message = self.message()
            yield message
            if message.done:
                return
            due = time.monotonic() + wait
            while True:
                count = self._signal.count
                left = due - time.monotonic()
                if self.is_done or left <= 0:
                    break
                if not is_wanted():
                    return
                yield Pause(left, self._signal, count)
            wait = _UPDATE_INTERVAL

    def wait(self, timeout: float) -> bool:
        """Wait for the response; return False when ``timeout`` seconds passed."""
        deadline = time.monotonic() + timeout
        while True:
            count = self._signal.count
            left = deadline - time.monotonic()
            if self.is_done or left <= 0:
                return self.is_done
            Pause(left, self._signal, count).wait()

    def wake(self) -> None:
        """Make all `updates` check again whether they are wanted."""
        self._signal.notify()


class Execution:
    """One run of an action, for all operations that wait for it.

    Attributes:
        token: cancelled when the last of them is.
        timeline: when the run reached which point; it is queued from the beginning.
    """

    def __init__(self) -> None:
        self.token = CancelToken()
        self.timeline = Timeline()
        self._lock = threading.Lock()
        self._operations: list[Operation] = []
        self._stage: int = _QUEUED
        self._is_finished = False

    @property
    def is_finished(self) -> bool:
        """Whether the response was given."""
        return self._is_finished

    @property
    def is_wanted(self) -> bool:
        """Whether a client waits for it; see `Operation.is_wanted`."""
        return any(operation.is_wanted for operation in tuple(self._operations))

    def attach(self, operation: Operation) -> bool:
        """Let ``operation`` share this run; return False when it is too late for that."""
        with self._lock:
            if self._is_finished or self.token.is_cancelled:
                return False
            self._operations.append(operation)
            operation.enter(self._stage, self.timeline)
            return True

    def detach(self, operation: Operation) -> None:
        """Take a cancelled operation out; cancel the run when it was the last one."""
        with self._lock:
            if operation in self._operations:
                self._operations.remove(operation)
            is_orphaned = not self._operations and not self._is_finished
            if is_orphaned:
                # Under the lock, or an operation could join a run that is about to be killed.
                self.token.cancel()

    def enter(self, stage: int) -> None:
        """Note the stage in all operations."""
        with self._lock:
            self._stage = stage
            for operation in self._operations:
                operation.enter(stage, self.timeline)

    def finish(self, response: reapi.ExecuteResponse) -> None:
        """Give all operations their response."""
        with self._lock:
            self._is_finished = True
            operations = list(self._operations)
        for operation in operations:
            operation.finish(response)

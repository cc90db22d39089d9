"""Operations: what a client sees of an action that is being executed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from rpw_fixture.cancellation import CancelToken
from rpw_fixture.errors import Code
from rpw_fixture.execution.inline import Inline
from rpw_fixture.execution.outputs import message_of
from rpw_fixture.execution.results import Timeline
from rpw_fixture.pausing import Pause, Signal, blocking
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.packing import packed
from rpw_fixture.wire.protos import longrunning
from rpw_fixture.wire.protos import remote_execution as re

#: A stage that lasts this long is told to the client; shorter ones are not worth a message.
_FIRST_UPDATE = 0.25
#: How often a client hears of an action that takes long, seconds (bazel's keepalive).
_UPDATE_INTERVAL = 10.0
_QUEUED = re.ExecutionStage.QUEUED
_COMPLETED = re.ExecutionStage.COMPLETED


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a client asked for.

    Attributes:
        digest: of the Action.
        store: blobs under its digest function.
        inline: what the client wants inside the response.
    """

    digest: Digest
    store: BlobStore
    inline: Inline


class Operation:
    """One client's view of one execution.

    Several operations may share an execution; each can be cancelled by itself.

    Args:
        name: unique, stable.
        wanted: which action, and what the client would like to have in its response.
    """

    def __init__(self, name: str, wanted: Wanted) -> None:
        self.name = name
        self.finished_at = 0.0
        self._wanted = wanted
        self._timeline: Timeline | None = None
        self._stage: int = _QUEUED
        self._response: re.ExecuteResponse | None = None
        self._changed = threading.Condition()
        self._signal = Signal()

    @property
    def is_done(self) -> bool:
        """Whether the response is there."""
        return self._response is not None

    def enter(self, stage: int, timeline: Timeline) -> None:
        """Notes the stage the execution is in, unless this operation is over; and its times."""
        with self._changed:
            if self._response is None:
                self._stage = stage
                self._timeline = timeline

    def finish(self, response: re.ExecuteResponse) -> None:
        """Gives the response; the first one stays."""
        with self._changed:
            if self._response is not None:
                return
            self._response = response
            self._stage = _COMPLETED
            self._timeline = None
            self.finished_at = time.monotonic()
            self._changed.notify_all()
        self._signal.notify()

    def cancel(self) -> None:
        """Ends it with CANCELLED, if it has not ended yet."""
        response = re.ExecuteResponse(result=re.ActionResult())
        response.status.code = Code.CANCELLED
        response.status.message = f"operation {self.name} was cancelled"
        self.finish(response)

    def message(self) -> longrunning.Operation:
        """The operation as it stands."""
        with self._changed:
            stage, response, timeline = self._stage, self._response, self._timeline
        wanted = self._wanted
        metadata = re.ExecuteOperationMetadata(
            stage=stage,
            action_digest=message_of(wanted.digest),
            digest_function=wanted.store.function.number,
        )
        if response is not None:
            told = packed(wanted.inline.added_to(response, wanted.store))
            return longrunning.Operation(
                name=self.name, done=True, metadata=packed(metadata), response=told
            )
        if timeline is not None:
            timeline.write_reached(metadata.partial_execution_metadata)
        return longrunning.Operation(name=self.name, metadata=packed(metadata))

    def updates(self, is_wanted: threading.Event | None = None) -> Iterator[longrunning.Operation]:
        """As `progress`, in a thread that waits in between."""
        return blocking(self.progress(is_wanted))

    def progress(
        self, is_wanted: threading.Event | None = None
    ) -> Iterator[longrunning.Operation | Pause]:
        """The operation now, when its stage lasts, every few seconds, and when it is done.

        Args:
            is_wanted: cleared when the client has gone; then the updates end.
        """
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
                if is_wanted is not None and not is_wanted.is_set():
                    return
                yield Pause(left, self._signal, count)
            wait = _UPDATE_INTERVAL

    def wait(self, timeout: float) -> bool:
        """Waits for the response; False when ``timeout`` seconds passed."""
        with self._changed:
            return self._changed.wait_for(lambda: self.is_done, timeout)

    def wake(self) -> None:
        """Has all `updates` look again whether they are wanted."""
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
        self._response: re.ExecuteResponse | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the response was given."""
        return self._response is not None

    def attach(self, operation: Operation) -> bool:
        """Has ``operation`` share this run; False when it is too late for that."""
        with self._lock:
            if self._response is not None or self.token.is_cancelled:
                return False
            self._operations.append(operation)
            operation.enter(self._stage, self.timeline)
            return True

    def detach(self, operation: Operation) -> None:
        """Takes a cancelled operation out; a run that nobody waits for is cancelled."""
        with self._lock:
            if operation in self._operations:
                self._operations.remove(operation)
            is_orphaned = not self._operations and self._response is None
            if is_orphaned:
                # Under the lock, or an operation could join a run that is about to be killed.
                self.token.cancel()

    def enter(self, stage: int) -> None:
        """Notes the stage in all operations."""
        with self._lock:
            self._stage = stage
            for operation in self._operations:
                operation.enter(stage, self.timeline)

    def finish(self, response: re.ExecuteResponse) -> None:
        """Gives all operations their response."""
        with self._lock:
            self._response = response
            operations = list(self._operations)
        for operation in operations:
            operation.finish(response)

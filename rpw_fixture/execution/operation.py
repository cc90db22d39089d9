"""Operations: what a client sees of an action that is being executed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from rpw_fixture.cancellation import CancelToken
from rpw_fixture.errors import Code
from rpw_fixture.execution.outputs import message_of
from rpw_fixture.wire.digests import Digest, DigestFunction
from rpw_fixture.wire.protos import longrunning
from rpw_fixture.wire.protos import remote_execution as re

#: A stage that lasts this long is told to the client; shorter ones are not worth a message.
_FIRST_UPDATE = 0.25
#: How often a client hears of an action that takes long, seconds (bazel's keepalive).
_UPDATE_INTERVAL = 10.0
_COMPLETED = re.ExecutionStage.COMPLETED


class Operation:
    """One client's view of one execution.

    Several operations may share an execution; each can be cancelled by itself.

    Args:
        name: unique, stable.
        digest: of the Action.
        function: the digest function it is written in.
    """

    def __init__(self, name: str, digest: Digest, function: DigestFunction) -> None:
        self.name = name
        self.digest = digest
        self.function = function
        self.finished_at = 0.0
        self._stage: int = re.ExecutionStage.QUEUED
        self._response: re.ExecuteResponse | None = None
        self._changed = threading.Condition()

    @property
    def is_done(self) -> bool:
        """Whether the response is there."""
        return self._response is not None

    def enter(self, stage: int) -> None:
        """Notes the stage the execution is in."""
        self._stage = stage

    def finish(self, response: re.ExecuteResponse) -> None:
        """Gives the response; the first one stays."""
        with self._changed:
            if self._response is None:
                self._response = response
                self._stage = _COMPLETED
                self.finished_at = time.monotonic()
                self._changed.notify_all()

    def cancel(self) -> None:
        """Ends it with CANCELLED, if it has not ended yet."""
        response = re.ExecuteResponse(result=re.ActionResult())
        response.status.code = Code.CANCELLED
        response.status.message = f"operation {self.name} was cancelled"
        self.finish(response)

    def message(self) -> longrunning.Operation:
        """The operation as it stands."""
        message = longrunning.Operation(name=self.name)
        metadata = re.ExecuteOperationMetadata(
            stage=self._stage,
            action_digest=message_of(self.digest),
            digest_function=self.function.number,
        )
        message.metadata.Pack(metadata)
        if self._response is not None:
            message.done = True
            message.response.Pack(self._response)
        return message

    def updates(self, is_wanted: threading.Event | None = None) -> Iterator[longrunning.Operation]:
        """The operation now, when its stage lasts, every few seconds, and when it is done.

        Args:
            is_wanted: cleared when the client has gone; then the updates end.
        """
        wait = _FIRST_UPDATE
        while True:
            is_done = self.is_done
            yield self.message()
            if is_done:
                return
            with self._changed:
                self._changed.wait_for(
                    lambda: self.is_done or not (is_wanted is None or is_wanted.is_set()), wait
                )
            if not self.is_done and is_wanted is not None and not is_wanted.is_set():
                return
            wait = _UPDATE_INTERVAL

    def wait(self, timeout: float) -> bool:
        """Waits for the response; False when ``timeout`` seconds passed."""
        with self._changed:
            return self._changed.wait_for(lambda: self.is_done, timeout)

    def wake(self) -> None:
        """Has all `updates` look again whether they are wanted."""
        with self._changed:
            self._changed.notify_all()


class Execution:
    """One run of an action, for all operations that wait for it.

    Attributes:
        token: cancelled when the last of them is.
    """

    def __init__(self) -> None:
        self.token = CancelToken()
        self._lock = threading.Lock()
        self._operations: list[Operation] = []
        self._response: re.ExecuteResponse | None = None

    def attach(self, operation: Operation) -> bool:
        """Has ``operation`` share this run; False when it is too late for that."""
        with self._lock:
            if self._response is not None or self.token.is_cancelled:
                return False
            self._operations.append(operation)
            return True

    def detach(self, operation: Operation) -> None:
        """Takes a cancelled operation out; a run that nobody waits for is cancelled."""
        with self._lock:
            if operation in self._operations:
                self._operations.remove(operation)
            is_orphaned = not self._operations and self._response is None
        if is_orphaned:
            self.token.cancel()

    def enter(self, stage: int) -> None:
        """Notes the stage in all operations."""
        for operation in self._operations:
            operation.enter(stage)

    def finish(self, response: re.ExecuteResponse) -> None:
        """Gives all operations their response."""
        with self._lock:
            self._response = response
            operations = list(self._operations)
        for operation in operations:
            operation.finish(response)

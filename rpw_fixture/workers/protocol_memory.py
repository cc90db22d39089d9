"""The protocols that workers were found to use when no action named one."""

from __future__ import annotations

import threading

from rpw_fixture.support.memo import Memo
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol
from rpw_fixture.workers.key import WorkerKey

#: The most answers that are kept; each takes about 100 bytes.
_MOST_ANSWERS = 4_096


class ProtocolMemory:
    """The known protocols of tools. Thread-safe.

    A tool is its startup arguments, its files and what else `WorkerKey.tool` covers, so an answer
    never becomes wrong. After an edit of the tool its protocol is unknown again; the protocol that
    worked with the same startup arguments is then tried first.

    Attributes:
        changed: notified of every answer, and when the trial with a second worker ends.
        asked_twice: tools that are being tried with a second worker; one at a time is enough.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.asked_twice: set[str] = set()
        self._answers: Memo[str, WorkerProtocol] = Memo(_MOST_ANSWERS)
        self._hints: Memo[tuple[str, ...], WorkerProtocol] = Memo(_MOST_ANSWERS)

    def answer(self, key: WorkerKey) -> WorkerProtocol | None:
        """Return the protocol of a key's tool, None while it is unknown."""
        return self._answers.get(key.tool)

    def first_guess(self, key: WorkerKey) -> WorkerProtocol:
        """Return the protocol to try first with a new worker."""
        return self._hints.get(key.startup_arguments) or WorkerProtocol.PROTO

    def settle(self, key: WorkerKey) -> None:
        """Store the protocol of a worker's key, after a worker answered in it."""
        with self.changed:
            self._answers.put(key.tool, key.protocol)
            self._hints.replace(key.startup_arguments, key.protocol)
            self.changed.notify_all()

    def clear(self) -> None:
        """Forget all answers."""
        with self.changed:
            self._answers.clear()
            self._hints.clear()

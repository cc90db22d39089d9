"""Which protocol workers were found to speak, when no action said so."""

from __future__ import annotations

import threading

from rpw_fixture.support.memo import Memo
from rpw_fixture.workers.key import WorkerKey

#: Answers that are kept; each takes about a hundred bytes.
_MOST_ANSWERS = 4_096
_OTHER = {"proto": "json", "json": "proto"}


class ProtocolMemory:
    """Answers to the question which protocol a tool speaks. Thread-safe.

    A tool is its startup arguments, its files and what else `WorkerKey.tool` holds, so an answer
    never becomes wrong. After an edit of the tool the question is open again; what the same startup
    arguments spoke before is then tried first.

    Attributes:
        changed: notified of every answer, and when a second worker is asked no more.
        asked_twice: tools of which a second worker is being asked; one at a time is enough.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.asked_twice: set[str] = set()
        self._answers: Memo[str, str] = Memo(_MOST_ANSWERS)
        self._hints: Memo[tuple[str, ...], str] = Memo(_MOST_ANSWERS)

    def answer(self, key: WorkerKey) -> str | None:
        """Return the protocol of a key's tool, None while it is not known."""
        return self._answers.get(key.tool)

    def first_guess(self, key: WorkerKey) -> str:
        """Return the protocol in which a new worker should be asked first."""
        return self._hints.get(key.startup_arguments) or "proto"

    def settle(self, key: WorkerKey) -> None:
        """Keep the protocol of a worker's key, after a worker answered in it."""
        with self.changed:
            self._answers.put(key.tool, key.protocol)
            self._hints.replace(key.startup_arguments, key.protocol)
            self.changed.notify_all()

    def clear(self) -> None:
        """Forget all answers."""
        with self.changed:
            self._answers.clear()
            self._hints.clear()


def other(protocol: str) -> str:
    """Return the protocol to try when ``protocol`` got no answer."""
    return _OTHER[protocol]

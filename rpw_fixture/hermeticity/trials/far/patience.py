"""How often a cluster is asked again: trials are pure, so asking twice is safe, but not free.

Pure: decisions and numbers only.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from rpw_fixture.errors import Code, RequestError

#: Attempts for one question; the pauses between them add up to 12 s.
ATTEMPTS = 6
_FIRST_PAUSE, _LONGEST_PAUSE = 0.4, 8.0
#: Without any answer for this long, a question that failed is the last one that is asked, seconds.
_SILENCE = 60.0
#: Repetitions that are always allowed in one run; each answer allows another one.
_ALLOWED = 500
#: Statuses for which the same call may succeed later. A lost blob or operation is NOT_FOUND.
_PASSING = frozenset(
    (
        *(Code.UNAVAILABLE, Code.UNKNOWN, Code.INTERNAL, Code.ABORTED, Code.CANCELLED),
        *(Code.RESOURCE_EXHAUSTED, Code.DEADLINE_EXCEEDED, Code.NOT_FOUND, Code.DATA_LOSS),
    )
)


class Patience:
    """The patience with one cluster during one run; used in one thread.

    Args:
        clock: returns seconds.

    Attributes:
        repeated: number of attempts so far that were not the first of their question.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_answer = clock()
        self._answers = 0
        self.repeated = 0

    def note_answer(self) -> None:
        """Note that the cluster has answered a question."""
        self._answers += 1
        self._last_answer = self._clock()

    def may_repeat(self, attempt: int) -> bool:
        """Return whether a question may be asked again.

        Args:
            attempt: number of attempts for it so far.
        """
        if attempt >= ATTEMPTS or self.repeated >= _ALLOWED + self._answers:
            return False
        self.repeated += 1
        return True

    def is_exhausted(self) -> bool:
        """Return whether asking other questions is pointless, too."""
        return self._clock() - self._last_answer > _SILENCE


def pause(attempt: int) -> float:
    """Return the seconds to wait before an attempt; clients do not come back at the same moment."""
    longest: float = min(_FIRST_PAUSE * 2 ** (attempt - 1), _LONGEST_PAUSE)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def may_pass(error: RequestError) -> bool:
    """Return whether the same call may succeed later, or after blobs were uploaded again."""
    return bool(error.missing) or error.code in _PASSING

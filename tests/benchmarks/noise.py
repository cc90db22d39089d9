"""How noisy the machine was: how long the same piece of work took, again and again during a run."""

from __future__ import annotations

import time

from .sampling import median, percentile

#: Work of about a millisecond, in one thread and without system calls.
_STEPS = 20_000
_PIECES = 100
#: From this median on, in times of the shortest piece, figures are worth little.
_QUIET = 1.15


class Noise:
    """Times of equal pieces of work, taken between the families of figures."""

    def __init__(self) -> None:
        self._taken: list[float] = []

    def sample(self, pieces: int = _PIECES) -> None:
        """Take the times of some more pieces."""
        for _ in range(pieces):
            begin = time.perf_counter()
            sum(range(_STEPS))
            self._taken.append(time.perf_counter() - begin)

    @property
    def median(self) -> float:
        """The median, in times of the shortest piece; 1 on a machine that does nothing else."""
        return median(self._taken) / min(self._taken)

    @property
    def tenth(self) -> float:
        """What one piece in ten exceeds, in times of the shortest."""
        return percentile(self._taken, 90) / min(self._taken)

    @property
    def is_quiet(self) -> bool:
        """The machine had hardly anything else to do."""
        return self.median < _QUIET

    def text(self) -> str:
        """For the line below a table."""
        advice = "" if self.is_quiet else ": measure again on a quieter one"
        return (
            f"Noise of the machine{advice}: the same piece of work took {self.median:.2f} times its "
            f"shortest time, one in ten over {self.tenth:.2f} times."
        )

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return {"median": round(self.median, 3), "one_in_ten": round(self.tenth, 3)}

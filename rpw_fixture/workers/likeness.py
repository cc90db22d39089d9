"""Compares live workers with a key that none of them fits: finds the closest one, and outdated ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rpw_fixture.support.memo import Memo
from rpw_fixture.workers.key import WorkerKey, differences
from rpw_fixture.workers.worker import Worker

#: The most differences that one record lists.
_SHOWN_DIFFERENCES = 20
#: The most keys of outdated tools that are remembered.
_MOST_KEYS = 4_096


def closest(workers: Sequence[Worker], key: WorkerKey) -> tuple[Worker, list[str]]:
    """Return the worker whose key is most like ``key``, and a text for each difference.

    If there are workers with the same startup arguments, only these count: a worker of another tool may
    differ less by chance, which would hide an edit of this tool. The one with the fewest differences is
    chosen, then the newest.

    Args:
        workers: at least one, oldest first.
        key: a key that none of them fits.
    """
    same_tool = [each for each in workers if each.key.startup_arguments == key.startup_arguments]
    compared = [
        (each, differences(each.key.components, key.components)) for each in same_tool or workers
    ]
    worker, texts = min(reversed(compared), key=lambda pair: len(pair[1]))
    if len(texts) > _SHOWN_DIFFERENCES:
        texts = [*texts[:_SHOWN_DIFFERENCES], f"… and {len(texts) - _SHOWN_DIFFERENCES} more"]
    return worker, texts


class OutdatedTools:
    """Finds workers with an earlier version of a tool, which are hardly needed any longer.

    A version is outdated once a worker starts that differs only in the content of its tool inputs.
    When an outdated version is requested again, two clients use two versions of the tool: from then on
    both are kept.
    """

    def __init__(self) -> None:
        self._outdated: Memo[str, bool] = Memo(_MOST_KEYS)
        self._in_dispute: Memo[str, bool] = Memo(_MOST_KEYS)

    def among(self, workers: Iterable[Worker], key: WorkerKey) -> list[Worker]:
        """Return those of ``workers`` that a new worker for ``key`` makes outdated."""
        if self._outdated.get(key.digest):
            self._in_dispute.put(key.lineage, True)
        if self._in_dispute.get(key.lineage):
            return []
        found = [
            each
            for each in workers
            if each.key.lineage == key.lineage and each.key.tool_inputs != key.tool_inputs
        ]
        for each in found:
            self._outdated.put(each.key.digest, True)
        return found

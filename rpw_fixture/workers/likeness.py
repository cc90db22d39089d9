"""How live workers compare with a key that none of them fits: the closest one, and the outdated ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rpw_fixture.support.memo import Memo
from rpw_fixture.workers.key import WorkerKey, differences
from rpw_fixture.workers.worker import Worker

#: Differences that one record tells.
_SHOWN_DIFFERENCES = 20
#: Keys of outdated tools that are remembered.
_MOST_KEYS = 4_096


def closest(workers: Sequence[Worker], key: WorkerKey) -> tuple[Worker, list[str]]:
    """Return the worker that is most like ``key``, and how it differs, in words.

    It is one with the same startup arguments, where there is one: another tool differs in everything,
    and an edit of this one would be lost in that. Then the fewest differences count, then the newest.

    Args:
        workers: at least one, oldest first.
        key: which none of them fits.
    """
    akin = [each for each in workers if each.key.startup_arguments == key.startup_arguments]
    found = [(each, differences(each.key.components, key.components)) for each in akin or workers]
    worker, told = min(reversed(found), key=lambda pair: len(pair[1]))
    if len(told) > _SHOWN_DIFFERENCES:
        told = [*told[:_SHOWN_DIFFERENCES], f"… and {len(told) - _SHOWN_DIFFERENCES} more"]
    return worker, told


class OutdatedTools:
    """Which workers hold a former version of a tool, and will hardly be asked again.

    A version is outdated once a worker of another one starts that differs in nothing but the content
    of its tool inputs. When a version comes back that was outdated, two clients have two versions of
    the tool: from then on both are kept.
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

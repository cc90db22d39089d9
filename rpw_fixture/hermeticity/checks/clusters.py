"""Which actions of a large suite exercise the same of a tool, and which stand for the others. Pure."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Sequence

from rpw_fixture.client.inputs import File
from rpw_fixture.hermeticity.suites.suite import SuiteAction

#: The beginning of an option, up to its value.
_OPTION = re.compile(r"-[^=\d]*")


def clusters(actions: Iterable[SuiteAction]) -> list[list[SuiteAction]]:
    """Return the actions in groups that exercise the same; in each, the suite's order is kept."""
    found: dict[object, list[SuiteAction]] = {}
    for each in actions:
        found.setdefault(_exercised(each), []).append(each)
    return list(found.values())


@functools.lru_cache(maxsize=64)
def representatives(
    actions: tuple[SuiteAction, ...], count: int, *, of_each: int
) -> tuple[SuiteAction, ...]:
    """Return up to ``count`` actions in their order, up to ``of_each`` of each cluster.

    Small clusters are rare, so one action of each comes before a second one of any.
    """
    spread = [_spread(each, of_each) for each in sorted(clusters(actions), key=len)]
    turns = [each[turn] for turn in range(of_each) for each in spread if turn < len(each)]
    chosen = set(turns[:count])
    return tuple(each for each in actions if each in chosen)


def _spread(cluster: Sequence[SuiteAction], count: int) -> list[SuiteAction]:
    """Return up to ``count`` actions of a cluster, its first one first, spread evenly."""
    count = min(count, len(cluster))
    return [cluster[place * len(cluster) // count] for place in range(count)]


def _exercised(action: SuiteAction) -> object:
    """Return what makes a tool take another way: options, the expected end, kinds and sizes of files."""
    contents = [each.content for each in action.inputs.values() if isinstance(each, File)]
    return (
        frozenset(_OPTION.findall(" ".join(each for each in action.arguments if each[:1] == "-"))),
        action.exit_code,
        frozenset(_kind(each) for each in action.inputs),
        frozenset(_kind(each) for each in action.outputs),
        len(contents).bit_length(),
        sum(map(len, contents)).bit_length() // 4,
    )


def _kind(path: str) -> str:
    return os.path.splitext(path)[1]

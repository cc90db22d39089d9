"""The figures of a run, computed from its rows."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from typing import Any

Row = dict[str, Any]

#: How an action ran, with the words that pages use.
WARM, COLD, ONE_SHOT, CACHE, OPEN = "warm", "cold", "one-shot", "cache", "unfinished"


def kind_of(action: Row) -> str:
    """Return how an action ran: warm, cold, one-shot, cache or unfinished."""
    if action["end"] is None:
        return OPEN
    if action.get("cached") or action["mode"] == CACHE:
        return CACHE
    if action["mode"] == ONE_SHOT:
        return ONE_SHOT
    return WARM if action.get("reused") else COLD


def has_failed(action: Row) -> bool:
    """Return whether an action ended with an error."""
    return action["end"] is not None and (
        action.get("status", "OK") != "OK" or action.get("exit") not in (0, None)
    )


def summarized(actions: Collection[Row], workers: Collection[Row]) -> Row:
    """Return the figures that an overview shows."""
    kinds = Counter(kind_of(each) for each in actions)
    on_workers = kinds[WARM] + kinds[COLD]
    return {
        "actions": len(actions),
        "failed": sum(map(has_failed, actions)),
        "workers": len(workers),
        "kinds": dict(kinds),
        "reuse": round(kinds[WARM] / on_workers, 4) if on_workers else None,
        "ways": _counted((each["mode"] or OPEN, each["reason"]) for each in actions),
        "mnemonics": _by_mnemonic(actions),
        "ends": _counted((each["reason"],) for each in workers if each["end"] is not None),
    }


def _counted(groups: Iterable[tuple[str, ...]]) -> list[list[Any]]:
    """Return each group with its count, most frequent first."""
    return [[*group, count] for group, count in Counter(groups).most_common()]


def _by_mnemonic(actions: Iterable[Row]) -> list[Row]:
    """Return the number and the median seconds of each kind, by mnemonic."""
    times: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for each in actions:
        if each["end"] is not None:
            times[each["mnemonic"]][kind_of(each)].append(each["seconds"])
    return [
        {
            "mnemonic": name,
            "kinds": {
                kind: {"count": len(values), "median": round(statistics.median(values), 6)}
                for kind, values in kinds.items()
            },
        }
        for name, kinds in sorted(times.items())
    ]

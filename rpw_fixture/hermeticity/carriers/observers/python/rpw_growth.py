"""What grows in this process: containers by name, objects by type, memory by the allocating line."""

from __future__ import annotations

import collections
import gc
import tracemalloc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SHOWN = 10
_FEWEST = 5


class GrowthSinceMark:
    """The sizes of everything that can be named, and the memory by line, at the mark.

    Args:
        state: the state at the mark.
    """

    def __init__(self, state: Any) -> None:
        self._state = state
        self._types = _types()
        if not tracemalloc.is_tracing():
            tracemalloc.start(1)
        self._memory = tracemalloc.get_traced_memory()[0]
        self._lines = _lines(state)

    def growing(self) -> dict[str, Any]:
        """Return what has grown, and the part of the growth that is freed when it is put back."""
        found = []
        changes = self._state.changes({})["changes"]
        sizes = _sizes(self._state)
        lines = _lines(self._state)
        grown = []
        for each in changes:
            before, after = sizes.get(each["id"], (0, 0))
            if after - before >= _FEWEST:
                grown.append(each["id"])
                found.append(
                    {
                        "kind": each["kind"],
                        "name": each["name"],
                        "place": each["place"],
                        "before": before,
                        "after": after,
                        "unit": sizes[f"unit of {each['id']}"],
                    }
                )
        total = tracemalloc.get_traced_memory()[0] - self._memory
        found.extend(_grown_lines(self._lines, lines))
        found.extend(_grown_types(self._types))
        freed = self._freed(grown, total)
        return {"growing": found[: 3 * _SHOWN], "freed": freed, "bytes": total}

    def _freed(self, ids: list[str], total: int) -> float:
        if not ids or total <= 0:
            return 0.0
        before = tracemalloc.get_traced_memory()[0]
        self._state.restore(ids)
        gc.collect()
        return max(0.0, min(1.0, (before - tracemalloc.get_traced_memory()[0]) / total))


def _sizes(state: Any) -> dict[str, Any]:
    """Return the old and the new size of every changed container, by id."""
    found: dict[str, Any] = {}
    for identity, change in state.found.items():
        contents: Any = getattr(change.node, "contents", None)
        if change.key is None and hasattr(contents, "size"):
            found[identity] = contents.size, len(contents.value)
            found[f"unit of {identity}"] = "entries"
        elif change.key is not None and contents is not None:
            before = contents.saved.get(change.key)
            after = contents.read().get(change.key)
            if type(before) in {str, bytes} and type(after) is type(before):
                found[identity] = len(before), len(after)
                found[f"unit of {identity}"] = "characters" if type(after) is str else "bytes"
        elif type(getattr(contents, "saved", None)) is int:
            found[identity] = contents.saved, contents._read_state(contents.value)
            found[f"unit of {identity}"] = "results"
    return found


def _lines(state: Any) -> dict[tuple[str, int], int]:
    """Return the allocated bytes by line of the tool's files."""
    found: dict[tuple[str, int], int] = collections.Counter()
    for each in tracemalloc.take_snapshot().statistics("lineno"):
        frame = each.traceback[0]
        path = state.names.relative(frame.filename)
        if path is not None:
            found[path, frame.lineno] += each.size
    return found


def _grown_lines(before: dict[Any, int], after: dict[Any, int]) -> list[dict[str, Any]]:
    grown = sorted(after, key=lambda each: before.get(each, 0) - after[each])[:_SHOWN]
    return [
        {
            "kind": "allocation",
            "name": "memory allocated at this line",
            "place": f"{path}:{line}",
            "before": before.get((path, line), 0),
            "after": after[path, line],
            "unit": "bytes",
        }
        for path, line in grown
        if after[path, line] - before.get((path, line), 0) > 4096
    ]


def _types() -> collections.Counter[str]:
    return collections.Counter(
        f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects()
    )


def _grown_types(before: collections.Counter[str]) -> list[dict[str, Any]]:
    found = [(count - before[name], name, count) for name, count in _types().items()]
    return [
        {
            "kind": "objects",
            "name": name.replace("builtins.", ""),
            "place": "",
            "before": before[name],
            "after": count,
            "unit": "objects",
        }
        for grown, name, count in sorted(found, reverse=True)[:_SHOWN]
        if grown >= _FEWEST
    ]

"""What grows in this process: containers by name, objects by type, memory by the allocating line."""

from __future__ import annotations

import collections
import gc
import re
import sys
import tracemalloc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rpw_fixture.hermeticity.carriers.observers.python import rpw_text

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
        self._threads = _threads(state)
        if not tracemalloc.is_tracing():
            tracemalloc.start(1)
        self._memory = tracemalloc.get_traced_memory()[0]
        self._lines = _lines(state)

    def growing(self) -> dict[str, Any]:
        """Return what has grown, and what of that is freed when it is put back."""
        changes = {each["id"]: each for each in self._state.changes({})["changes"]}
        sizes = _sizes(self._state)
        grown = {name: pair for name, pair in sizes.items() if pair[1] - pair[0] >= _FEWEST}
        lines = _grown_lines(self._lines, _lines(self._state))
        types = _grown_types(self._types)
        threads = _grown_threads(self._threads, _threads(self._state))
        freed = self._freed(list(grown))
        found = [
            {
                **{each: changes[name][each] for each in ("kind", "name", "place")},
                "before": before,
                "after": after,
                "unit": unit,
                "freed": freed[name],
            }
            for name, (before, after, unit) in grown.items()
        ]
        found.sort(key=lambda each: (-each["freed"], each["before"] - each["after"]))
        return {"growing": [*found[:_SHOWN], *lines, *threads, *types]}

    def _freed(self, ids: list[str]) -> dict[str, float]:
        """Put containers back one after the other; return the part of the growth that each frees."""
        total = tracemalloc.get_traced_memory()[0] - self._memory
        found = {}
        for each in ids:
            before = tracemalloc.get_traced_memory()[0]
            self._state.restore([each])
            gc.collect()
            part = before - tracemalloc.get_traced_memory()[0]
            found[each] = max(0.0, min(1.0, part / total)) if total > 0 else 0.0
        return found


def _sizes(state: Any) -> dict[str, tuple[int, int, str]]:
    """Return the old and the new size of what changed, and what it counts, by id."""
    found: dict[str, tuple[int, int, str]] = {}
    for identity, change in state.found.items():
        contents: Any = getattr(change.node, "contents", None)
        if change.key is None and hasattr(contents, "size"):
            found[identity] = contents.size, rpw_text.size(contents.value), "entries"
        elif change.key is None and type(getattr(contents, "saved", None)) is int:
            found[identity] = contents.saved, contents.read_state(), "results"
        elif change.key is not None and contents is not None:
            before = contents.saved.get(change.key)
            after = contents.read().get(change.key)
            if type(before) in {str, bytes} and type(after) is type(before):
                found[identity] = len(before), len(after), "characters"
        elif isinstance(getattr(contents, "saved", None), (bytes, bytearray)):
            found[identity] = len(contents.saved), len(contents.value), "bytes"
    return found


def _threads(state: Any) -> collections.Counter[tuple[str, str]]:
    """Return the number of threads by the outermost function of the tool that they run, or by name."""
    active = getattr(sys.modules.get("threading"), "_active", {})
    found: collections.Counter[tuple[str, str]] = collections.Counter()
    for ident, first in list(sys._current_frames().items()):
        frame: Any = first
        outermost = None
        while frame is not None:
            if state.names.is_inside(frame.f_code.co_filename):
                outermost = frame.f_code
            frame = frame.f_back
        if outermost is not None:
            path = state.names.relative(outermost.co_filename)
            found[outermost.co_name, f"{path}:{outermost.co_firstlineno}"] += 1
        elif ident in active:
            found[re.sub(r"\d+", "*", active[ident].name), ""] += 1
    return found


def _grown_threads(
    before: collections.Counter[tuple[str, str]], after: collections.Counter[tuple[str, str]]
) -> list[dict[str, Any]]:
    return [
        {
            "kind": "thread",
            "name": name,
            "place": place,
            "before": before[name, place],
            "after": count,
            "unit": "threads",
        }
        for (name, place), count in after.items()
        if count - before[name, place] >= _FEWEST
    ]


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

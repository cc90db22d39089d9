"""Which line changes a place, and what grows: as the observer of Python workers finds both."""

from __future__ import annotations

import collections
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.waiting import PATIENCE

from .test_observer_state import Tool

SOURCE = """\
names, counts, last, large = [], {}, None, set(range(501))
text, data = "", bytearray()
def work(name):
    global last, text
    names.append(name)
    helped = counts
    for _ in "ab":
        helped[name] = helped.get(name, 0) + 1
    last = name
    large.add(name)
    data.extend(b"xx")
    text += "characters"
    return name
def again(name):
    work(name)
    return name
def memory(kept):
    kept.append(bytearray(50_000))
"""


@pytest.fixture
def tool(tmp_path: Path) -> Iterator[Tool]:
    made = Tool(tmp_path)
    traced, threads = sys.gettrace(), threading.gettrace()
    was_tracing = tracemalloc.is_tracing()
    yield made
    sys.settrace(traced)
    threading.settrace(threads)  # type: ignore[arg-type]
    if tracemalloc.is_tracing() and not was_tracing:
        tracemalloc.stop()


def identity(name: str) -> str:
    return f"module global|tool|{name}"


def lines_of(tool: Tool, module: Any, *names: str) -> dict[str, str]:
    """The lines that change places while the tool works."""
    made = tool.parts["rpw_lines"].ChangingLines(tool.state, [identity(name) for name in names])
    sys.settrace(None)  # that of a debugger
    made.begin()
    module.again("one")
    found = made.end()
    assert (sys.gettrace(), threading.gettrace()) == (None, None)
    return {name: found.get(identity(name), "") for name in names}


def test_the_line_that_changed_a_place_last_is_found(tool: Tool) -> None:
    module = tool.load(SOURCE)
    tool.mark()
    found = lines_of(tool, module, "names", "counts", "last=", "large", "data", "text=", "absent")
    assert found == {
        "names": "tools/tool.py:5",
        "counts": "tools/tool.py:8",
        "last=": "tools/tool.py:9",
        "large": "tools/tool.py:10",
        "data": "tools/tool.py:11",
        "text=": "tools/tool.py:12",
        "absent": "",
    }


def test_what_no_line_of_the_tool_changes_has_none(tool: Tool) -> None:
    module = tool.load("names = []\ndef again(name): return name\n")
    tool.mark()
    module.names.append("before any line")
    made = tool.parts["rpw_lines"].ChangingLines(tool.state, [identity("names")])
    sys.settrace(None)
    made.begin()
    module.names.append("by no line of the tool")
    assert made.end() == {}


def test_nothing_is_traced_for_no_place_or_under_a_debugger(tool: Tool) -> None:
    tool.load(SOURCE)
    tool.mark()
    lines = tool.parts["rpw_lines"]
    sys.settrace(None)
    lines.ChangingLines(tool.state, []).begin()
    assert sys.gettrace() is None

    def debugger(*_: object) -> None: ...

    sys.settrace(debugger)
    lines.ChangingLines(tool.state, [identity("names")]).begin()
    found = sys.gettrace()
    sys.settrace(None)
    assert found is debugger


def test_threads_of_the_tool_are_traced_too(tool: Tool) -> None:
    module = tool.load(SOURCE)
    tool.mark()
    made = tool.parts["rpw_lines"].ChangingLines(tool.state, [identity("names")])
    sys.settrace(None)
    made.begin()
    thread = threading.Thread(target=module.work, args=("one",))
    thread.start()
    thread.join(PATIENCE)
    assert made.end() == {identity("names"): "tools/tool.py:5"}


def test_tracing_ends_after_some_processor_time(tool: Tool) -> None:
    module = tool.load(SOURCE)
    tool.mark()
    lines = tool.parts["rpw_lines"]
    times = iter([100.0, *[102.0] * 4, *[102.1] * 100])
    lines.time = SimpleNamespace(thread_time=lambda: next(times))
    made = lines.ChangingLines(tool.state, [identity("names")])
    sys.settrace(None)
    made.begin()
    module.again("one")
    assert sys.gettrace() is None
    assert made.end() == {identity("names"): "tools/tool.py:5"}


def test_the_caller_s_line_counts_after_a_function_returned(tool: Tool) -> None:
    module = tool.load(
        "names = []\n"
        "class Late(list):\n"
        "    def __del__(self):\n"
        "        names.append(1)\n"
        "def inner(): return 5\n"
        "def again(name):\n"
        "    inner()\n"
        "    extend(name)\n"
        "    return name\n"
        "extend = names.extend\n"
    )
    tool.mark()
    assert lines_of(tool, module, "names") == {"names": "tools/tool.py:8"}


@pytest.mark.parametrize(("count", "differs"), [(500, True), (501, False)])
def test_entries_of_large_containers_are_not_compared(
    count: int, differs: bool, tool: Tool
) -> None:
    module = tool.load(f"many = [0] * {count}\n")
    tool.mark()
    (change,) = tool.state.changes_of({identity("many")}).values()
    look = tool.parts["rpw_lines"]._look
    before = look(change)
    module.many[0] = 1
    assert (look(change) != before) is differs
    module.many.append(1)
    assert look(change) != before
    change.node.contents.value = None
    assert look(change) is None


# --- growth ---


def growing(tool: Tool) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in tool.growth.growing()["growing"]}  # type: ignore[attr-defined]


@pytest.fixture
def grown(tool: Tool) -> Any:
    """A tool at its mark, as the check watches for growth."""
    source = (
        "import functools\n"
        "names, few, text, data = [1], [], '', bytearray(b'x')\n"
        "@functools.lru_cache\n"
        "def cached(number): return number\n"
        "kept = []\n"
    )
    module = tool.load(source + SOURCE[SOURCE.index("def memory") :])
    tool.mark()
    tool.growth = tool.parts["rpw_growth"].GrowthSinceMark(tool.state)  # type: ignore[attr-defined]
    return module


def test_sizes_of_what_grew_are_told_with_their_units(grown: Any, tool: Tool) -> None:
    grown.names.extend(range(5))
    grown.few.extend(range(4))
    grown.text = "five!"
    grown.data.extend(b"xxxxx")
    for number in range(5):
        grown.cached(number)
    found = growing(tool)
    shown = {
        name: (each["kind"], each["before"], each["after"], each["unit"], each["place"])
        for name, each in found.items()
        if each["kind"] == "module global"
    }
    assert shown == {
        "names": ("module global", 1, 6, "entries", "tools/tool.py:2"),
        "text": ("module global", 0, 5, "characters", "tools/tool.py:2"),
        "data": ("module global", 1, 6, "bytes", "tools/tool.py:2"),
        "cached": ("module global", 0, 5, "results", "tools/tool.py:4"),
    }
    assert grown.few == [0, 1, 2, 3]  # too few
    assert grown.names == [1]  # put back, to see what that frees


def test_what_is_freed_by_putting_it_back_is_measured(grown: Any, tool: Tool) -> None:
    for _ in range(20):
        grown.memory(grown.names)
    grown.text = "shorter"
    found = growing(tool)
    assert next(iter(found)) == "names"
    assert 0.9 < found["names"]["freed"] <= 1
    assert found["text"]["freed"] < 0.1
    memory = found["memory allocated at this line"]
    assert (memory["kind"], memory["unit"]) == ("allocation", "bytes")
    assert memory["place"].startswith("tools/tool.py:")
    assert memory["after"] - memory["before"] > 900_000


@pytest.mark.parametrize(("grown", "expected"), [(4096, []), (4097, ["tools/tool.py:5"])])
def test_a_line_has_to_allocate_a_page(grown: int, expected: list[str], tool: Tool) -> None:
    growth = tool.parts["rpw_growth"]
    line = ("tools/tool.py", 5)
    for before in ({}, {line: 10}):
        found = growth._grown_lines(before, {line: before.get(line, 0) + grown, ("x", 1): 1})
        assert [each["place"] for each in found] == expected
        assert [(each["before"], each["after"]) for each in found] == [
            (before.get(line, 0), before.get(line, 0) + grown) for _ in expected
        ]
    many = {("x", number): 5000 + number for number in range(12)}
    shown = [each["place"] for each in growth._grown_lines({}, many)]
    assert shown == [f"x:{number}" for number in range(11, 1, -1)]


def test_types_of_which_more_objects_exist_are_counted(
    tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    growth = tool.parts["rpw_growth"]
    before = collections.Counter({"builtins.list": 3, "tool.Few": 1, "tool.Less": 9})
    after = collections.Counter({"builtins.list": 8, "tool.Few": 5, "tool.Less": 1, "tool.New": 6})
    monkeypatch.setattr(growth, "_types", lambda: after)
    assert growth._grown_types(before) == [
        {"kind": "objects", "name": "tool.New", "place": "", "before": 0, "after": 6}
        | {"unit": "objects"},
        {"kind": "objects", "name": "list", "place": "", "before": 3, "after": 8}
        | {"unit": "objects"},
    ]


def test_types_are_named_with_their_modules(tool: Tool) -> None:
    kept = [Tool.__new__(Tool) for _ in range(3)]
    for each in kept:
        each.__dict__["own"] = []
    assert tool.parts["rpw_growth"]._types()[f"{Tool.__module__}.Tool"] >= 3


def test_threads_are_counted_by_the_function_that_they_run(tool: Tool) -> None:
    growth = tool.parts["rpw_growth"]
    module = tool.load("def outer(wait):\n    inner(wait)\ndef inner(wait):\n    wait()\n")
    go = threading.Event()
    before = growth._threads(tool.state)
    threads = [threading.Thread(target=module.outer, args=(go.wait,)) for _ in range(3)]
    threads += [threading.Thread(target=go.wait, name=f"pool-{n}-worker") for n in range(2)]
    for each in threads:
        each.start()
    try:
        found = growth._threads(tool.state) - before
    finally:
        go.set()
        for each in threads:
            each.join(PATIENCE)
    assert found["outer", "tools/tool.py:1"] == 3
    assert found["pool-*-worker", ""] == 2


@pytest.mark.parametrize(("count", "is_told"), [(4, False), (5, True)])
def test_only_many_new_threads_are_told(count: int, is_told: bool, tool: Tool) -> None:
    key = ("outer", "tools/tool.py:1")
    before = collections.Counter({key: 2, ("other", ""): 7})
    after = collections.Counter({key: 2 + count, ("other", ""): 8})
    told = tool.parts["rpw_growth"]._grown_threads(before, after)
    expected = {"kind": "thread", "name": key[0], "place": key[1], "before": 2, "after": 2 + count}
    assert told == ([{**expected, "unit": "threads"}] if is_told else [])

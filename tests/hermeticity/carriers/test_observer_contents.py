"""What the observer of Python workers finds in an object: changes are noticed, shown, and taken back."""

from __future__ import annotations

import array
import collections
import contextvars
import ctypes
import functools
import io
import itertools
import mmap
import os
import random
import sqlite3
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .observer_parts import PARTS

contents, objects = PARTS["rpw_contents"], PARTS["rpw_objects"]
ABSENT = contents.ABSENT


class Loud(dict):  # type: ignore[type-arg]
    """A dict whose own methods must not be used."""

    def _refuse(self, *_: object) -> Any:
        raise AssertionError("a method of the class was called")

    __len__ = __setitem__ = clear = items = update = _refuse


class Odd(list):  # type: ignore[type-arg]
    """A list whose own methods must not be used."""

    def _refuse(self, *_: object) -> Any:
        raise AssertionError("a method of the class was called")

    __len__ = __setitem__ = clear = extend = _refuse


class OddSet(set):  # type: ignore[type-arg]
    """A set whose own methods must not be used."""

    def _refuse(self, *_: object) -> Any:
        raise AssertionError("a method of the class was called")

    __len__ = clear = update = _refuse


Setter = Callable[[Any], object]
CONTAINERS: dict[str, tuple[Callable[[], Any], Setter]] = {
    "list, appended": (lambda: [1, 2], lambda each: each.append(3)),
    "list, replaced": (lambda: [1, 2], lambda each: each.__setitem__(0, 5)),
    "list, another object": (lambda: [[]], lambda each: each.__setitem__(0, [])),
    "list, of another type": (lambda: [1], lambda each: each.__setitem__(0, True)),
    "list, emptied": (lambda: [1, 2], lambda each: each.clear()),
    "dict, added": (lambda: {"a": 1}, lambda each: each.update(b=2)),
    "dict, replaced": (lambda: {"a": 1}, lambda each: each.update(a=2)),
    "dict, another key": (lambda: {"a": 1}, lambda each: (each.clear(), each.update(b=1))),
    "dict, another order": (lambda: {"a": 1, "b": 1}, lambda each: each.update(a=each.pop("a"))),
    "dict, emptied": (lambda: {"a": 1}, lambda each: each.clear()),
    "ordered": (lambda: collections.OrderedDict(a=1), lambda each: each.update(b=2)),
    "ordered, moved": (
        lambda: collections.OrderedDict(a=1, b=1),
        lambda each: each.move_to_end("a"),
    ),
    "default dict": (lambda: collections.defaultdict(list), lambda each: each["x"]),
    "loud dict": (lambda: Loud(a=1), lambda each: dict.__setitem__(each, "b", 1)),
    "odd list": (lambda: Odd([1]), lambda each: list.append(each, 2)),
    "odd set": (lambda: OddSet({1}), lambda each: set.add(each, 2)),
    "set, added": (lambda: {1}, lambda each: each.add(2)),
    "set, replaced": (lambda: {1}, lambda each: (each.clear(), each.add(2))),
    "set, of another type": (lambda: {1}, lambda each: (each.clear(), each.add(True))),
    "set, another object": (lambda: {KEY}, lambda each: (each.clear(), each.add(OTHER))),
    "deque": (lambda: collections.deque([1, 2]), lambda each: each.rotate()),
    "deque, bounded": (lambda: collections.deque([1, 2], 2), lambda each: each.append(3)),
}
KEY, OTHER = object(), object()


def same(value: Any) -> Any:
    """Entries with their types and in their order; of a set in any."""
    if issubclass(type(value), dict):
        keys = dict.__iter__(value) if type(value) is Loud else iter(value)
        return [(key, id(dict.__getitem__(value, key))) for key in keys]
    order = sorted if issubclass(type(value), set) else list
    return order((id(each), type(each).__name__) for each in value.__iter__())


@pytest.mark.parametrize("case", CONTAINERS)
def test_a_container_that_changed_is_put_back(case: str) -> None:
    make, change = CONTAINERS[case]
    value = make()
    found = objects.of(value)
    assert type(found) is contents.Container
    before = same(value)
    assert not found.is_changed()
    change(value)
    assert found.is_changed()
    one, other = found.texts(lambda each: found.saved if each is value else None)
    if case not in {"list, another object", "set, another object"}:
        assert one != other
    found.restore()
    assert same(value) == before
    assert not found.is_changed()
    assert (found.can_restore, found.is_keyed) == (True, False)


@settings(max_examples=40)
@given(
    before=st.lists(st.integers(0, 3) | st.booleans()),
    after=st.lists(st.integers(0, 3) | st.booleans()),
    kind=st.sampled_from([list, collections.deque, set, dict]),
)
def test_any_content_is_put_back(before: list[Any], after: list[Any], kind: type) -> None:
    def filled(items: list[Any]) -> Any:
        return dict(enumerate(items)) if kind is dict else kind(items)

    value = filled(before)
    found = objects.of(value)
    old = same(value)
    value.clear()
    (value.extend if hasattr(value, "extend") else value.update)(filled(after))
    assert found.is_changed() is (same(value) != old)
    found.restore()
    assert same(value) == old


def test_equal_keys_of_a_set_in_another_order_are_no_change() -> None:
    value = {"a" * 50, "b" * 50, (1, 2)}
    found = contents.Container(value)
    kept = [*value]
    value.clear()
    value.update(reversed(kept))
    value.discard("a" * 50)
    value.add("".join(["a"] * 50))
    assert not found.is_changed()


def test_of_a_dict_both_keys_and_values_are_followed() -> None:
    key, inner = (1, 2), [3]
    value = {key: inner, "plain": 1, 5: "plain", KEY: 2}
    found = contents.Container(value)
    assert list(found.children()) == [
        ("[(1, 2)]", inner),
        (".keys()[0]", key),
        (".keys()[3]", KEY),
    ]
    assert list(contents.Container([1, inner, "x", key]).children()) == [
        ("[1]", inner),
        ("[3]", key),
    ]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers of three entries are large, and two entries are followed."""
    monkeypatch.setattr(contents, "_LARGE", 2)
    monkeypatch.setattr(contents, "_FOLLOWED", 2)


LARGE: dict[str, tuple[Callable[[], Any], Setter]] = {
    "list": (lambda: [[], [], []], lambda each: each.extend([[], []])),
    "dict": (lambda: {1: [], 2: [], 3: []}, lambda each: each.update({4: [], 5: []})),
    "ordered": (
        lambda: collections.OrderedDict({1: [], 2: [], 3: []}),
        lambda each: each.update({4: [], 5: []}),
    ),
}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("case", LARGE)
def test_what_is_added_to_a_large_container_is_taken_away(case: str) -> None:
    make, change = LARGE[case]
    value = make()
    found = contents.Container(value)
    assert found.is_large
    before = same(value)
    assert [label for label, _ in found.children()] == (
        ["[0]", "[1]"] if case == "list" else ["[1]", "[2]"]
    )
    value[1] = []
    assert not found.is_changed()  # that is not looked at
    before = same(value)
    change(value)
    assert found.is_changed()
    assert found.texts(None) == ("3 entries", "5 entries")
    found.restore()
    assert same(value) == before
    assert len([*value]) == 3


@pytest.mark.usefixtures("small")
def test_a_large_container_without_an_order_is_not_put_back() -> None:
    value = {1, 2, 3}
    found = contents.Container(value)
    value.add(4)
    with pytest.raises(ValueError, match="too large to be put back"):
        found.restore()
    assert value == {1, 2, 3, 4}
    assert not contents.Container({1, 2}).is_large


def test_fifty_thousand_entries_are_kept() -> None:
    assert contents._LARGE == 50_000
    assert contents.Container([0] * 50_000).saved is not None
    large = contents.Container([KEY] * 50_001)
    assert large.saved is None
    assert len(list(large.children())) == 5_000


# --- buffers ---


def memory_map() -> mmap.mmap:
    made = mmap.mmap(-1, 16)
    made.write(b"content")
    return made


BUFFERS: dict[str, tuple[Callable[[], Any], Setter]] = {
    "bytearray": (lambda: bytearray(b"abc"), lambda each: each.extend(b"d")),
    "bytearray, changed": (lambda: bytearray(b"abc"), lambda each: each.__setitem__(0, 5)),
    "array": (lambda: array.array("i", [1, 2]), lambda each: each.__setitem__(0, 7)),
    "array, longer": (lambda: array.array("i", [1, 2]), lambda each: each.append(3)),
    "array, shorter": (lambda: array.array("d", [1, 2]), lambda each: each.pop()),
    "memory map": (memory_map, lambda each: each.__setitem__(0, 5)),
    "ctypes": (lambda: (ctypes.c_int * 2)(1, 2), lambda each: each.__setitem__(0, 5)),
}


@pytest.mark.parametrize("case", BUFFERS)
def test_bytes_that_changed_are_written_back(case: str) -> None:
    make, change = BUFFERS[case]
    value = make()
    kind = type(value)
    found = contents.Buffer(value) if kind.__module__ == __name__ else objects.of(value)
    if found is None:  # a class of ctypes is made where it is used
        found = contents.Buffer(value)
    before = bytes(value)
    assert not found.is_changed()
    change(value)
    assert found.is_changed()
    one, other = found.texts(None)
    assert one != other
    assert eval(one) == before  # how bytes are shown
    found.restore()
    assert bytes(value) == before
    assert not found.is_changed()
    assert (found.can_restore, found.is_keyed, list(found.children())) == (True, False, [])
    if isinstance(value, mmap.mmap):
        value.close()


def test_a_buffer_beyond_a_mebibyte_is_not_kept() -> None:
    assert contents.Buffer(bytearray(1 << 20)).can_restore
    large = bytearray((1 << 20) + 1)
    found = contents.Buffer(large)
    large[0] = 1
    assert not found.can_restore
    assert not found.is_changed()


@pytest.mark.parametrize("value", [b"bytes", "text", 5, object(), range(3), memoryview(b"ab"), len])
def test_what_can_not_change_has_no_contents(value: object) -> None:
    assert objects.of(value) is None


def test_only_what_can_be_written_is_a_buffer() -> None:
    assert objects._is_writable(bytearray(2))
    assert not objects._is_writable(b"ab")
    assert not objects._is_writable(memoryview(bytearray(4))[::2])
    assert not objects._is_writable("text")
    assert not objects._is_writable(object())


# --- objects of the standard library ---


@functools.lru_cache
def cached(number: int) -> int:
    return number


class Seeded(random.Random):
    """Has the name of a class of the tool's own."""


def advanced(count: int) -> Iterator[int]:
    made = iter([1, 2, 3])
    for _ in range(count):
        next(made)
    return made


OPAQUE: dict[str, tuple[Callable[[], Any], Setter, Callable[[Any], Any], bool]] = {
    "text in memory": (
        lambda: io.StringIO("abc"),
        lambda each: (each.seek(1), each.write("xyz")),
        lambda each: (each.getvalue(), each.tell()),
        True,
    ),
    "text in memory, read": (
        lambda: io.StringIO("abc"),
        lambda each: each.read(2),
        lambda each: (each.getvalue(), each.tell()),
        True,
    ),
    "bytes in memory": (
        lambda: io.BytesIO(b"abc"),
        lambda each: (each.read(), each.write(b"more")),
        lambda each: (each.getvalue(), each.tell()),
        True,
    ),
    "random": (lambda: random.Random(5), lambda each: each.random(), lambda r: r.getstate(), True),
    "iterator": (
        lambda: advanced(1),
        next,
        lambda each: each.__reduce__()[2],
        True,
    ),
}


@pytest.mark.parametrize("case", OPAQUE)
def test_an_object_of_the_library_gets_its_old_state(case: str) -> None:
    make, change, state, can_restore = OPAQUE[case]
    value = make()
    found = objects.of(value)
    before = state(value)
    assert not found.is_changed()
    change(value)
    assert found.is_changed()
    one, other = found.texts(None)
    assert one != other
    assert found.can_restore is can_restore
    found.restore()
    assert state(value) == before
    assert not found.is_changed()
    assert (found.is_keyed, list(found.children())) == (False, [])


def test_a_cache_is_cleared_whatever_it_had() -> None:
    cached.cache_clear()
    cached(1)
    found = objects.of(cached)
    cached(2)
    assert found.is_changed()
    assert found.texts(None) == ("a cache of 1 results", "a cache of 2 results")
    assert found.read_state() == 2
    found.restore()
    assert cached.cache_info().currsize == 0


def test_a_random_state_is_shown_by_its_position_and_content() -> None:
    one, other = random.Random(1), random.Random(2)
    shown = [objects._seed(each.getstate()) for each in (one, other)]
    assert all(each.startswith("a random state at 624 of ") for each in shown)
    assert shown[0] != shown[1]
    one.random()
    assert objects._seed(one.getstate()).startswith("a random state at 2 of ")


def test_a_class_of_the_tool_that_is_called_random_is_its_own() -> None:
    assert objects.of(type("Random", (), {"__module__": "tool"})()) is None
    assert objects.of(type("count", (), {"__module__": "tool"})()) is None
    assert objects.of(type("Connection", (), {"__module__": "tool"})()) is None


def test_a_position_in_an_open_file_is_put_back(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with path.open("rb") as file:
        found = objects.of(file)
        file.read(3)
        assert found.is_changed()
        found.restore()
        assert file.tell() == 0
    assert objects.of(file) is None  # closed
    read, write = os.pipe()
    with os.fdopen(read, "rb", buffering=0) as pipe, os.fdopen(write, "wb", buffering=0):
        assert objects.of(pipe) is None


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_streams_of_the_process_are_not_moved(number: int) -> None:
    class Stream(io.FileIO):
        def __init__(self) -> None: ...
        def fileno(self) -> int:
            return number

        def seekable(self) -> bool:
            return True

        @property
        def closed(self) -> bool:  # type: ignore[override]
            return False

        def tell(self) -> int:
            return 0

    assert objects._stream(Stream()) is None


def test_a_stream_that_can_not_be_asked_has_no_contents() -> None:
    for error in (OSError, ValueError, RuntimeError, AttributeError):
        stream = types.SimpleNamespace(closed=False, fileno=lambda error=error: _raise(error))
        assert objects._stream(stream) is None


def _raise(error: type[Exception]) -> int:
    raise error("no")


@pytest.mark.parametrize("start", [(), (5,), (5, 3)])
def test_a_counter_is_replaced_by_one_that_goes_on_from_the_old_number(
    start: tuple[int, ...],
) -> None:
    module = types.ModuleType("tool")
    module.counter = itertools.count(*start)  # type: ignore[attr-defined]
    expected = itertools.count(*start)
    next(module.counter)
    next(expected)
    found = objects.of(module.counter)
    assert not found.can_restore
    found.own(contents.ModuleGlobals(module), "counter")
    assert found.can_restore
    next(module.counter)
    assert found.is_changed()
    found.restore()
    assert [next(module.counter) for _ in range(3)] == [next(expected) for _ in range(3)]


def in_a_context(test: Callable[[], None]) -> Callable[[], None]:
    """Have context variables only as the test sets them."""

    def run() -> None:
        contextvars.Context().run(test)

    run.__name__ = test.__name__
    return run


@in_a_context
def test_a_context_variable_gets_its_old_value() -> None:
    variable: contextvars.ContextVar[Any] = contextvars.ContextVar("variable")
    inner = [1]
    variable.set(inner)
    found = objects.of(variable)
    assert list(found.children()) == [("", inner)]
    variable.set("poison")
    assert found.is_changed()
    assert found.texts(None) == ("[1]", "'poison'")
    found.restore()
    assert variable.get() is inner
    assert found.can_restore


@in_a_context
def test_a_context_variable_has_its_default_again() -> None:
    inner = [1]
    variable: contextvars.ContextVar[Any] = contextvars.ContextVar("variable", default=inner)
    found = objects.of(variable)
    assert not found.is_changed()
    assert variable.get() is inner
    assert list(found.children()) == [("", inner)]
    variable.set("poison")
    assert found.is_changed()
    found.restore()
    assert variable.get("absent") == "absent"  # it is not set any longer
    assert found.can_restore


@in_a_context
def test_a_context_variable_without_any_value_stays_so_and_can_not_be_put_back() -> None:
    variable: contextvars.ContextVar[Any] = contextvars.ContextVar("variable")
    found = objects.of(variable)
    assert variable.get("absent") == "absent"
    assert not found.is_changed()
    variable.set("poison")
    assert found.is_changed()
    assert found.texts(None) == ("absent", "'poison'")
    assert not found.can_restore


def test_a_database_in_memory_gets_its_rows_again(tmp_path: Path) -> None:
    with sqlite3.connect(":memory:") as database:
        database.execute("create table t (x)")
        database.execute("insert into t values (1)")
        database.commit()
        found = objects.of(database)
        assert not found.is_changed()
        assert (list(found.children()), found.is_keyed) == ([], False)
        database.execute("insert into t values (2)")
        assert found.is_changed()
        assert found.texts(None) == ("1 rows changed", "2 rows changed")
        assert found.can_restore
        found.restore()
        assert database.execute("select x from t").fetchall() == [(1,)]
    database.close()
    closed = types.SimpleNamespace(total_changes=0, execute=lambda _: _raise(OSError))
    assert not objects._Database(closed).can_restore
    on_disk = sqlite3.connect(tmp_path / "file")
    assert not objects.of(on_disk).can_restore
    on_disk.close()


def test_containers_that_an_unknown_object_holds_are_found() -> None:
    inner: list[int] = []
    held = functools.partial(len, inner)
    assert [each for each in objects.referents(held) if each is inner] == []  # they are in a tuple
    assert any(each is inner for each in objects.referents(types.SimpleNamespace(x=inner).__dict__))
    assert objects.referents(5) == []


# --- namespaces ---


class Plain:
    """Has attributes in its dict."""

    def __init__(self) -> None:
        self.kept, self.changed, self.gone = [1], 1, 2

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)


class Slotted:
    """Has attributes in slots, and one of them is not set."""

    __slots__ = ("changed", "gone", "kept", "new")

    def __init__(self) -> None:
        self.kept, self.changed, self.gone = [1], 1, 2


class Both(Slotted):
    """Has slots and a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.other = []  # type: ignore[var-annotated]


def spoil(value: Any) -> None:
    value.changed, value.new = 5, "poison"
    del value.gone


def spoiled_class() -> type:
    return type("Tool", (), {"kept": [1], "changed": 1, "gone": 2, "__doc__": "words"})


def spoiled_module() -> types.ModuleType:
    made = types.ModuleType("tool")
    made.__dict__.update(kept=[1], changed=1, gone=2)
    return made


def spoiled_function() -> Any:
    def made() -> None: ...

    made.__dict__.update(kept=[1], changed=1, gone=2)
    return made


NAMESPACES: dict[str, tuple[Callable[[], Any], str]] = {
    "instance": (Plain, "Attributes"),
    "slots": (Slotted, "Attributes"),
    "slots and dict": (Both, "Attributes"),
    "class": (spoiled_class, "ClassAttributes"),
    "module": (spoiled_module, "ModuleGlobals"),
    "function": (spoiled_function, "Namespace"),
}


@pytest.mark.parametrize("case", NAMESPACES)
def test_names_are_put_back_one_by_one(case: str) -> None:
    make, kind = NAMESPACES[case]
    value = make()
    found = getattr(contents, kind)(value)
    assert (found.is_keyed, found.can_restore, found.changed()) == (True, True, [])
    inner = dict(found.children())
    assert inner[".kept"] is value.kept
    assert ".changed" not in inner
    spoil(value)
    assert sorted(found.changed()) == ["changed", "gone", "new"]
    texts = {name: found.texts(name, lambda _: None) for name in found.changed()}
    assert texts == {
        "changed": ("1", "5"),
        "gone": ("2", "absent"),
        "new": ("absent", "'poison'"),
    }
    found.restore("new")
    assert not hasattr(value, "new")
    assert value.changed == 5
    found.restore("gone")
    found.restore("changed")
    assert (found.changed(), value.changed, value.gone) == ([], 1, 2)
    found.write("absent", ABSENT) if kind in {"Namespace", "ModuleGlobals"} else None


def test_what_python_makes_is_no_attribute_of_the_tool() -> None:
    assert set(contents.ClassAttributes(spoiled_class()).read()) == {"kept", "changed", "gone"}
    module = spoiled_module()
    module.__file__ = "x"
    assert set(contents.ModuleGlobals(module).read()) == {"kept", "changed", "gone"}
    value = Plain()
    value.__dict__[5] = "no name"  # type: ignore[index]
    assert set(contents.Attributes(value).read()) == {"kept", "changed", "gone"}


def test_variables_of_a_closure_are_put_back() -> None:
    kept, changed, later = [1], 1, None
    gone: int | None = 2

    def use() -> Any:
        return kept, changed, gone, later

    def lose() -> None:
        nonlocal gone
        del gone

    del later
    found = contents.Cells(use)
    assert found.saved == {"kept": [1], "changed": 1, "gone": 2}
    changed, later = 5, "poison"
    lose()
    assert sorted(found.changed()) == ["changed", "gone", "later"]
    for each in ("changed", "gone", "later"):
        found.restore(each)
    assert (found.changed(), changed, gone) == ([], 1, 2)
    with pytest.raises(NameError):
        use()
    later = 1
    assert use() == ([1], 1, 2, 1)


def test_local_variables_of_a_function_that_waits_are_put_back() -> None:
    def work() -> Iterator[Any]:
        seen, count = [], 0
        while True:
            new = None
            if count:
                new = count
            yield seen, count, new
            count += 1

    running = work()
    next(running)
    found = contents.Locals(running.gi_frame)  # type: ignore[attr-defined]
    next(running)
    assert found.changed() == ["count", "new"]
    found.restore("count")
    assert next(running)[1] == 1
    found.write("seen", ABSENT)
    found.write("unknown", ABSENT)
    assert next(running)[0] is None


def test_dicts_and_slots_are_read_without_code_of_the_class() -> None:
    class Loud:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(f"asked for {name}")

    assert contents.dict_of(Loud()) == {}
    assert contents.dict_of(Slotted()) is None
    assert contents.dict_of(5) is None
    assert contents.dict_of(spoiled_class()) is None  # it is no dict
    assert [each.__name__ for each in contents.slots_of(Slotted)] == [*Slotted.__slots__]
    assert [each.__name__ for each in contents.slots_of(Both)] == [*Slotted.__slots__]
    assert contents.slots_of(type(sys)) == []
    assert contents.shown(ABSENT) == "absent"
    assert contents.shown([1]) == "[1]"

"""Values as the observer of Python workers shows and compares them."""

from __future__ import annotations

import collections
import functools
import json
import types
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .observer_parts import PARTS

text = PARTS["rpw_text"]


class Loud:
    """An object whose code must not be called."""

    def __repr__(self) -> str:
        raise AssertionError("asked for its text")

    def __eq__(self, other: object) -> bool:
        raise AssertionError("asked whether it is equal")

    __hash__ = object.__hash__

    def method(self) -> None: ...


class LoudDict(dict):  # type: ignore[type-arg]
    """A dict with methods of a different kind."""

    def __len__(self) -> int:
        raise AssertionError("asked for its length")

    def items(self) -> Any:
        raise AssertionError("asked for its items")


class LoudList(list):  # type: ignore[type-arg]
    """A list with methods of a different kind."""

    def __len__(self) -> int:
        raise AssertionError("asked for its length")

    def __iter__(self) -> Any:
        yield "what was there"


class LoudSet(set):  # type: ignore[type-arg]
    """A set with a length of a different kind."""

    def __len__(self) -> int:
        raise AssertionError("asked for its length")


class LoudModule(types.ModuleType):
    """A module that must not be asked for names."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"asked for {name}")


LOUD_MODULE = LoudModule("loud")
LARGE = 1 << 200
SHOWN = [
    (5, "5"),
    (-1.5, "-1.5"),
    (1j, "1j"),
    (True, "True"),
    (None, "None"),
    (..., "Ellipsis"),
    (LARGE - 1, None),
    (LARGE, "a large number"),
    (-LARGE, "a large number"),
    ("a", "'a'"),
    ("a" * 78, repr("a" * 78)),
    ("a" * 79, repr("a" * 79)[:79] + "…"),
    ("a" * 80, repr("a" * 80)[:79] + "…"),
    ("a" * 81, f"'{'a' * 30}'… 81 long"),
    (b"b" * 81, f"b'{'b' * 30}'… 81 long"),
    ([], "[]"),
    ((), "()"),
    ({}, "{}"),
    (set(), "set()"),
    (frozenset(), "frozenset({})"),
    ([1], "[1]"),
    ((1, "a"), "(1, 'a')"),
    ({1}, "{1}"),
    (frozenset({1}), "frozenset({1})"),
    ({"a": 1, "b": [2]}, "{'a': 1, 'b': [2]}"),
    ({(1, 2): 3}, "{(2 entries): 3}"),
    ({(1,): 3}, "{(1 entry): 3}"),
    ({(): 3}, "{(): 3}"),
    ([1, 2, 3, 4], "[1, 2, 3, 4]"),
    ([1, 2, 3, 4, 5], "[5 entries]"),
    ({1, 2, 3, 4, 5}, "{5 entries}"),
    ((1, 2, 3, 4, 5), "(5 entries)"),
    (dict.fromkeys(range(5)), "{5 entries}"),
    ([[[1]]], "[[[1 entry]]]"),
    ([[[]]], "[[[]]]"),
    ({1: {2: {3: 4}}}, "{1: {2: {1 entry}}}"),
    (collections.OrderedDict(a=1), "OrderedDict({'a': 1})"),
    (collections.deque([1]), "deque({1})"),
    (LoudDict(a=1), "LoudDict({'a': 1})"),
    (LoudList([1]), "LoudList({1})"),
    (Loud, "<class Loud>"),
    (Loud.method, "<function Loud.method>"),
    (len, "<function len>"),
    (Loud(), "<Loud>"),
    (Loud().method, "<function Loud.method>"),
    (functools.partial(len), "<partial>"),
    (json, "<module json>"),
    (LOUD_MODULE, "<module loud>"),
    (range(3), "<range>"),
    ([Loud()], "[<Loud>]"),
]


@pytest.mark.parametrize("number", range(len(SHOWN)))
def test_a_value_is_shown_in_a_short_form_without_its_code(number: int) -> None:
    value, expected = SHOWN[number]
    assert text.short(value) == (repr(value) if expected is None else expected)


@pytest.mark.parametrize(
    ("depth", "expected"), [(0, "[1 entry]"), (1, "[[1 entry]]"), (2, "[[[]]]")]
)
def test_containers_are_opened_to_a_depth(depth: int, expected: str) -> None:
    assert text.short([[[]]], depth=depth) == expected


def test_containers_are_shown_with_the_entries_that_they_had() -> None:
    inner, outer = [1, 2], {"a": None}
    outer["a"] = inner  # type: ignore[assignment]
    old = {id(inner): [1], id(outer): [("a", inner)]}
    assert text.short(outer, lambda each: old.get(id(each))) == "{'a': [1]}"
    assert text.short(outer, lambda each: [] if each is inner else None) == "{'a': []}"
    assert text.short(outer) == "{'a': [1, 2]}"


ENTRIES = [
    ({"a": 1}, [("a", 1)]),
    (LoudDict(a=1), [("a", 1)]),
    ([1, 1], [1, 1]),
    (LoudList([1]), [1]),
    ((1,), [1]),
    ({1}, [1]),
    (frozenset({1}), [1]),
    (collections.deque([1, 2]), [1, 2]),
    ("ab", None),
    (b"ab", None),
    (range(2), None),
    (Loud(), None),
    (5, None),
]


@pytest.mark.parametrize("number", range(len(ENTRIES)))
def test_entries_are_read_past_the_methods_of_a_class(number: int) -> None:
    value, expected = ENTRIES[number]
    assert text.entries(value) == expected
    if expected is not None:
        assert text.size(value) == len(expected)


def test_a_class_that_is_only_called_deque_is_no_container() -> None:
    assert text.entries(type("deque", (), {})()) is None
    assert text.entries(type("other", (), {"__module__": "collections"})()) is None


def test_a_size_is_read_past_the_class() -> None:
    assert text.size(LoudSet({1, 2, 3})) == 3
    assert text.size(LoudDict(a=1)) == 1


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (1, 1, True),
        (1, 2, False),
        (1, True, False),
        (1, 1.0, False),
        ("a" * 300, "".join(["a"] * 300), True),
        (b"a", b"b", False),
        (None, None, True),
        ([], [], False),
        ((1, [2]), (1, [2]), False),
        (Loud(), Loud(), False),
        (float("nan"), float("nan"), False),
    ],
)
def test_values_are_the_same_when_they_are_one_or_plain_and_equal(
    one: Any, other: Any, expected: bool
) -> None:
    assert text.is_same(one, other) is expected
    assert text.is_same(one, one)


@pytest.mark.parametrize("value", [1, 1.0, 1j, True, None, ..., "", b""])
def test_what_has_no_parts_is_plain(value: Any) -> None:
    assert text.is_plain(value) is True


@pytest.mark.parametrize("value", [(), [], {}, Loud(), type("Text", (str,), {})(), bytearray()])
def test_what_may_have_parts_is_not_plain(value: Any) -> None:
    assert text.is_plain(value) is False


def test_a_module_is_known_without_asking_it() -> None:
    assert text.is_module(LOUD_MODULE)
    assert not text.is_module(Loud())
    assert text.names_of(LOUD_MODULE)["__name__"] == "loud"
    nameless = types.ModuleType("x")
    del nameless.__name__
    assert text.short(nameless) == "<module ?>"


CHANGES = [
    ([], [1, 2, 3, 4], list, None),
    ([1, 2, 3, 4], [], list, None),
    ([1, 2, 3, 4], [1, 2, 3, 4, 500], list, ("[4 entries]", "[5 entries, new 500]")),
    ([1, 2, 3, 4, 5], [1], list, ("[5 entries]", "[1 entry]")),
    ([1], [1, 2, 3, 4, 5], set, ("{1 entry}", "{5 entries, new 2}")),
    ([1, 2, 3, 4, 5], [], set, ("{5 entries}", "{0 entries}")),
]


@pytest.mark.parametrize(("before", "after", "kind", "expected"), CHANGES)
def test_the_change_of_a_large_container_is_its_sizes_and_what_is_new(
    before: list[Any], after: list[Any], kind: type, expected: tuple[str, str] | None
) -> None:
    assert text.change(before, after, False, kind) == expected


def test_the_change_of_a_large_dict_is_its_sizes_and_the_first_new_pair() -> None:
    keys = [f"key {number}" for number in range(6)]
    pairs = [(key, "v") for key in keys]
    assert text.change(pairs[:4], pairs, True, dict) == (
        "{4 entries}",
        "{6 entries, new 'key 4': 'v'}",
    )
    long = [("k" * 60, "v" * 60), *pairs]
    (_, after) = text.change(pairs, long, True, dict)
    assert after == f"{{7 entries, new '{'k' * 29}: '{'v' * 29}}}"
    (_, after) = text.change(keys, [*keys, "k" * 60], False, list)
    assert after == f"[7 entries, new '{'k' * 49}]"


@settings(max_examples=25)
@given(
    value=st.recursive(
        st.none() | st.integers() | st.text() | st.binary(),
        lambda each: st.lists(each) | st.dictionaries(st.integers(), each) | st.tuples(each, each),
    )
)
def test_no_text_is_longer_than_a_line(value: Any) -> None:
    shown = text.short(value)
    assert 0 < len(shown) <= 80
    assert text.short(value) == shown

"""Where the observer of Python workers says that something is defined."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from .observer_parts import PARTS

names = PARTS["rpw_names"]

SOURCE = """\
import os, json as parser
from a.b import c, d as other
import x.y
LIMIT = 5
(one, two) = 1, 2
def work(request, *rest, count=0, **more):
    seen = []
    for each in rest:
        late = each
    def inner(value):
        nonlocal seen
        hidden = 1
        return lambda shadow: shadow
    return inner
class Tool:
    cache = {}
    typed: int = 3
    def __init__(self):
        self.state = 1
        self.typed_state: int = 2
        self.count += 1
    class Inner:
        deep = 1
        def method(self):
            self.deepest = 1
async def later():
    waited = 1
if LIMIT:
    conditional = 1
def work():
    second = 2
work.memory = []
if (walrus := 1): pass
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a tool, behind a link, and something beside it."""
    real = tmp_path / "real"
    (real / "tools").mkdir(parents=True)
    (real / "tools/worker.py").write_text(SOURCE)
    (real / "tools/broken.py").write_text("def (:\n")
    (real / "tools/deep.py").write_text("x = " + "(" * 5000 + ")" * 5000 + "\n")
    (real / "tools/zeros.py").write_bytes(b"x = 1\0\n")
    (real / "tools/data.txt").write_text("LIMIT = 5\n")
    (tmp_path / "root").symlink_to(real)
    (tmp_path / "outside.py").write_text("LIMIT = 5\n")
    return tmp_path / "root"


@pytest.fixture
def found(root: Path) -> Any:
    return names.Definitions(str(root))


def test_a_file_of_the_tool_is_known_by_each_of_its_paths(root: Path, found: Any) -> None:
    paths = ["tools/worker.py", f"{root}/tools/worker.py", f"{root.resolve()}/tools/worker.py"]
    paths += [f"{root}/./tools/../tools/worker.py", "tools//worker.py"]
    for path in paths * 2:
        assert found.relative(path) == "tools/worker.py"
        assert found.is_inside(path)
    outside = [None, "", "<string>", "/usr/lib/os.py", f"{root}-other/file.py", "../outside.py"]
    for path in [*outside, str(root)] * 2:
        assert found.relative(path) is None
        assert not found.is_inside(path)


def test_text_is_shown_without_the_folder(root: Path, found: Any) -> None:
    text = f"{root}/a and {root.resolve()}/b/c and /elsewhere/d"
    assert found.shortened(text) == "a and b/c and /elsewhere/d"


def test_the_file_of_a_module_is_known_if_it_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    definitions = names.Definitions("/root")
    made = types.ModuleType("tool")
    for file, expected in (("/a/b.py", "/a/b.py"), (None, None), (Path("/a"), None)):
        made.__file__ = file  # type: ignore[assignment]
        monkeypatch.setitem(sys.modules, "tool", made)
        assert definitions.file_of("tool") == expected
    monkeypatch.setitem(sys.modules, "tool", object())  # type: ignore[arg-type]
    for name in ("tool", "absent", "", None, "sys"):
        assert definitions.file_of(name) is None
    assert definitions.file_of("os") == os.__file__


def test_names_that_a_file_imports_are_not_its_own(root: Path, found: Any) -> None:
    expected = {"os", "parser", "c", "other", "x"}
    assert found.imported("tools/worker.py") == expected
    assert found.imported(f"{root}/tools/worker.py") == expected
    for name in ("tools/broken.py", "tools/data.txt", "absent.py", "../outside.py", None):
        assert found.imported(name) == set()


PLACES = [
    ([], "LIMIT", 4),
    ([], "one", 5),
    ([], "two", 5),
    ([], "work", 6),
    ([], "Tool", 15),
    ([], "later", 26),
    ([], "conditional", 29),
    ([], "walrus", 33),
    ([], "seen", 7),  # nothing of that name stands at the top
    ([], "absent", None),
    ([], "", None),
    (["work"], "", 6),
    (["work"], "seen", 7),
    (["work"], "request", 6),
    (["work"], "rest", 6),
    (["work"], "more", 6),
    (["work"], "each", 8),
    (["work"], "late", 9),
    (["work"], "inner", 10),
    (["work"], "hidden", 12),
    (["work"], "LIMIT", 4),  # a global of the file
    (["work"], "absent", 6),
    (["work", "inner"], "hidden", 12),
    (["work", "inner"], "value", 10),
    (["work", "inner"], "shadow", 13),
    (["work", "absent"], "seen", 7),
    (["absent"], "LIMIT", 4),
    (["absent"], "absent", None),
    (["absent"], "", None),
    (["Tool"], "cache", 16),
    (["Tool"], "typed", 17),
    (["Tool"], "Inner", 22),
    (["Tool", "Inner"], "deep", 23),
    (["Tool", "Inner"], "", 22),
    (["Tool", "__init__"], "self", 18),
    (["later"], "waited", 27),
]


@pytest.mark.parametrize(("scopes", "name", "line"), PLACES)
def test_a_definition_is_found_in_its_scope(
    scopes: list[str], name: str, line: int | None, found: Any
) -> None:
    expected = f"tools/worker.py:{line}" if line else ""
    assert found.place("tools/worker.py", scopes, name) == expected


@pytest.mark.parametrize(
    ("scopes", "name", "line"),
    [
        (["Tool"], "state", 19),
        (["Tool"], "typed_state", 20),
        (["Tool"], "count", 21),
        (["Tool"], "cache", 16),
        (["Tool"], "typed", 17),
        (["Tool"], "deep", 23),
        (["Tool"], "absent", 15),
        (["Tool", "Inner"], "deepest", 25),
        (["Tool", "Inner"], "state", 22),
        (["Absent"], "state", None),
        (["Absent", "Inner"], "deep", None),
        (["Tool", "Absent"], "deep", None),
    ],
)
def test_an_attribute_is_found_where_its_class_sets_it(
    scopes: list[str], name: str, line: int | None, found: Any
) -> None:
    expected = f"tools/worker.py:{line}" if line else ""
    assert found.attribute("tools/worker.py", scopes, name) == expected


@pytest.mark.parametrize(
    "path",
    [None, "", "absent.py", "tools/broken.py", "tools/deep.py", "tools/zeros.py", "tools/data.txt"],
)
def test_of_a_file_that_can_not_be_read_nothing_is_said(path: str | None, found: Any) -> None:
    assert found.place(path, [], "LIMIT") == ""
    assert found.place(path, [], "") == ""
    assert found.attribute(path, ["Tool"], "state") == ""
    assert found.imported(path) == set()


def test_a_file_is_read_once(root: Path, found: Any) -> None:
    assert found.place("tools/worker.py", [], "LIMIT")
    assert not found.place("tools/broken.py", [], "LIMIT")
    for name in ("worker", "broken"):
        (root / f"tools/{name}.py").write_text("\nLIMIT = 5\n")
    assert found.place("tools/worker.py", [], "LIMIT") == "tools/worker.py:4"
    assert not found.place("tools/broken.py", [], "LIMIT")


def test_a_file_beyond_a_mebibyte_is_read_in_part(root: Path, found: Any) -> None:
    line = "# 34567890123456789012345678901\n"
    assert len(line) == 32
    text = "a = 1\n" + line * ((1 << 15) - 1)
    (root / "large.py").write_text(text + "bcd = 12\n" + line + "x = 1\n")
    assert found.place("large.py", [], "a") == "large.py:1"
    assert found.place("large.py", [], "bcd") == f"large.py:{1 + (1 << 15)}"
    assert found.place("large.py", [], "x") == ""

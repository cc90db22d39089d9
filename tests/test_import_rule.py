"""Packages import only packages below them, and modules form no circle.

Every import counts: at the top of a module, inside a function, and for type checkers only.
`docs/architecture.md` has the same rule in words.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "rpw_fixture"

#: From top to bottom. A package imports those of later rows, never one of the same row.
ROWS = (
    ("__main__",),
    ("pytest_plugin",),
    ("cli", "plugin"),
    ("server",),
    ("report",),
    ("summary",),
    ("testing",),
    ("hermeticity", "services"),
    ("execution",),
    ("workers", "launching"),
    ("config",),
    ("client", "storage", "faults"),
    ("wire", "processes"),
    ("events",),
    ("support",),
    ("errors", "_version"),
)
#: The package's `__init__` loads each public name from where it is defined, when it is asked for.
LAZY = "__init__"
#: Inside `hermeticity` a package imports only those to its right.
HERMETICITY = ("", "carriers", "checks", "findings", "trials", "suites")


def modules() -> dict[str, Path]:
    """All modules by their dotted names."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in PACKAGE.rglob("*.py")
        if "sample_workers" not in path.parts
    }


MODULES = modules()


@functools.cache
def imports(name: str) -> tuple[str, ...]:
    """Every module of the package that a module imports."""
    return tuple(_imports(name))


def _imports(name: str) -> Iterator[str]:
    tree = ast.parse(MODULES[name].read_text())
    package = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            parent = package if node.level else ""
            home = ".".join(each for each in (parent, node.module) if each)
            for each in node.names:
                full = f"{home}.{each.name}"
                if full in MODULES:
                    yield full
                elif home in MODULES:
                    yield home


def room(name: str) -> str:
    """The first part below the package."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else LAZY


def row(name: str) -> int:
    return next(number for number, rooms in enumerate(ROWS) if room(name) in rooms)


def column(name: str) -> int:
    parts = name.split(".")
    return HERMETICITY.index(parts[2] if len(parts) > 2 and parts[2] in HERMETICITY else "")


def test_every_module_stands_in_a_row() -> None:
    known = {each for rooms in ROWS for each in rooms} | {LAZY}
    assert {room(name) for name in MODULES} == known


def test_imports_go_down() -> None:
    upward_or_sideways = [
        f"{name} imports {each}"
        for name in sorted(set(MODULES) - {"rpw_fixture"})
        for each in imports(name)
        if room(each) != room(name) and room(each) != LAZY and row(each) <= row(name)
    ]
    assert upward_or_sideways == []


def test_hermeticity_imports_to_the_right() -> None:
    to_the_left = [
        f"{name} imports {each}"
        for name in sorted(MODULES)
        for each in imports(name)
        if room(name) == room(each) == "hermeticity" and column(each) < column(name)
    ]
    assert to_the_left == []


def test_the_architecture_page_states_this_rule() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    block = page.split("<!-- import rule -->\n```\n")[1].split("```")[0]
    assert block == "".join(f"{' | '.join(rooms)}\n" for rooms in ROWS)


def test_the_architecture_page_names_modules_that_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    named = set(re.findall(r"`([\w/]+\.py)`", page)) - {"tests/test_import_rule.py"}
    known = [str(path.relative_to(PACKAGE)) for path in MODULES.values()]
    assert named
    assert not {
        each
        for each in named
        if not any(path.endswith(each.removeprefix("rpw_fixture/")) for path in known)
    }


def test_modules_form_no_circle() -> None:
    # A package's `__init__` that only re-exports would close a circle with each of its modules.
    graph = {
        name: {each for each in imports(name) if not _is_package(each)}
        for name in MODULES
        if not _is_package(name)
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def _is_package(name: str) -> bool:
    return MODULES[name].name == "__init__.py"

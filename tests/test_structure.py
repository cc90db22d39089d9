"""The package stays readable: names that are not ambiguous, short functions, short modules."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "rpw_fixture"
#: Lines of a function, its signature included, its docstring and decorators not.
MOST_LINES_OF_A_FUNCTION = 41
MOST_LINES_OF_A_MODULE = 450

#: First words of docstrings that describe instead of saying what the function does.
NO_VERBS = frozenset(
    {"A", "An", "The", "This", "How", "What", "When", "Where", "Whether", "Which", "Who"}
)

MODULES = sorted(
    path for path in PACKAGE.rglob("*.py") if "sample_workers" not in path.relative_to(ROOT).parts
)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def class_names(tree: ast.AST) -> Iterator[str]:
    return (node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def is_property(function: Function) -> bool:
    return any("property" in ast.unparse(each) for each in function.decorator_list)


def length(function: Function) -> int:
    first = function.body[0]
    lines = (function.end_lineno or 0) - function.lineno + 1
    if ast.get_docstring(function, clean=False) is not None:
        lines -= (first.end_lineno or 0) - first.lineno + 1
    return lines


def place(path: Path, function: Function) -> str:
    return f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"


@functools.cache
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text("utf-8")) for path in MODULES}


@functools.cache
def all_functions() -> list[tuple[Path, Function]]:
    return [(path, each) for path, tree in trees().items() for each in functions(tree)]


def test_there_are_functions() -> None:
    assert len(all_functions()) > len(MODULES) > 0


def test_no_two_classes_have_the_same_name() -> None:
    homes: dict[str, list[str]] = {}
    for path, tree in trees().items():
        for name in class_names(tree):
            homes.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert homes
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


def test_functions_are_short() -> None:
    long = {
        place(path, each): length(each)
        for path, each in all_functions()
        if length(each) > MOST_LINES_OF_A_FUNCTION
    }
    assert long == {}


def test_modules_are_short() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in MODULES
    }
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES_OF_A_MODULE} == {}


def test_docstrings_of_functions_start_with_a_verb() -> None:
    # D401 of ruff knows the verbs in the wrong form; it lets most other words pass.
    docstrings = {
        place(path, each): ast.get_docstring(each) or ""
        for path, each in all_functions()
        if not is_property(each)
    }
    assert {
        name: text
        for name, text in docstrings.items()
        if text and (text.split()[0] in NO_VERBS or not text[0].isupper())
    } == {}


def test_a_docstring_does_not_count_as_lines_of_a_function() -> None:
    source = 'def f(\n    a,\n):\n    """One.\n\n    Two.\n    """\n    return a\n'
    assert [length(each) for each in functions(ast.parse(source))] == [4]


# --- dataclasses: values that nothing changes, without further attributes, made by names ---

#: Dataclasses that change: counters, and state of something that goes on.
CHANGING = frozenset(
    {
        "ActionProgress",
        "CheckContext",
        "DigestCount",
        "Experimenter",
        "Folder",
        "Inputs",
        "MethodCount",
        "Outputs",
        "Placed",
        "RunFolder",
        "Sandbox",
        "StatusReader",
        "Waiter",
        "WorkerReuse",
        "_Call",
        "_CheckRun",
        "_Descent",
        "_Draft",
        "_Folder",
        "_Known",
        "_Leaving",
        "_Node",
        "_Observer",
        "_Pending",
        "_Tree",
        "_TreeVisit",
    }
)
#: Dataclasses of few fields, which are made without names.
POSITIONAL = frozenset(
    {
        "Beneath",
        "Check",
        "CheckCode",
        "EmptyFolder",
        "Experimenter",
        "Fact",
        "File",
        "Folder",
        "Hooks",
        "OutputFile",
        "Place",
        "Placed",
        "Polluters",
        "Protocols",
        "SourcedRule",
        "StatusReader",
        "Symlink",
        "Trigger",
        "Waiter",
        "WantedReport",
        "WorkerReuse",
        "_Call",
        "_CheckRun",
        "_Descent",
        "_Draft",
        "_FilesBelow",
        "_Folder",
        "_Known",
        "_Leaving",
        "_Node",
        "_Observer",
        "_Option",
        "_Tree",
        "_TreeVisit",
    }
)
#: Dataclasses with attributes beside their fields: what is computed once.
OPEN = frozenset({"WorkerKey", "_Option"})


def dataclass_flags() -> Iterator[tuple[str, dict[str, object]]]:
    for tree in trees().values():
        for node in ast.walk(tree):
            for each in node.decorator_list if isinstance(node, ast.ClassDef) else ():
                if isinstance(each, ast.Call) and ast.unparse(each.func).endswith("dataclass"):
                    yield (
                        node.name,
                        {  # type: ignore[union-attr]
                            str(flag.arg): ast.literal_eval(flag.value) for flag in each.keywords
                        },
                    )


def test_dataclasses_are_frozen_slotted_and_made_by_names_unless_they_are_listed() -> None:
    found = dict(dataclass_flags())
    assert len(found) > 100
    for flag, others in (("frozen", CHANGING), ("kw_only", POSITIONAL), ("slots", OPEN)):
        assert {name for name, flags in found.items() if not flags.get(flag)} == others, flag
    assert all(flags.get(flag) is not True for flags in found.values() for flag in ("eq", "init"))


def test_assertions_hide_their_frames() -> None:
    """A failed assertion shows the line of the test, and not our code."""
    marks = [
        ast.unparse(node)
        for tree in trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__tracebackhide__"
    ]
    assert len(marks) > 20
    assert set(marks) == {"__tracebackhide__ = True"}

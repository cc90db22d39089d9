"""Texts that people read are in plain English: docstrings, comments, messages, pages.

The list holds words and turns that readers with another mother tongue stumbled over. It says what to
write instead; `docs/glossary.md` has the terms.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "rpw_fixture"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "sample_workers" not in path.parts)
#: All but workers by other authors, and this list.
TESTS = sorted(
    path
    for path in [ROOT / "conftest.py", *(ROOT / "tests").rglob("*.py")]
    if "unseen" not in path.parts and path != Path(__file__)
)
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "sample_workers" / "README.md"]
)

#: A pattern, and what to write instead.
RIDDLES = {
    r"\btold\b": "said, reported, recorded, known",
    r"\bwhoever\b": "the one that, any client that",
    r"\bnobody who\b": "no client that",
    r"\bof (?:its|their|our|his) own\b": "own NAME, separate, private",
    r"\bmanieth\b": "N-th",
    r"\bso many(?:st)?\b": "at most N, N",
    r"\bmend(?:ed|s|ing)?\b": "fix",
    r"\bnone any more\b": "no longer one",
    r"\bfor ever\b": "without end, without a limit",
    r"\bin vain\b": "without effect",
}
PATTERN = re.compile("|".join(f"({pattern})" for pattern in RIDDLES), re.IGNORECASE)


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Every docstring, message and comment of a module, with its line."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
    yield from comments(path)


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Every docstring and comment of a module, with its line; tests have any text among their strings."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            yield getattr(node, "lineno", 1), ast.get_docstring(node) or ""
    yield from comments(path)


def comments(path: Path) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def riddles(text: str) -> list[str]:
    return [
        f"{match[0]!r} (write: {list(RIDDLES.values())[match.lastindex - 1]})"
        for match in PATTERN.finditer(text)
        if match.lastindex is not None
    ]


@pytest.mark.parametrize(
    ("paths", "parts"), [(MODULES, texts), (TESTS, prose)], ids=["modules", "tests"]
)
def test_code_is_in_plain_english(
    paths: Sequence[Path], parts: Callable[[Path], Iterator[tuple[int, str]]]
) -> None:
    assert paths
    found = [
        f"{path.relative_to(ROOT)}:{line}: {each}"
        for path in paths
        for line, text in parts(path)
        for each in riddles(text)
    ]
    assert found == []


def test_pages_are_in_plain_english() -> None:
    assert PAGES
    found = [
        f"{path.relative_to(ROOT)}:{number}: {each}"
        for path in PAGES
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        for each in riddles(line)
    ]
    assert found == []

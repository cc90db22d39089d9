"""Write tests/conformance/README.md: which test proves which point of the protocols.

Points and decisions stand in points.toml, tests name their points with the marker `point`. Run it
after a change of either; `--check` writes nothing and exits 1 when the page is stale, a point has
neither a test nor a decision, or a test names a point that does not exist.
"""

from __future__ import annotations

import argparse
import ast
import sys
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FOLDER: Final = Path(__file__).resolve().parent.parent / "tests" / "conformance"
LEVELS: Final = {"M": "MUST", "S": "SHOULD", "O": "observed", "D": "decided"}
HEADER: Final = """\
# Conformance

Every point of the remote execution protocols that this server was checked against, with the tests that
prove it over the wire. The client is made from the stubs of buildgrid-common, not from this project's
own messages. Everything runs twice: in the manner of API 2.0 with SHA-256 only, and of the newest
version with every digest function. The id of each test carries its points, so
`pytest tests/conformance -k p113` runs the tests of point 113.

*MUST* and *SHOULD* are the protocol's words, *observed* is what real clients rely on, and *decided* is
where the protocol is silent. `.ci/conformance_table.py` writes this page.

| point | level | about | tests and decisions |
|---|---|---|---|
"""


def tests_by_point(folder: Path) -> dict[int, list[tuple[str, str]]]:
    """The file and the name of each test, by the points in its decorators."""
    found: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for path in sorted(folder.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for point in _points(node):
                    found[point].append((path.name, node.name))
    return found


def problems(
    points: Mapping[int, Sequence[str]],
    decisions: Mapping[int, str],
    tests: Mapping[int, Sequence[tuple[str, str]]],
) -> Iterator[str]:
    """Yield what is missing or wrong in the table."""
    for point in points:
        if point not in decisions and point not in tests:
            yield f"point {point} has neither a test nor a decision"
    for point in sorted({*decisions, *tests} - set(points)):
        yield f"point {point} is not in points.toml"


def page(
    points: Mapping[int, Sequence[str]],
    decisions: Mapping[int, str],
    tests: Mapping[int, Sequence[tuple[str, str]]],
) -> str:
    """Return the whole text of the README."""
    rows = []
    for point, (level, about) in sorted(points.items()):
        told = [f"[{name}]({file})" for file, name in tests.get(point, ())]
        if point in decisions:
            told.insert(0, f"*{decisions[point]}*")
        rows.append(f"| {point} | {LEVELS[level]} | {about} | {'<br>'.join(told)} |")
    return HEADER + "\n".join(rows) + "\n"


def _points(function: ast.FunctionDef) -> Iterator[int]:
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.point":
            yield from (ast.literal_eval(argument) for argument in decorator.args)


def _numbered(table: Mapping[str, object]) -> dict[int, object]:
    return {int(number): value for number, value in table.items()}


def main() -> int:
    """Do what the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    options = parser.parse_args()
    told = tomllib.loads((options.folder / "points.toml").read_text(encoding="utf-8"))
    table = (
        _numbered(told["points"]),
        _numbered(told["decisions"]),
        tests_by_point(options.folder),
    )
    found = list(problems(*table))
    readme, text = options.folder / "README.md", page(*table)
    if not options.check:
        readme.write_text(text, encoding="utf-8")
    elif not readme.exists() or readme.read_text(encoding="utf-8") != text:
        found.append(f"{readme} is stale; run {Path(__file__).name}")
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

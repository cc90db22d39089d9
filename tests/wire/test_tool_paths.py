"""Which inputs are taken for tool inputs where nothing says so."""

from __future__ import annotations

import pytest

from rpw_fixture.wire.tool_paths import tool_paths

PATHS = (
    "BUILD",
    "src/a.txt",
    "tools/w",
    "tools/w.py",
    "tools/lib/x.py",
    "tools/w.runfiles/r",
    "x.jar",
)


@pytest.mark.parametrize(
    ("command", "globs", "expected"),
    [
        (
            ["python3", "tools/w.py"],
            [],
            {"tools/w", "tools/w.py", "tools/lib/x.py", "tools/w.runfiles/r"},
        ),
        (["java", "-jar", "x.jar"], [], {"x.jar"}),
        (["java", "--jar=./x.jar"], [], {"x.jar"}),
        (["python3", "elsewhere.py"], [], set()),
        (["python3", "tools/w.py"], ["tools/*"], {"tools/w", "tools/w.py"}),
        (["w", "--in=src/a.txt"], [], {"src/a.txt"}),
        ([], [], set()),
    ],
)
def test_the_guess(command: list[str], globs: list[str], expected: set[str]) -> None:
    assert tool_paths(command, PATHS, globs) == expected

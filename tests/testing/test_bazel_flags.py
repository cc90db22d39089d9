"""Where flags go in a command line of Bazel."""

from __future__ import annotations

import pytest

from rpw_fixture.testing.bazel_flags import bazelrc, is_bazel, marks_tool_inputs, with_flags


@pytest.mark.parametrize(
    ("version", "knows_flag", "marks"),
    [
        ("bazel 5.4.1", True, False),
        ("bazel 6.0.0", False, True),
        ("bazel 6.0.0-pre.1", False, True),
        ("bazel 10.1.0rc2", False, True),
        ("bazel no_version", True, True),
        ("bazel no_version", False, False),
    ],
)
def test_bazel_marks_tool_inputs_from_6_on(version: str, knows_flag: bool, marks: bool) -> None:
    assert marks_tool_inputs(version, lambda: knows_flag) is marks


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("bazel", True),
        ("/usr/bin/bazelisk", True),
        ("bazel-6.4.0", True),
        ("bazel.exe", True),
        ("bazelbuild", False),
        ("bazel/buck2", False),
    ],
)
def test_bazel_is_known_by_its_name(program: str, expected: bool) -> None:
    assert is_bazel(program) is expected


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("bazel build //a", "bazel build --x //a"),
        ("bazel test", "bazel test --x"),
        ("bazel run //a -- build", "bazel run --x //a -- build"),
        ("bazel --batch coverage //a", "bazel --batch coverage --x //a"),
        ("bazel --output_base build build //a", "bazel --output_base build build --x //a"),
        ("bazel --output_base=b build", "bazel --output_base=b build --x"),
        ("bazel query build", "bazel query build"),
        ("bazel", "bazel"),
        ("bazel --output_base", "bazel --output_base"),
        ("build test", "build test --x"),
    ],
)
def test_flags_go_behind_the_word_of_a_building_command(command: str, expected: str) -> None:
    assert with_flags(command.split(), ["--x"]) == expected.split()


def test_a_bazelrc_has_a_line_for_each_flag() -> None:
    assert bazelrc(["--a=1", "--b=c d"]) == "build --a=1\nbuild '--b=c d'\n"

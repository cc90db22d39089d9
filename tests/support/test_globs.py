from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpw_fixture.support.globs import matcher, may_match_below, names_exactly


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("tools/worker.py", "tools/worker.py"),
        ("./tools/worker.py", "tools/worker.py"),
        ("tools/*", "tools/worker.py"),
        ("tools/**", "tools/a/b/c.py"),
        ("**", "a/b"),
        ("**/*.jar", "x.jar"),
        ("**/*.jar", "a/b/x.jar"),
        ("a/**/b", "a/b"),
        ("a/**/b", "a/x/y/b"),
        ("?.py", "é.py"),
        ("*", ".hidden"),
        ("a[1].py", "a[1].py"),
        ("a.b+(c)", "a.b+(c)"),
        ("*", "new\nline"),
        ("external/*/bin/**", "external/x~1/bin/java"),
    ],
)
def test_a_glob_matches(glob: str, path: str) -> None:
    assert matcher([glob])(path)


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("tools/*", "tools/a/b.py"),
        ("tools/**", "tools"),
        ("tools/**", "my/tools/x"),
        ("*.py", "a/b.py"),
        ("?", "/"),
        ("?", ""),
        ("a[1].py", "a1.py"),
        ("a.py", "abpy"),
        ("**/x.py", "ax.py"),
        ("tools", "tools2"),
        ("", "a"),
    ],
)
def test_a_glob_does_not_match(glob: str, path: str) -> None:
    assert not matcher([glob])(path)


def test_one_of_many_globs_is_enough_and_none_match_nothing() -> None:
    matches = matcher(["a/*", "b|c"])

    assert matches("a/x")
    assert matches("b|c")
    assert not matches("b")
    assert not matcher([])("")


@given(st.text(alphabet="ab*?.", max_size=8), st.text(alphabet="ab.", max_size=8))
def test_within_one_name_globs_agree_with_the_shells(glob: str, name: str) -> None:
    assert matcher([glob.replace("**", "*")])(name) == fnmatch.fnmatchcase(
        name, glob.replace("**", "*")
    )


@pytest.mark.parametrize(
    ("glob", "entered", "left_out"),
    [
        ("pkg/p0.txt", ["pkg"], ["bazel-bin", "pkg/p0.txt", "pkg/x", "p"]),
        ("./pkg/*/a.txt", ["pkg", "pkg/x"], ["pkg/x/y", "x"]),
        ("tools/**", ["tools", "tools/a", "tools/a/b"], ["src", "tool"]),
        ("a/**/b", ["a", "a/x", "a/b", "a/x/y"], ["b"]),
        ("**", ["a", "a/b"], []),
        ("**/*.jar", ["a", "a/b"], []),
        ("*", [], ["a"]),
        ("a**z", ["a", "az", "x"], []),
    ],
)
def test_a_walk_enters_folders_in_which_something_can_match(
    glob: str, entered: list[str], left_out: list[str]
) -> None:
    may_match = may_match_below([glob])
    assert [each for each in entered if not may_match(each)] == []
    assert [each for each in left_out if may_match(each)] == []


@given(
    st.lists(st.sampled_from(["a", "b", "*", "?", "**", "a*"]), min_size=1, max_size=4), st.data()
)
def test_no_folder_above_a_match_is_left_out(parts: list[str], data: st.DataObject) -> None:
    glob = "/".join(parts)
    path = "/".join(data.draw(st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=5)))
    if matcher([glob])(path):
        above = [path[:at] for at, each in enumerate(path) if each == "/"]
        assert all(map(may_match_below([glob]), above))


def test_names_without_wildcards_are_known() -> None:
    assert names_exactly(["bazel-bin/a/*"], "bazel-bin")
    assert names_exactly(["./bazel-bin/**"], "bazel-bin")
    assert not names_exactly(["bazel-*", "**"], "bazel-bin")

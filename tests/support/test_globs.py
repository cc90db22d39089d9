from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpw_fixture.support.globs import matcher


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

"""Paths are joined and judged as text."""

from __future__ import annotations

import pytest

from rpw_fixture.support.paths import join_normalised, leads_out


@pytest.mark.parametrize(
    ("base", "path", "expected"),
    [
        ("", "a//b/./c/", "a/b/c"),
        ("", "", "."),
        ("a", "", "a"),
        ("a", "..", "."),
        ("a", "../b", "b"),
        ("a", "../../b", "../b"),
        ("a", "/b", "/b"),
        ("a/b", "../link/../c", "a/c"),
    ],
)
def test_join_normalised(base, path, expected):
    assert join_normalised(base, path) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [("..", True), ("../a", True), ("/a", True), (".", False), ("..a", False), ("a/..b", False)],
)
def test_leads_out(path, expected):
    assert leads_out(path) is expected

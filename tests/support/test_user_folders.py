"""Folders of the user."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rpw_fixture.support.user_folders import caches


@pytest.mark.parametrize(
    ("named", "platform", "expected"),
    [
        ("/caches", "linux", "/caches"),
        ("/caches", "darwin", "/caches"),
        ("relative", "linux", "/home/me/.cache"),
        ("", "linux", "/home/me/.cache"),
        ("", "darwin", "/home/me/Library/Caches"),
    ],
)
def test_caches_are_where_the_system_has_them(
    named: str, platform: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", named)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setattr(sys, "platform", platform)
    assert caches() == Path(expected)

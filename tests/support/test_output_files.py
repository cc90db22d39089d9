"""Files that a command writes at its end: what would prevent that is refused before the run."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from rpw_fixture.errors import ConfigError, EnvironmentLacksError
from rpw_fixture.support import output_files


def refusal(path: Path, *, is_folder: bool = False) -> str:
    try:
        output_files.require_room("--x", path, is_folder=is_folder)
    except EnvironmentLacksError as error:
        return str(error).removeprefix("--x: ")
    return ""


def test_a_place_is_refused_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    places = {
        # the path: what is said of it as a file, and as a folder
        "file": ("", "Not a directory"),
        "folder": ("Is a directory", ""),
        "new": ("", ""),
        "folder/new": ("", ""),
        "absent/new": ("No such file or directory", ""),
        "file/new": ("Not a directory", "Not a directory"),
        "absent/deep/new": ("No such file or directory", ""),
    }
    found = {
        name: (refusal(tmp_path / name), refusal(tmp_path / name, is_folder=True))
        for name in places
    }
    assert found == places

    asked: list[str] = []

    def no_access(path: Path, _mode: int) -> bool:
        asked.append(path.name)
        return False

    monkeypatch.setattr(output_files, "os", SimpleNamespace(access=no_access, W_OK=os.W_OK))
    assert refusal(tmp_path / "file") == refusal(tmp_path / "folder/new") == "Permission denied"
    assert refusal(tmp_path / "folder/a/b", is_folder=True) == "Permission denied"
    assert asked == ["file", "folder", "folder"]


@pytest.mark.parametrize(
    ("written", "read", "problem"),
    [
        (["a", "b"], ["c"], ""),
        (["a", "./a"], [], "w0 and w1 name the same file"),
        (["new", "link-to-new"], [], "w0 and w1 name the same file"),
        (["b", "a"], ["a"], "r0 and w1 name the same file"),
        (["b"], ["a", "a"], ""),  # an input may be read twice
        (["/dev/null", "/dev/null"], ["/dev/null"], ""),
        (["folder"], ["folder"], ""),  # it is refused for another reason
    ],
)
def test_an_output_is_no_other_output_and_no_input(
    tmp_path: Path, written: list[str], read: list[str], problem: str
) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link-to-new").symlink_to("new")

    def named(paths: list[str], letter: str) -> list[tuple[str, Path]]:
        return [(f"{letter}{number}", tmp_path / path) for number, path in enumerate(paths)]

    found = ""
    try:
        output_files.require_different(named(written, "w"), named(read, "r"))
    except ConfigError as error:
        found = str(error)
    assert found == problem

"""Folders and files for this user alone, also when another process makes them at the same moment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rpw_fixture.support.private_files import make_private_folder, private_opener


def test_missing_folders_are_made_for_the_user_alone_and_others_stay(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert make_private_folder(tmp_path / "a/b") == tmp_path / "a/b"
    assert [
        each.stat().st_mode & 0o777 for each in (tmp_path, tmp_path / "a", tmp_path / "a/b")
    ] == [
        0o755,
        0o700,
        0o700,
    ]
    assert make_private_folder(tmp_path) == tmp_path
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_a_folder_that_another_process_makes_meanwhile_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _let_another_be_faster(monkeypatch, lambda path: os.mkdir(path, 0o750))  # noqa: PTH102 - Path.mkdir is replaced
    assert make_private_folder(tmp_path / "a") == tmp_path / "a"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o750


def test_a_file_that_another_process_makes_meanwhile_is_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _let_another_be_faster(monkeypatch, lambda path: path.touch())
    with pytest.raises(FileExistsError):
        make_private_folder(tmp_path / "a")


def test_a_file_in_a_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file"):
        make_private_folder(tmp_path / "file")


def test_a_new_file_is_the_users_alone_and_an_old_one_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for mode in (0o600, 0o640):
        with open(path, "a", opener=private_opener) as file:
            file.write("x")
            assert not os.get_inheritable(file.fileno())
        assert path.stat().st_mode & 0o777 == mode
        path.chmod(0o640)
    assert path.read_text() == "xx"


def _let_another_be_faster(monkeypatch: pytest.MonkeyPatch, make: object) -> None:
    mkdir = Path.mkdir

    def late(path: Path, mode: int = 0o777) -> None:
        make(path)  # type: ignore[operator]
        mkdir(path, mode)

    monkeypatch.setattr(Path, "mkdir", late)

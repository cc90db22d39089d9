"""Copies of inputs in a recording."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture.storage.recording_folder import RecordingFolder, blob_path
from rpw_fixture.workers.tee import input_copies
from rpw_fixture.workers.tee.input_copies import InputCopies


def digest_of(data: bytes) -> str:
    return f"{hashlib.sha256(data).hexdigest()}/{len(data)}"


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[RecordingFolder]:
    folder = RecordingFolder(tmp_path / "recording", "--record")
    yield folder
    folder.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root/folder/deep").mkdir(parents=True)
    for name in ("file", "folder/a", "folder/deep/b"):
        (tmp_path / "root" / name).write_text(name)
    (tmp_path / "root/folder/a").chmod(0o755)
    os.mkfifo(tmp_path / "root/fifo")
    (tmp_path / "root/folder/circle").symlink_to(".")
    (tmp_path / "outside").touch()
    return tmp_path / "root"


def test_files_and_what_is_in_folders_is_kept(
    recording: RecordingFolder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(input_copies, "_MOST_DEPTH", 2)
    paths = ["file", "folder", "absent", "fifo", "../outside", ".", ""]
    found = InputCopies(recording).take(str(root), paths)
    names = ["file", "folder/a", "folder/circle/a", "folder/deep/b"]
    assert sorted(found) == names
    assert [found[each].is_executable for each in names] == [False, True, True, False]
    for name in ("file", "folder/a", "folder/deep/b"):
        assert found[name].digest == digest_of(name.encode())
        assert blob_path(recording.folder, found[name].digest).read_text() == name


def test_only_what_changed_is_read_again_and_what_is_young_is(
    recording: RecordingFolder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: Any = InputCopies(recording)
    reads: list[str] = []
    read = copies._read
    copies._read = lambda full, path: reads.append(path) or read(full, path)
    changed = (root / "file").stat().st_ctime_ns
    now = [changed + input_copies._YOUNG]
    monkeypatch.setattr("rpw_fixture.workers.tee.input_copies.time.time_ns", lambda: now[0])
    copies.take(str(root), ["file"])
    now[0] += 1
    for _ in range(3):
        copies.take(str(root), ["file"])
    assert reads == ["file"] * 2
    (root / "file").chmod(0o700)
    now[0] = (root / "file").stat().st_ctime_ns + input_copies._YOUNG + 1
    assert copies.take(str(root), ["file"])["file"].is_executable
    assert reads == ["file"] * 3


@pytest.mark.parametrize("what", ["listdir", "stat"])
def test_what_can_not_be_looked_at_is_left_out(
    what: str, recording: RecordingFolder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(os, what)

    def fail(path: Any, *arguments: Any, **more: Any) -> Any:
        if str(path).startswith(str(root / "folder")):
            raise PermissionError
        return real(path, *arguments, **more)

    copies = InputCopies(recording)
    monkeypatch.setattr(f"rpw_fixture.workers.tee.input_copies.os.{what}", fail)
    found = copies.take(str(root), ["folder", "file"])
    monkeypatch.undo()
    assert list(found) == ["file"]


def test_a_file_that_vanishes_before_it_is_read_is_left_out(
    recording: RecordingFolder, root: Path
) -> None:
    assert InputCopies(recording)._read(str(root / "absent"), "absent") is None

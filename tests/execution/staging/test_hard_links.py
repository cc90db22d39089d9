"""Inputs that are written by another name: a hard link from wherever the file system lets one be made."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rpw_fixture.execution.staging import changes
from rpw_fixture.execution.staging.changes import FolderWatcher
from rpw_fixture.execution.staging.placed import INPUT_MTIME_NS

from .staged_roots import TREE, Root


def hide(path: Path) -> None:
    """Puts mode and time back."""
    path.chmod(0o444)
    os.utime(path, ns=(INPUT_MTIME_NS, INPUT_MTIME_NS))


def write(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"X")
    hide(path)


def write_mapped(path: Path) -> None:
    path.chmod(0o644)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[0] = ord("X")
    hide(path)


def write_open(path: Path) -> None:
    path.chmod(0o644)
    fd = os.open(path, os.O_RDWR)
    path.unlink()
    os.write(fd, b"X")
    os.fchmod(fd, 0o444)
    os.utime(fd, ns=(INPUT_MTIME_NS, INPUT_MTIME_NS))
    os.close(fd)


WAYS: dict[str, Callable[[Path], None]] = {
    "written": write,
    "mapped": write_mapped,
    "open and unlinked": write_open,
    "mode": lambda path: path.chmod(0o755),
    "time": lambda path: path.touch(),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", ["a.txt", "src/deep/c.txt", "lib/d.txt"])
@pytest.mark.parametrize("link", ["outside", "empty", "beside"])
def test_what_is_done_through_a_hard_link_is_undone_and_reported(
    way: str, place: str, link: str, root: Root
) -> None:
    root.stage(TREE)
    names = {"outside": root.outside / "link", "empty": root.path / "empty/link"}
    alias = names.get(link, (root.path / place).with_name("link"))
    alias.hardlink_to(root.path / place)
    before = (root.path / "src/b.txt").stat().st_ino
    WAYS[way](alias)
    alias.unlink(missing_ok=True)

    assert root.stage(TREE) == [place]
    assert root.found() == TREE
    assert (root.path / "src/b.txt").stat().st_ino == before
    assert root.stage(TREE) == []


def test_a_link_made_long_ago_is_still_watched(root: Root) -> None:
    root.stage(TREE)
    alias = root.outside / "link"
    alias.hardlink_to(root.path / "lib/d.txt")
    for number in range(5):
        assert root.stage({**TREE, "changing": str(number).encode()}) == []
    write(alias)

    assert root.stage(TREE) == ["lib/d.txt"]
    assert root.found() == TREE
    alias.unlink()


def test_a_link_to_an_input_that_went_changes_nothing(root: Root) -> None:
    alias = root.outside / "link"
    root.stage(TREE)
    alias.hardlink_to(root.path / "a.txt")
    root.stage({**TREE, "a.txt": b"new"})
    write(alias)

    assert root.stage({**TREE, "a.txt": b"new"}) == []
    assert root.found() == {**TREE, "a.txt": b"new"}
    alias.unlink()


def test_a_write_while_inputs_are_placed_is_found(root: Root, monkeypatch) -> None:
    root.stage(TREE)
    alias = root.outside / "link"
    alias.hardlink_to(root.path / "lib/d.txt")
    real, done = os.mkdir, []

    def making(*arguments, **options) -> None:
        if not done:
            done.append(True)
            write(alias)
        real(*arguments, **options)

    monkeypatch.setattr(os, "mkdir", making)
    root.stage({**TREE, "new": {"file": b"x"}})
    monkeypatch.undo()

    root.stage({**TREE, "new": {"file": b"x"}})
    assert root.found() == {**TREE, "new": {"file": b"x"}}
    alias.unlink()


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_where_few_files_can_be_watched_the_others_are_compared(
    limit: int, tmp_path: Path, inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "_limit", lambda: 2 * limit)
    watcher = FolderWatcher()
    try:
        root = Root(tmp_path, inputs, watcher)
        with root.own:
            root.stage(TREE)
            for place in ("a.txt", "src/b.txt", "src/deep/c.txt", "lib/d.txt"):
                alias = root.outside / "link"
                alias.hardlink_to(root.path / place)
                write(alias)
                alias.unlink()
                assert root.stage(TREE) == [place]
                assert root.found() == TREE
            assert root.stage({"lib": {"d.txt": b"d"}}) == []
            assert root.stage(TREE) == []
    finally:
        watcher.close()

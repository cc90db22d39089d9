"""Watches of staged roots: folders that move away, and a kernel that does not report everything."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rpw_fixture.execution.staging import changes
from rpw_fixture.execution.staging.changes import FolderWatcher
from rpw_fixture.execution.staging.root_watches import RootWatches
from rpw_fixture.execution.staging.sweeping import Suspect, Sweep
from rpw_fixture.support.inotify import Inotify
from rpw_fixture.support.removal import remove

from .staged_roots import TREE, Root

# --- folders that move away ---

#: Where a folder of the root goes; the root and a folder outside of it are given.
AWAY: dict[str, Callable[[Root, str], object]] = {
    "outside": lambda root, name: (root.path / name).rename(root.outside.parent / "away"),
    "within the root": lambda root, name: (root.path / name).rename(root.path / "aside"),
    "into a folder beside it": lambda root, name: (root.path / name).rename(root.path / "lib/in"),
    "removed": lambda root, name: remove(str(root.path / name)),
    "replaced by a file": lambda root, name: (
        (root.path / name).rename(root.outside.parent / "away"),
        (root.path / name).touch(),
    ),
    "replaced by a symlink": lambda root, name: (
        (root.path / name).rename(root.outside.parent / "away"),
        (root.path / name).symlink_to(root.outside.parent / "away"),
    ),
}


@pytest.mark.parametrize("away", AWAY)
@pytest.mark.parametrize("name", ["src", "src/deep"])
def test_a_folder_that_changed_and_then_moved_away_is_put_back(
    away: str, name: str, root: Root
) -> None:
    root.stage(TREE)
    # The deepest change comes first, so that those above must be looked at before it.
    (root.path / "src/deep/left").touch()
    (root.path / "src/left").touch()
    AWAY[away](root, name)

    assert root.stage(TREE) == [name]
    assert root.found() == TREE
    (root.path / "src/deep/left").touch()
    assert root.stage(TREE) == []
    assert root.found() == TREE


def test_what_happens_in_a_folder_after_it_moved_away_does_not_count(root: Root) -> None:
    root.stage(TREE)
    (root.path / "src").rename(root.outside.parent / "away")
    root.stage(TREE)
    (root.outside.parent / "away/left").touch()
    (root.outside.parent / "away/deep/left").touch()

    assert root.stage(TREE) == []
    assert root.found() == TREE
    assert (root.outside.parent / "away/left").exists()


# --- a kernel that does not report everything ---


@pytest.fixture
def own_watcher() -> Iterator[FolderWatcher]:
    """A watcher that no other test uses."""
    made = FolderWatcher()
    yield made
    made.close()


@pytest.fixture
def watched(own_watcher: FolderWatcher, tmp_path: Path, inputs) -> Iterator[Root]:
    """A root that gets reports of changes from a watcher of the test."""
    made = Root(tmp_path, inputs, own_watcher)
    with made.own:
        yield made


def spoil(root: Root) -> None:
    """Change an input, and leave something in each folder."""
    (root.path / "src/b.txt").chmod(0o644)
    (root.path / "src/b.txt").write_bytes(b"poison")
    for folder in (".", "src", "src/deep", "lib", "empty"):
        (root.path / folder / "left").touch()


def check_it_is_restored(root: Root) -> None:
    for _ in range(2):
        spoil(root)
        assert root.stage(TREE) == ["src/b.txt"]
        assert root.found() == TREE
    assert root.stage(TREE) == []


def refuse(*_: object) -> int:
    raise OSError(errno.ENOSPC, "inotify: no watches left")


def test_without_inotify_everything_is_compared(
    watched: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_: Inotify) -> None:
        raise OSError(errno.EMFILE, "inotify: too many instances")

    monkeypatch.setattr(Inotify, "__init__", none)
    watched.stage(TREE)
    check_it_is_restored(watched)


@pytest.mark.parametrize("count", range(1, 9))
def test_folders_that_can_not_be_watched_are_compared(
    count: int, watched: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, left = Inotify.add, iter(range(count))
    monkeypatch.setattr(
        Inotify, "add", lambda *given: add(*given) if next(left, None) is not None else refuse()
    )
    watched.stage(TREE)
    check_it_is_restored(watched)


def test_files_that_can_not_be_watched_are_compared_whatever_their_times_say(
    watched: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "_limit", lambda: 2)
    watched.stage(TREE)
    (watched.outside / "name").hardlink_to(watched.path / "src/b.txt")
    (watched.outside / "name").chmod(0o644)
    (watched.outside / "name").write_bytes(b"X")

    assert watched.stage(TREE) == ["src/b.txt"]
    assert watched.found() == TREE


def test_a_limit_that_can_not_be_read_is_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "_LIMIT", str(tmp_path / "limit"))
    assert changes._limit() == 8192
    (tmp_path / "limit").write_text("many\n")
    assert changes._limit() == 8192
    (tmp_path / "limit").write_text("12\n")
    assert changes._limit() == 12


def test_after_an_overflow_everything_is_compared_once(watched: Root) -> None:
    watched.stage(TREE)
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    # Equal events in a row are one, so these alternate. What comes after them, elsewhere, is lost.
    for number in range(most):
        os.utime(watched.path / ("lib", "empty")[number % 2])
    spoil(watched)

    assert watched.stage(TREE) == ["src/b.txt"]
    assert watched.found() == TREE
    check_it_is_restored(watched)


def test_a_folder_that_is_taken_away_while_inputs_are_placed_is_missed_the_next_time(
    watched: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.stage(TREE)
    settle = RootWatches.settle

    def settle_late(watches: RootWatches, fd: int) -> None:
        remove(str(watched.path / "src"))
        settle(watches, fd)

    with monkeypatch.context() as patch:
        patch.setattr(RootWatches, "settle", settle_late)
        watched.stage({**TREE, "a.txt": b"other"})

    assert watched.stage(TREE) == ["src"]
    assert watched.found() == TREE


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EIO])
def test_a_mount_that_is_met_has_everything_compared_and_another_error_is_raised(
    code: int, watched: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.stage(TREE)
    spoil(watched)
    clean, errors = Sweep.clean_only, [OSError(code, os.strerror(code))]

    def clean_only(sweep: Sweep, root: int, suspect: Suspect) -> None:
        if errors:
            raise errors.pop()
        clean(sweep, root, suspect)

    monkeypatch.setattr(Sweep, "clean_only", clean_only)
    if code == errno.EIO:
        with pytest.raises(OSError, match="Input/output error"):
            watched.stage(TREE)
    assert watched.stage(TREE) == ["src/b.txt"]
    assert watched.found() == TREE


def test_an_overflow_makes_every_root_look_everywhere(
    own_watcher: FolderWatcher, tmp_path: Path
) -> None:
    sets = [changes.ChangeSet(), changes.ChangeSet()]
    for number, each in enumerate(sets):
        place = tmp_path / f"folder{number}"
        place.mkdir()
        folder = os.open(place, os.O_RDONLY)
        try:
            assert own_watcher.watch(folder, each) > 0
        finally:
            os.close(folder)
    own_watcher._note_special(-1, changes.QUEUE_OVERFLOW)

    assert [each.is_unknown for each in sets] == [True, True]
    assert [each.is_blind for each in sets] == [False, False]

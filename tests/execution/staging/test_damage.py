"""Inputs that were changed, and staging that fails half-way: the next staging repairs all of it."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rpw_fixture.errors import BlobMissingError, Code, RequestError
from rpw_fixture.execution.staging.placed import INPUT_MTIME_NS
from rpw_fixture.storage.cas import Cas
from rpw_fixture.support.removal import remove
from rpw_fixture.wire.digests import SHA256

from .staged_roots import TREE, Root

# --- inputs that were changed ---


def later(path: Path) -> None:
    """Waits until the clock of the file system has moved since ``path`` was changed."""
    probe = path.parent.parent / "clock"
    while True:
        probe.touch()
        if probe.stat().st_ctime_ns > path.stat().st_ctime_ns:
            probe.unlink()
            return


def rewrite(path: Path, content: bytes) -> None:
    """Write in place, and set mode and time back, to hide the change."""
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(0o444)
    os.utime(path, ns=(INPUT_MTIME_NS, INPUT_MTIME_NS))


CHANGES: dict[str, Callable[[Path], object]] = {
    "longer": lambda path: path.write_bytes(b"longer") if not path.chmod(0o644) else None,
    "touched": lambda path: path.touch(),
    "mode": lambda path: path.chmod(0o644),
    "deleted": lambda path: path.unlink(),
    "rewritten with its time put back": lambda path: rewrite(path, b"X"),
    "replaced with its time put back": lambda path: (
        path.unlink(),
        path.touch(),
        rewrite(path, b"X"),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("place", ["a.txt", "src/deep/c.txt"])
def test_a_changed_input_is_reported_and_restored(change: str, place: str, root: Root) -> None:
    root.stage(TREE)
    before = (root.path / "lib/d.txt").stat().st_ino
    later(root.path / "a.txt")
    CHANGES[change](root.path / place)

    assert root.stage(TREE) == [place]
    assert root.found() == TREE
    assert (root.path / "lib/d.txt").stat().st_ino == before
    assert root.stage(TREE) == []


def test_a_changed_symlink_is_reported_and_restored(root: Root, inputs) -> None:
    tree = {"link": inputs.Link(target="a"), "a": b"a"}
    root.stage(tree)
    (root.path / "link").unlink()
    (root.path / "link").symlink_to(root.outside)

    assert root.stage(tree) == ["link"]
    assert root.found()["link"] == ("->", "a")
    assert root.outside_is_intact()


def test_a_deleted_folder_is_reported_once_and_restored_whole(root: Root) -> None:
    root.stage(TREE)
    remove(str(root.path / "src"))

    assert root.stage(TREE) == ["src"]
    assert root.found() == TREE


def test_an_input_that_was_only_linked_is_not_reported_as_changed(root: Root) -> None:
    root.stage(TREE)
    later(root.path / "a.txt")
    inode = (root.path / "a.txt").stat().st_ino
    (root.path / "src/copy").hardlink_to(root.path / "a.txt")

    assert root.stage(TREE) == []
    assert root.found() == TREE
    assert (root.path / "a.txt").stat().st_ino == inode


def test_a_changed_input_is_never_what_the_store_gives_out(root: Root) -> None:
    root.stage(TREE)
    (root.path / "a.txt").chmod(0o644)
    (root.path / "a.txt").write_bytes(b"poison")

    assert root.inputs.store.get(SHA256.of(b"a")) == b"a"


def test_a_folder_made_inaccessible_is_given_back(root: Root) -> None:
    root.stage(TREE)
    (root.path / "src").chmod(0)
    root.path.chmod(0o500)

    assert root.stage(TREE) == []
    assert (root.path / "src").stat().st_mode & 0o700 == 0o700
    assert root.path.stat().st_mode & 0o700 == 0o700


def test_a_root_that_is_gone_or_replaced_is_an_error_and_is_not_followed(root: Root) -> None:
    root.stage(TREE)
    remove(str(root.path))
    with pytest.raises(FileNotFoundError):
        root.stage(TREE)
    root.path.symlink_to(root.outside)
    with pytest.raises(NotADirectoryError):
        root.stage(TREE)

    assert root.outside_is_intact()


# --- failures in between ---


def test_a_blob_that_has_gone_is_named_and_the_next_try_repairs_all(root: Root, cas: Cas) -> None:
    folder = root.inputs.folder(TREE)
    cas.evict(lambda _function, digest: digest == SHA256.of(b"c"))
    with pytest.raises(BlobMissingError) as caught:
        root.stage(folder)
    assert caught.value.missing == (f"blobs/{SHA256.of(b'c')}",)
    root.inputs.store.put(b"c")
    root.stage(folder)

    assert root.found() == TREE


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    libc = ctypes.CDLL(None, use_errno=True)
    disk = tmp_path / "disk"
    disk.mkdir()
    if libc.mount(b"none", os.fsencode(disk), b"tmpfs", 0, b"size=256k"):
        pytest.skip(f"no mount here: {os.strerror(ctypes.get_errno())}")
    yield disk
    libc.umount2(os.fsencode(disk), 2)


def test_a_full_disk_is_reported_and_once_there_is_room_the_tree_is_whole(
    small_disk: Path, inputs, request: pytest.FixtureRequest
) -> None:
    root = Root(small_disk, inputs)
    request.addfinalizer(root.own.close)
    tree = {"d": {str(number): bytes([number]) * 40_000 for number in range(10)}}
    with pytest.raises(RequestError) as caught:
        root.stage(tree)
    assert caught.value.code is Code.RESOURCE_EXHAUSTED
    smaller = {"d": {name: tree["d"][name] for name in "123"}}
    root.stage(smaller)

    assert root.found() == smaller


@pytest.mark.parametrize("after", range(1, 6))
def test_a_disk_that_fails_anywhere_leaves_nothing_half_written_behind(
    after: int, root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.stage({"a.txt": b"old", "src": {"gone": b"x"}})
    real, calls = os.utime, iter(range(1, 100))

    def failing(*arguments, **options) -> None:
        if next(calls) == after:
            raise OSError(errno.EIO, "broken disk")
        real(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, "utime", failing)
        if after <= 4:
            with pytest.raises(OSError, match="broken disk"):
                root.stage(TREE)
        else:
            root.stage(TREE)

    assert root.stage(TREE) == []
    assert root.found() == TREE


def test_leftovers_are_found_again_when_removing_one_of_them_failed(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.stage(TREE)
    for place in ("src/left", "lib/left", "empty/left"):
        (root.path / place).touch()

    def failing(*_arguments, **_options) -> None:
        raise OSError(errno.EIO, "broken disk")

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", failing)
        with pytest.raises(OSError, match="broken disk"):
            root.stage(TREE)
    root.stage(TREE)

    assert root.found() == TREE

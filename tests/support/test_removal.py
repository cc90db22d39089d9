"""Removing never leaves the folder it removes: mounts, and what can't be deleted."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rpw_fixture.support import removal
from rpw_fixture.support.beneath import OwnFolder
from rpw_fixture.support.removal import discard, remove
from tests.file_trees import read_tree
from tests.mounting import immutable, mount, mount_points, nothing_mounted, require_mounts

PRECIOUS = {"file": b"precious", "deep": {"file": b"precious"}}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder to be removed, beside one that must not be touched."""
    require_mounts(tmp_path)
    (tmp_path / "precious/deep").mkdir(parents=True)
    for each in ("precious/file", "precious/deep/file"):
        (tmp_path / each).write_text("precious")
    made = tmp_path / "folder"
    (made / "a/b").mkdir(parents=True)
    (made / "a/file").touch()
    with nothing_mounted(tmp_path):
        yield made


def bind(source: Path, target: Path) -> None:
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.touch()
    mount("--bind", str(source), str(target))


def deep(folder: Path, precious: Path) -> None:
    path = folder
    for _ in range(60):
        path /= "d"
    bind(precious, path)


def stacked(folder: Path, precious: Path) -> None:
    for _ in range(3):
        bind(precious, folder / "mnt")


def tmpfs(folder: Path, precious: Path) -> None:
    mount("-t", "tmpfs", "none", str(folder / "a/b"))
    (folder / "a/b/file").touch()
    bind(precious, folder / "a/b/mnt")


MOUNTS: dict[str, Callable[[Path, Path], object]] = {
    "a folder": lambda folder, precious: bind(precious, folder / "mnt"),
    "a folder far down": lambda folder, precious: bind(precious, folder / "a/b/c"),
    "deeper than descriptors are held": deep,
    "a file": lambda folder, precious: bind(precious / "file", folder / "a/bound"),
    "over the folder itself": lambda folder, precious: bind(precious, folder),
    "three, one upon the other": stacked,
    "in a tmpfs": tmpfs,
    "in a folder without rights": lambda folder, precious: (
        bind(precious, folder / "a/b/c"),
        (folder / "a").chmod(0),
    ),
}


@pytest.mark.parametrize("kind", MOUNTS)
def test_what_is_mounted_is_unmounted_and_none_of_it_removed(kind: str, folder: Path) -> None:
    MOUNTS[kind](folder, folder.parent / "precious")
    reported = remove(str(folder))

    assert read_tree(folder.parent / "precious") == PRECIOUS
    assert not folder.exists()
    assert mount_points(folder.parent) == []
    assert reported
    assert not any(each.is_left for each in reported)
    assert all(each.path.startswith(str(folder)) for each in reported)


@pytest.mark.parametrize("kind", MOUNTS)
def test_what_can_not_be_unmounted_is_left_alone_and_reported_once(
    kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    MOUNTS[kind](folder, folder.parent / "precious")
    monkeypatch.setattr(removal, "unmount", lambda *_: False)
    points = [each for each in mount_points(folder.parent) if "/b/mnt" not in each]
    discard(str(folder))
    first = caplog.messages
    discard(str(folder))

    assert read_tree(folder.parent / "precious") == PRECIOUS
    assert any(points[0] in each or "/.rpw-" in each for each in first)
    assert "sudo umount -l" in first[-1]
    assert str(folder) in first[-1]
    assert caplog.messages == first
    assert not (folder / "a/file").exists() or kind == "over the folder itself"


def test_the_reported_command_removes_what_was_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bind(folder.parent / "precious", folder / "it's a mount")
    with immutable(folder / "a/b/file"), monkeypatch.context() as patched:
        patched.setattr(removal, "unmount", lambda *_: False)
        discard(str(folder))
        command = caplog.messages[-1].partition("run: ")[2].replace("sudo ", "")
        subprocess.run(["sh", "-c", command], check=True)

    assert not folder.exists()
    assert read_tree(folder.parent / "precious") == PRECIOUS


def test_an_immutable_file_stays_alone_and_the_rest_goes(folder: Path) -> None:
    with immutable(folder / "a/b/file") as left:
        (folder / "a/b/other").touch()
        (kept,) = remove(str(folder))

        assert kept.path == str(left)
        assert kept.is_left
        assert read_tree(folder) == {"a": {"b": {"file": b"immutable"}}}
    assert remove(str(folder)) == []
    assert not folder.exists()


def test_an_immutable_folder_keeps_what_is_in_it(folder: Path) -> None:
    subprocess.run(["chattr", "+i", str(folder / "a")], check=True)
    try:
        reported = remove(str(folder))
    finally:
        subprocess.run(["chattr", "-i", str(folder / "a")], check=True)

    assert str(folder / "a/file") in [each.path for each in reported]
    assert remove(str(folder)) == []


def test_hundreds_of_leftovers_are_summed_up(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(100):
        (folder / f"a/{number}").touch()
    subprocess.run(["chattr", "+i", str(folder / "a")], check=True)
    try:
        discard(str(folder))
    finally:
        subprocess.run(["chattr", "-i", str(folder / "a")], check=True)

    assert len(caplog.messages) < 20
    assert any("more in" in each for each in caplog.messages)


def test_the_originals_of_copied_mounts_stay_mounted(folder: Path) -> None:
    # Mounts are shared with their copies by default on many machines: unmounting a copy of a tree
    # of mounts then unmounts the originals with it.
    script = f"""
set -e
cd {folder.parent}
mkdir tree
mount -t tmpfs none tree
mount --make-shared tree
mkdir tree/sub
mount -t tmpfs none tree/sub
touch tree/sub/file
mkdir folder/mnt
mount --rbind tree folder/mnt
{sys.executable} -c 'from rpw_fixture.support.removal import remove; print(remove("{folder}"))'
test -e tree/sub/file
test ! -e folder
"""
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_folder_that_is_swapped_for_a_link_meanwhile_is_not_followed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    precious = folder.parent / "precious"
    precious.chmod(0o750)
    real = os.open

    def swapping(path: object, *arguments: object, **options: object) -> int:
        fd = real(path, *arguments, **options)
        if (folder / "a").is_dir() and not (folder / "a").is_symlink():
            (folder / "a").rename(folder / "moved")
            (folder / "a").symlink_to(precious)
        return fd

    monkeypatch.setattr(os, "open", swapping)
    remove(str(folder))

    assert read_tree(precious) == PRECIOUS
    assert precious.stat().st_mode & 0o777 == 0o750


# --- what another process does meanwhile, and errors of the disk ---


@pytest.fixture
def here(tmp_path: Path) -> Iterator[int]:
    """An open folder."""
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def raising(*codes: int | None, then: Callable[..., object]) -> Callable[..., object]:
    """Return a function that fails with these errors one after the other; None lets a call pass."""
    left = list(codes)

    def call(*arguments: object, **more: object) -> object:
        code = left.pop(0) if left else None
        if code is not None:
            raise OSError(code, os.strerror(code))
        return then(*arguments, **more)

    return call


def test_what_is_gone_already_is_no_leftover(
    here: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert remove(str(tmp_path / "absent/below")) == []
    assert remove(str(tmp_path / "absent")) == []
    assert removal.remove_at(here, "absent") == []
    discard(str(tmp_path / "absent"))
    with OwnFolder(str(tmp_path)) as own:
        discard(own.at("absent/below"))
    assert caplog.messages == []


def test_an_error_of_the_disk_is_raised_by_removing_and_logged_by_discarding(
    here: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "unlink", raising(*[errno.EIO] * 3, then=os.unlink))
    with pytest.raises(OSError, match="output error"):
        removal.remove_at(here, "file")
    with pytest.raises(OSError, match="output error"):
        removal._Removal()._unlink(here, "file")
    discard(str(tmp_path / "file"))
    assert "output error" in caplog.messages[0]
    discard(str(tmp_path / "file"))
    assert not (tmp_path / "file").exists()


def test_a_file_may_vanish_or_become_a_folder_while_it_is_removed(
    here: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removing = removal._Removal()
    assert removing._unlink(here, "absent") is True
    (tmp_path / "folder").mkdir()
    assert removing._unlink(here, "folder") is False
    assert removing._try(here, "absent", 0) is True
    (tmp_path / "file").touch()
    assert removing._try(here, "file", 0) is True
    assert removing.leftovers == []
    monkeypatch.setattr(os, "unlink", raising(errno.EACCES, then=os.unlink))
    (tmp_path / "file").touch()
    assert removing._unlink(here, "file") is False
    assert [(each.path, each.is_left) for each in removing.leftovers] == [
        (str(tmp_path / "file"), True)
    ]


def test_a_folder_that_is_written_into_all_the_time_is_left(
    here: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def refuse(name: str, **_: object) -> None:
        tries.append(name)
        raise OSError(errno.ENOTEMPTY, "not empty")

    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(os, "rmdir", refuse)
    (left,) = removal.remove_at(here, "folder")
    assert (left.path, left.reason) == (
        str(tmp_path / "folder"),
        "something still writes into it",
    )
    assert len(tries) == removal._PATIENCE + 1


@pytest.mark.parametrize("code", [errno.EACCES, errno.ENOENT, None])
def test_a_folder_deep_down_is_moved_up_and_removed(
    code: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make_deep(tmp_path / "folder")
    monkeypatch.setattr(os, "rename", raising(code, then=os.rename))
    assert remove(str(tmp_path / "folder")) == []
    assert not (tmp_path / "folder").exists()


def test_a_folder_deep_down_that_can_not_be_moved_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deepest = _make_deep(tmp_path / "folder")
    monkeypatch.setattr(os, "rename", raising(*[errno.EPERM] * 9, then=os.rename))
    assert [(each.path, each.is_left) for each in remove(str(tmp_path / "folder"))] == [
        (str(deepest), True)
    ]
    assert deepest.exists()


def _make_deep(folder: Path) -> Path:
    """Make the folder and folders in it, of which the last one is moved up to be removed."""
    path = folder.joinpath(*["d"] * (removal._DEEPEST + 1))
    path.mkdir(parents=True)
    return path


def test_a_new_folder_takes_the_place_of_what_is_there(tmp_path: Path) -> None:
    with OwnFolder(str(tmp_path)) as own:
        removal.make_new(own.at("made"))
        (tmp_path / "made/file").touch()
        removal.make_new(own.at("made"))
    assert list((tmp_path / "made").iterdir()) == []


def test_a_folder_gets_back_the_permissions_to_be_emptied(here: int, tmp_path: Path) -> None:
    for before, mode, after in (
        (0o000, 0o700, 0o700),
        (0o755, 0o700, 0o755),
        (0o500, 0o711, 0o711),
    ):
        tmp_path.chmod(before)
        removal.make_accessible(here, mode)
        assert tmp_path.stat().st_mode & 0o7777 == after
    tmp_path.chmod(0o600)
    removal.make_accessible(here)
    assert tmp_path.stat().st_mode & 0o7777 == 0o700


def test_new_folders_are_open_to_others_as_usual(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with OwnFolder(str(tmp_path)) as own:
            own.at("made").make()
            own.at("private").make(0o700)
    finally:
        os.umask(before)
    assert (tmp_path / "made").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "private").stat().st_mode & 0o7777 == 0o700

"""Opening beneath a folder: with openat2, and as it is done where there is none."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rpw_fixture.support import beneath
from rpw_fixture.support.beneath import FOLDER, OwnFolder, mount_of, open_step_by_step, opened
from tests.file_trees import read_tree
from tests.mounting import mount, nothing_mounted, require_mounts

Opening = Callable[[int, str, int], int]
READ = os.O_RDONLY | os.O_CLOEXEC


@pytest.fixture(params=["openat2", "step by step"])
def opening(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Opening:
    """Both ways to open, each as the one that everything uses."""
    if request.param == "openat2":
        found = beneath._find_openat2()
        if found is open_step_by_step:
            pytest.skip("this system has no openat2")
    else:
        found = open_step_by_step
    monkeypatch.setattr(beneath._implementation, "opening", found)
    return found


@pytest.fixture
def top(tmp_path: Path) -> Iterator[OwnFolder]:
    """A folder with things in it, beside one outside."""
    (tmp_path / "outside/folder").mkdir(parents=True)
    (tmp_path / "outside/file").write_text("secret")
    root = tmp_path / "root"
    (root / "a/b/c").mkdir(parents=True)
    (root / "a/file").write_text("content")
    (root / "a/link").symlink_to("b")
    (root / "a/out").symlink_to(tmp_path / "outside")
    (root / "a/file-link").symlink_to("file")
    with OwnFolder(str(root)) as own:
        yield own


def test_folders_and_files_are_opened_however_deep(top: OwnFolder, opening: Opening) -> None:
    fd = opening(top.fd, "a/file", READ)
    assert os.read(fd, 100) == b"content"
    os.close(fd)
    for path, expected in (("a/b/c", []), ("a/b", ["c"]), (".", ["a"])):
        with opened(path, top.fd) as fd:
            assert os.listdir(fd) == expected  # noqa: PTH208 - of a descriptor
            assert not os.get_inheritable(fd)


@pytest.mark.parametrize("path", ["a/link", "a/link/c", "a/out", "a/out/folder", "a/out/file"])
@pytest.mark.parametrize("flags", [FOLDER, READ])
def test_no_link_is_followed(path: str, flags: int, top: OwnFolder, opening: Opening) -> None:
    with pytest.raises(NotADirectoryError):
        opening(top.fd, path, flags)


def test_a_link_to_a_file_is_not_followed(top: OwnFolder, opening: Opening) -> None:
    with pytest.raises(NotADirectoryError):
        opening(top.fd, "a/file-link", READ)


@pytest.mark.parametrize("path", ["..", "../outside", "a/../../outside", "/etc"])
def test_nothing_outside_is_opened(path: str, top: OwnFolder, opening: Opening) -> None:
    if path == "/etc" and opening is open_step_by_step:
        path = "a/../../etc"
    with pytest.raises(OSError, match=os.strerror(errno.EXDEV)):
        opening(top.fd, path, FOLDER)


def test_what_is_not_there_is_named(top: OwnFolder, opening: Opening) -> None:
    with pytest.raises(FileNotFoundError, match="none"):
        opening(top.fd, "a/none", READ)
    with pytest.raises(NotADirectoryError):
        opening(top.fd, "a/file/below", READ)
    with pytest.raises(ValueError, match="null"):
        opening(top.fd, "a\0b", READ)


@pytest.mark.parametrize("kind", ["bind", "tmpfs", "file"])
def test_no_mount_is_entered(kind: str, top: OwnFolder, opening: Opening) -> None:
    # A bind mount of the same file system has the same device number as what surrounds it.
    root = Path(top.path)
    require_mounts(root.parent)
    with nothing_mounted(root.parent):
        match kind:
            case "bind":
                mount("--bind", str(root.parent / "outside"), f"{root}/a/b")
            case "tmpfs":
                mount("-t", "tmpfs", "none", f"{root}/a/b")
            case "file":
                mount("--bind", str(root.parent / "outside/file"), f"{root}/a/file")
        path = "a/file" if kind == "file" else "a/b"
        with pytest.raises(OSError, match=os.strerror(errno.EXDEV)):
            opening(top.fd, path, READ)
        if kind == "bind":
            with pytest.raises(OSError, match=os.strerror(errno.EXDEV)):
                opening(top.fd, "a/b/folder", READ)


def test_mounts_have_numbers(tmp_path: Path) -> None:
    require_mounts(tmp_path)
    (tmp_path / "a").mkdir()
    with nothing_mounted(tmp_path):
        mount("--bind", str(tmp_path), str(tmp_path / "a"))
        numbers = []
        for path in (tmp_path, tmp_path / "a", tmp_path):
            fd = os.open(path, FOLDER)
            numbers.append(mount_of(fd))
            os.close(fd)
    assert numbers[0] == numbers[2] != numbers[1]


def test_folders_are_made_and_never_through_a_link(top: OwnFolder, opening: Opening) -> None:
    root = Path(top.path)
    top.at("x/y/z").make()
    top.at("a/b/new").make()
    assert (root / "x/y/z").is_dir()
    assert (root / "a/b/new").is_dir()
    with pytest.raises(FileExistsError):
        top.at("a/b/new").make()
    for path in ("a/out/new", "a/out/folder/new", "a/file/new"):
        with pytest.raises(NotADirectoryError):
            top.at(path).make()
    assert read_tree(root.parent / "outside") == {"file": b"secret", "folder": {}}


def test_a_closed_folder_reaches_nothing(top: OwnFolder, opening: Opening) -> None:
    place = top.at("a")
    top.close()
    top.close()
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)), place.opened():
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up the rights of root")
@pytest.mark.parametrize("way", ["openat2", "step by step"])
def test_folders_without_rights_are_opened_and_a_link_in_their_place_changes_nothing(
    way: str,
) -> None:
    script = """
import ctypes, os, sys
from rpw_fixture.support import beneath
if sys.argv[2] == "step by step":
    beneath._implementation.opening = beneath.open_step_by_step
else:
    beneath._implementation.opening = beneath._find_openat2()
os.chdir(sys.argv[1])
os.setuid(65534)
os.makedirs("root/a/b"); os.mkdir("outside", 0o500)
os.symlink("../outside", "root/link")
os.chmod("root/a/b", 0); os.chmod("root/a", 0)
with beneath.OwnFolder("root") as own:
    with own.at("a/b").opened() as fd:
        assert os.listdir(fd) == []
    try:
        beneath.permit(own.fd, "link")
    except NotADirectoryError:
        print(oct(os.stat("outside").st_mode))
"""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        done = subprocess.run(
            [sys.executable, "-c", script, folder, way],
            env={"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.stdout == "0o40500\n", done.stderr


def test_a_forbidden_openat2_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    # Filters of old container engines answer so to system calls that they do not know.
    monkeypatch.setattr(beneath, "_OPENAT2", 9999)
    assert beneath._find_openat2() is open_step_by_step


def test_without_ctypes_paths_are_opened_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctypes", None)
    assert beneath._find_openat2() is beneath.open_step_by_step


def test_without_proc_a_mount_is_recognised_by_its_device_and_paths_are_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        assert beneath.path_of(fd) == str(tmp_path)
        with monkeypatch.context() as patched:
            patched.setattr(os, "open", _missing)
            assert beneath.mount_of(fd) == tmp_path.stat().st_dev
    finally:
        os.close(fd)
    assert beneath.path_of(fd) == ""


def _missing(*_: object) -> int:
    raise FileNotFoundError

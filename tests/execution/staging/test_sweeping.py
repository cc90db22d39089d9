"""What actions leave in a root: it is removed, whatever it is, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from rpw_fixture.support.removal import remove

from .staged_roots import LEFTOVERS, TREE, Root


@pytest.mark.parametrize("kind", LEFTOVERS)
@pytest.mark.parametrize("place", ["left", "src/new\nline", "empty/left"])
def test_what_an_action_left_is_removed_and_nothing_else(kind: str, place: str, root: Root) -> None:
    root.stage(TREE)
    before = root.inodes()
    LEFTOVERS[kind](root.path / place, root.outside)
    assert root.stage(TREE) == []

    assert root.found() == TREE
    assert root.outside_is_intact()
    files = [path for path in before if path.endswith(".txt")]
    assert {path: root.inodes()[path] for path in files} == {path: before[path] for path in files}


@pytest.mark.parametrize("kind", LEFTOVERS)
@pytest.mark.parametrize("place", ["a.txt", "src/b.txt", "src/deep", "empty"])
def test_what_stands_in_the_place_of_an_input_is_replaced_and_reported(
    kind: str, place: str, root: Root
) -> None:
    root.stage(TREE)
    remove(str(root.path / place))
    LEFTOVERS[kind](root.path / place, root.outside)
    changed = root.stage(TREE)

    assert root.found() == TREE
    assert root.outside_is_intact()
    if "folder" in kind and "symlink" not in kind and "." not in place:
        # The report names the folder itself, or what it should hold.
        assert all(each.startswith(place) for each in changed)
        assert changed or place == "empty"
    else:
        assert changed == [place]


@pytest.mark.parametrize("place", ["src", "src/deep", "empty"])
def test_a_folder_in_the_place_of_another_is_looked_after_like_that(place: str, root: Root) -> None:
    root.stage(TREE)
    for _ in range(3):
        remove(str(root.path / place))
        (root.path / place).mkdir()  # it may get the same inode
        root.stage(TREE)
        (root.path / place / "left").touch()
        root.stage(TREE)
        assert root.found() == TREE


def test_another_folder_in_the_place_of_the_root_is_filled_like_that(root: Root) -> None:
    root.stage(TREE)
    for _ in range(3):
        remove(str(root.path))
        root.path.mkdir()
        root.stage(TREE)
        (root.path / "src/left").touch()
        (root.path / "left").touch()
        root.stage(TREE)
        assert root.found() == TREE


def test_folders_that_changed_places_are_distinguished(root: Root) -> None:
    root.stage(TREE)
    (root.path / "src").rename(root.path / "aside")
    (root.path / "lib").rename(root.path / "src")
    (root.path / "aside").rename(root.path / "lib")
    assert root.stage(TREE)
    (root.path / "src/left").touch()
    (root.path / "lib/left").touch()
    root.stage(TREE)

    assert root.found() == TREE


def test_a_folder_moved_away_and_back_is_the_same(root: Root) -> None:
    root.stage(TREE)
    (root.path / "src").rename(root.outside.parent / "away")
    (root.outside.parent / "away/left").touch()
    (root.outside.parent / "away").rename(root.path / "src")
    root.stage(TREE)

    assert root.found() == TREE


@pytest.mark.parametrize("name", [b"\xff\xfe", "é".encode("latin-1"), b"a\nb", b"-rf *", b"\\"])
def test_leftovers_of_any_name_are_removed(name: bytes, root: Root) -> None:
    root.stage(TREE)
    left = root.path / "src" / os.fsdecode(name)
    left.mkdir()
    (left / "file").touch()
    root.stage(TREE)

    assert root.found() == TREE


def test_a_socket_is_removed(root: Root) -> None:
    root.stage(TREE)
    script = (
        "import os, socket, sys; os.chdir(sys.argv[1]); socket.socket(socket.AF_UNIX).bind('s')"
    )
    subprocess.run([sys.executable, "-c", script, str(root.path)], check=True)
    root.stage(TREE)

    assert root.found() == TREE


def dig(path: Path, depth: int, name: str = "d") -> None:
    """Folders in folders, deeper than any path may be long."""
    fd = os.open(path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)


def test_folders_deeper_than_the_stack_and_the_descriptors_reach_are_removed(root: Root) -> None:
    root.stage(TREE)
    dig(root.path / "src", 2_500)
    root.stage(TREE)

    assert root.found() == TREE


def test_a_whole_root_is_removed_whatever_is_in_it(root: Root) -> None:
    root.stage(TREE)
    dig(root.path, 100, "x" * 200)
    for kind, leave in LEFTOVERS.items():
        leave(root.path / "lib" / kind, root.outside)
    remove(str(root.path))
    remove(str(root.path))

    assert not root.path.exists()
    assert root.outside_is_intact()
    assert {each.name for each in root.path.parent.iterdir()} == {"outside", "cas"}


def test_removing_a_symlink_leaves_what_it_leads_to(root: Root) -> None:
    link = root.path / "link"
    link.symlink_to(root.outside)
    remove(str(link))

    assert not link.is_symlink()
    assert root.outside_is_intact()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up the rights of root")
def test_folders_of_any_mode_are_emptied_without_the_rights_of_root() -> None:
    script = """
import os, sys
from rpw_fixture.support.removal import remove
os.setuid(65534)
root = sys.argv[1]
os.makedirs(f"{root}/top/a/b")
open(f"{root}/top/a/b/file", "w").close()
for path in ("top/a/b", "top/a", "top"):
    os.chmod(f"{root}/{path}", 0)
remove(f"{root}/top")
assert os.listdir(root) == [], os.listdir(root)
"""
    project = str(Path(__file__).resolve().parents[3])
    with tempfile.TemporaryDirectory() as work:
        Path(work).chmod(0o777)
        done = subprocess.run(
            [sys.executable, "-c", script, work],
            env={"PYTHONPATH": project, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == 0, done.stderr

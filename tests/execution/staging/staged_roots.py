"""A staged root with a folder beside it, and a tree to put there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from rpw_fixture.execution.staging.changes import FolderWatcher
from rpw_fixture.execution.staging.placed import Parents
from rpw_fixture.execution.staging.staged_root import StagedRoot
from rpw_fixture.support.beneath import OwnFolder
from rpw_fixture.wire.trees import Folder
from tests.file_trees import read_tree

NOBODY = Parents()


class Root:
    """A staged root with a folder beside it that nothing may touch."""

    def __init__(self, path: Path, inputs, watcher: FolderWatcher | None = None) -> None:
        self.own = OwnFolder(str(path))
        self.path = path / "root"
        self.path.mkdir()
        self.outside = path / "outside"
        (self.outside / "folder").mkdir(parents=True)
        (self.outside / "file").write_text("precious")
        self.inputs = inputs
        self.staged = StagedRoot(self.own.at("root"), watcher)

    def stage(self, tree: dict, *parents: str) -> list[str]:
        folder = tree if isinstance(tree, Folder) else self.inputs.folder(tree)
        return self.staged.stage(folder, Parents.of(parents), self.inputs.store)

    def add(self, tree: dict, *parents: str, outputs: tuple[str, ...] = ()) -> None:
        folder = self.inputs.folder(tree)
        self.staged.add(folder, Parents.of(parents), outputs, self.inputs.store)

    def found(self) -> dict:
        """Return what is on disk, as nested dicts like those of `Inputs`."""
        return read_tree(self.path)

    def outside_is_intact(self) -> bool:
        return read_tree(self.outside) == {"folder": {}, "file": b"precious"}

    def inodes(self) -> dict[str, tuple[int, int]]:
        """Inode and change time of every file and folder by its path."""
        return {
            str(path.relative_to(self.path)): (path.lstat().st_ino, path.lstat().st_ctime_ns)
            for path in self.path.rglob("*")
        }


TREE = {
    "a.txt": b"a",
    "src": {"b.txt": b"b", "deep": {"c.txt": b"c"}},
    "lib": {"d.txt": b"d"},
    "empty": {},
}

#: Makes what an action may leave at a path; the other path is outside of the root.
LEFTOVERS: dict[str, Callable[[Path, Path], object]] = {
    "file": lambda at, _: at.write_text("left"),
    "folder": lambda at, _: (at / "a/b/c").mkdir(parents=True),
    "symlink to a file": lambda at, outside: at.symlink_to(outside / "file"),
    "symlink to a folder": lambda at, outside: at.symlink_to(outside),
    "symlink to itself": lambda at, _: at.symlink_to(at.name),
    "hard link": lambda at, outside: at.hardlink_to(outside / "file"),
    "fifo": lambda at, _: os.mkfifo(at),
    "closed folder": lambda at, _: ((at / "x").mkdir(parents=True), at.chmod(0)),
    "folder of links": lambda at, outside: (at.mkdir(), (at / "l").symlink_to(outside)),
}

"""The memory of a staged folder: what was placed in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.trees import FileEntry, SymlinkEntry

#: Modification time of inputs that carry none, 2000-01-01 UTC: equal inputs look equal,
#: and a write shows.
INPUT_MTIME_NS = 946_684_800 * 10**9


class Parents(dict[str, "Parents"]):
    """Folders that must exist besides the input tree, as nested names."""

    @classmethod
    def of(cls, folders: Iterable[str]) -> Parents:
        """Return the folders on the way to and at each of ``folders``, paths relative to the root."""
        root = cls()
        for path in folders:
            here = root
            for name in path.split("/") if path else ():
                here = here.setdefault(name, cls())
        return root


@dataclass(slots=True, eq=False)
class Placed:
    """The memory of one folder: what was placed in it.

    Attributes:
        files, symlinks, folders: by name.
        stamps: inode change times (ctime) of the files, nanoseconds; no process can set these.
        digest: digest of the input folder that this one equals, ``parents`` left out; None if unknown.
        parents: folders that were made for outputs.
        above: the folder that holds this one as ``name``; None for the root, and after a removal.
        watch: number of this folder's watch in a `FolderWatcher`; -1 when it is not watched.
        inode: inode number of the folder that is watched.
    """

    files: dict[str, FileEntry] = field(default_factory=dict)
    symlinks: dict[str, SymlinkEntry] = field(default_factory=dict)
    folders: dict[str, Placed] = field(default_factory=dict)
    stamps: dict[str, int] = field(default_factory=dict)
    digest: Digest | None = None
    parents: Parents = field(default_factory=Parents)
    above: Placed | None = None
    name: str = ""
    watch: int = -1
    inode: int = 0

    @property
    def path(self) -> list[str] | None:
        """The names of the folders from the root to this one; None once it was removed."""
        names: list[str] = []
        here = self
        while here.above is not None:
            if here.above.folders.get(here.name) is not here:
                return None
            names.append(here.name)
            here = here.above
        return names[::-1]

    def forget(self, name: str) -> None:
        """Forget a name that was removed."""
        self.digest = None
        for group in (self.files, self.symlinks, self.folders):
            group.pop(name, None)


def mtime_of(file: FileEntry) -> int:
    """Return a file's time of modification, nanoseconds since the epoch."""
    return INPUT_MTIME_NS if file.mtime_ns is None else file.mtime_ns


def mode_of(file: FileEntry) -> int:
    """Return a file's permission bits; inputs are read-only unless they say otherwise."""
    if file.unix_mode is not None:
        return file.unix_mode
    return 0o555 if file.is_executable else 0o444

"""Collecting what an action made: files, folders as Trees, symlinks.

Symlinks are reported, never followed, and an output that lies behind a link out of the root is refused.
Fifos, sockets and devices inside folders are left out; as outputs themselves they are refused.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from rpw_fixture.errors import failed_precondition
from rpw_fixture.events import FileRecord
from rpw_fixture.execution.command import CommandSpec
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.intake import OPEN_OUTPUT, keep_file
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.protos import remote_execution as re
from rpw_fixture.wire.varints import varint

_MAX_DEPTH = 200
_OPEN_PATH = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
#: Why there may be nothing at a path, or no way to it.
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}


@dataclass(slots=True, kw_only=True)
class Outputs:
    """What was collected.

    Attributes:
        result: the output fields of an ActionResult, nothing else of it.
        files: every file, those inside folders too.
        links: the target of every symlink by its path, likewise.
    """

    result: re.ActionResult = field(default_factory=re.ActionResult)
    files: list[FileRecord] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)


def collect(
    root: str, command: CommandSpec, store: BlobStore, *, absolute_symlinks: bool = True
) -> Outputs:
    """Puts the declared outputs that exist into the store.

    Args:
        root: the action's folder on disk, its path without symlinks.
        command: declares the outputs.
        store: takes their content.
        absolute_symlinks: False refuses links with absolute targets.

    Raises:
        RequestError: FAILED_PRECONDITION for an output that is not of the declared type (clients
            before API 2.1), is no file, folder or link that is allowed, lies outside the root,
            can't be read or has a name that is no UTF-8.
        OSError: such as a full disk.
    """
    try:
        outputs = _Collector(root, command, store).run()
    except PermissionError as error:
        raise failed_precondition(f"output {error.filename!r} can't be read") from None
    if not absolute_symlinks:
        _refuse_absolute(outputs.links)
    return outputs


class _Collector:
    def __init__(self, root: str, command: CommandSpec, store: BlobStore) -> None:
        self._root = root
        self._base = os.path.join(self._root, command.working_directory)
        self._command = command
        self._store = store
        self._outputs = Outputs()

    def run(self) -> Outputs:
        command = self._command
        if command.output_paths is not None:
            for path in command.output_paths:
                self._collect(path, "")
        for path in command.output_files if command.output_paths is None else ():
            self._collect(path, "file")
        for path in command.output_directories if command.output_paths is None else ():
            self._collect(path, "folder")
        return self._outputs

    def _collect(self, path: str, declared: str) -> None:
        # Normalised, because lstat follows a link whose name ends in a slash.
        full = os.path.normpath(os.path.join(self._base, path)) if path else self._base
        try:
            found = os.lstat(full)
        except OSError as error:
            if error.errno in _ABSENT:
                return
            raise
        if stat.S_ISREG(found.st_mode) and declared != "folder":
            self._add_file(path, full, found)
            return
        is_base = not path or full == self._root
        self._require_inside(path, _real_path(full if is_base else os.path.dirname(full)))
        if stat.S_ISLNK(found.st_mode):
            self._add_symlink(path, full, found, declared)
            return
        is_folder = stat.S_ISDIR(found.st_mode)
        if declared == ("file" if is_folder else "folder"):
            actual = "folder" if is_folder else "file"
            raise failed_precondition(
                f"output {path!r} was declared as a {declared}, but is a {actual}"
            )
        if not is_folder:
            raise failed_precondition(f"output {path!r} is neither a file nor a folder nor a link")
        self._add_folder(path, full)

    def _require_inside(self, path: str, real: str) -> None:
        if real != self._root and not real.startswith(self._root + os.sep):
            raise failed_precondition(f"output {path!r} lies behind a link out of the input root")

    def _add_file(self, path: str, full: str, found: os.stat_result) -> None:
        fd = os.open(full, OPEN_OUTPUT)
        try:
            self._require_inside(path, _path_of(fd) or os.path.realpath(full))
            digest = keep_file(self._store, fd, found.st_size)
        finally:
            os.close(fd)
        self._outputs.files.append(FileRecord(path, str(digest)))
        self._outputs.result.output_files.add(
            path=path,
            digest=message_of(digest),
            is_executable=bool(found.st_mode & stat.S_IXUSR),
            node_properties=_properties(found, self._command.output_node_properties),
        )

    def _add_symlink(self, path: str, full: str, found: os.stat_result, declared: str) -> None:
        result = self._outputs.result
        link = re.OutputSymlink(
            path=path,
            target=_utf8(os.readlink(full), f"the target of output {path!r}"),
            node_properties=_properties(found, self._command.output_node_properties),
        )
        result.output_symlinks.append(link)
        self._outputs.links[path] = link.target
        if not declared:
            return
        if os.path.exists(full) and os.path.isdir(full) != (declared == "folder"):
            raise failed_precondition(f"output {path!r} is a link that leads to no {declared}")
        # Clients before API 2.1 read only the list of the declared type.
        old = result.output_file_symlinks
        if declared == "folder":
            old = result.output_directory_symlinks
        old.append(link)

    def _add_folder(self, path: str, full: str) -> None:
        tree = _TreeBuilder(self._store, self._command.output_node_properties, self._outputs)
        root = tree.add(full, f"{path.rstrip('/')}/" if path else "", 1)
        digest = self._store.put(tree.message())
        self._outputs.result.output_directories.add(
            path=path,
            tree_digest=message_of(digest),
            is_topologically_sorted=True,
            root_directory_digest=message_of(root),
        )


def _real_path(folder: str) -> str:
    """The folder's path without symlinks; where the kernel tells it, in a tenth of the time."""
    try:
        fd = os.open(folder, _OPEN_PATH)
    except OSError:
        return os.path.realpath(folder)
    try:
        return _path_of(fd) or os.path.realpath(folder)
    finally:
        os.close(fd)


def _path_of(fd: int) -> str:
    """What an open file is called, if the kernel tells."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""


class _TreeBuilder:
    """Builds a Tree whose folders stand once each, parents first.

    The bytes are put together by hand, because `is_topologically_sorted` promises the exact form
    (remote_execution.proto, OutputDirectory).
    """

    def __init__(self, store: BlobStore, properties: Collection[str], outputs: Outputs) -> None:
        self._store = store
        self._wanted = properties
        self._outputs = outputs
        self._children_first: dict[Digest, bytes] = {}

    def add(self, path: str, prefix: str, depth: int) -> Digest:
        """Takes in the folder at ``path`` and all below; returns its Directory's digest."""
        if depth > _MAX_DEPTH:
            raise failed_precondition(f"output folder {prefix!r} is over {_MAX_DEPTH} folders deep")
        message = re.Directory(node_properties=_properties(os.stat(path), self._wanted))
        for entry in _sorted_entries(path):
            name = _utf8(entry.name, f"a name in output folder {prefix!r}")
            if entry.is_symlink():
                self._add_symlink(message, entry, prefix)
            elif entry.is_dir(follow_symlinks=False):
                digest = self.add(entry.path, f"{prefix}{name}/", depth + 1)
                message.directories.add(name=name, digest=message_of(digest))
            elif entry.is_file(follow_symlinks=False):
                self._add_file(message, entry, prefix)
        data = message.SerializeToString(deterministic=True)
        digest = self._store.put(data)
        # A folder seen before keeps its place: what it contains stands before it already.
        self._children_first.setdefault(digest, data)
        return digest

    def message(self) -> bytes:
        """The bytes of the Tree."""
        root, *children = reversed(self._children_first.values())
        pieces = [b"\x0a", varint(len(root)), root]
        for data in children:
            pieces += (b"\x12", varint(len(data)), data)
        return b"".join(pieces)

    def _add_file(self, message: re.Directory, entry: os.DirEntry[str], prefix: str) -> None:
        found = entry.stat(follow_symlinks=False)
        digest = keep_file(self._store, entry.path, found.st_size)
        self._outputs.files.append(FileRecord(prefix + entry.name, str(digest)))
        message.files.add(
            name=entry.name,
            digest=message_of(digest),
            is_executable=bool(found.st_mode & stat.S_IXUSR),
            node_properties=_properties(found, self._wanted),
        )

    def _add_symlink(self, message: re.Directory, entry: os.DirEntry[str], prefix: str) -> None:
        target = _utf8(os.readlink(entry.path), f"the target of link {entry.name!r}")
        self._outputs.links[prefix + entry.name] = target
        message.symlinks.add(
            name=entry.name,
            target=target,
            node_properties=_properties(entry.stat(follow_symlinks=False), self._wanted),
        )


def _refuse_absolute(links: Mapping[str, str]) -> None:
    for path, target in links.items():
        if target.startswith("/"):
            raise failed_precondition(
                f"output symlink {path!r} has the absolute target {target[:200]!r}, "
                "which this server does not allow"
            )


def message_of(digest: Digest) -> re.Digest:
    """A digest as its message."""
    return re.Digest(hash=digest.hash, size_bytes=digest.size)


def _sorted_entries(path: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        yield from sorted(entries, key=lambda entry: entry.name)


def _properties(found: os.stat_result, wanted: Collection[str]) -> re.NodeProperties | None:
    """What is asked for of `trees.NODE_PROPERTIES`; None when nothing is."""
    if not wanted:
        return None
    properties = re.NodeProperties()
    if "mtime" in wanted:
        properties.mtime.FromNanoseconds(found.st_mtime_ns)
    if "unix_mode" in wanted:
        properties.unix_mode.value = stat.S_IMODE(found.st_mode)
    return properties


def _utf8(name: str, what: str) -> str:
    """``name``, as found on disk, if a message can hold it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise failed_precondition(f"{what} is no UTF-8: {os.fsencode(name)!r}") from None
    return name

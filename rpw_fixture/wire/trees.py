"""Input trees: Directory messages, decoded and checked, as immutable `Folder` values.

The digest of a folder decides everything in it, so one `Folder` serves every action whose input root
contains that folder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from google.protobuf.message import DecodeError

from rpw_fixture.errors import invalid_argument
from rpw_fixture.support.memo import Memo
from rpw_fixture.wire.digests import Digest, DigestFunction
from rpw_fixture.wire.protos import remote_execution as reapi

#: The node property that marks a tool's files (bazel#16362); its value may be empty.
TOOL_INPUT_PROPERTY = "bazel_tool_input"
#: Longest file name that Linux file systems take, in bytes.
MAX_NAME_BYTES = 255
#: Matches most names quickly: 63 characters are at most 252 bytes.
_IS_PLAIN_NAME = re.compile(r"(?!\.{1,2}\Z)[^/\0]{1,63}").fullmatch
#: Latest modification time that ext4 can store, seconds since the epoch (in 2446).
_LATEST = 15_032_385_535
#: Tags of Directory.files and directories, and the size from which a node's length takes three bytes.
_FILE, _FOLDER, _LONGEST_NODE = 0x0A, 0x12, 1 << 14
_NO_MORE = reapi.Directory()
#: Most file and folder nodes that a decoder remembers; each takes half a KiB.
_MOST_FILES, _MOST_FOLDERS = 10_000, 2_500


class FileEntry(NamedTuple):
    """A file of an input tree; a tuple, because thousands are made for an action.

    Attributes:
        is_marked: whether it is marked as a tool input.
        mtime_ns: requested modification time, nanoseconds since the epoch
            (remote_execution.proto, NodeProperties).
        unix_mode: requested permission bits (same place).
    """

    digest: Digest
    is_executable: bool
    is_marked: bool
    mtime_ns: int | None = None
    unix_mode: int | None = None


class SymlinkEntry(NamedTuple):
    """A symbolic link of an input tree, with its target verbatim."""

    target: str
    is_marked: bool


@dataclass(slots=True, eq=False)
class Folder:
    """A folder of an input tree, with everything below it.

    Attributes:
        digest: of its Directory message.
        files, folders, symlinks: its content, by name.
        count: number of files, folders and symlinks in it and below.
        file_count: number of files in it and below.
        depth: number of levels; 1 for a folder without folders.
        complete_at: the store's eviction count when every file below was last known to be stored.
    """

    digest: Digest
    files: dict[str, FileEntry]
    folders: dict[str, Folder]
    symlinks: dict[str, SymlinkEntry]
    count: int = field(init=False)
    file_count: int = field(init=False)
    depth: int = field(init=False)
    complete_at: int = field(init=False, default=-1)

    def __post_init__(self) -> None:
        self.count = len(self.files) + len(self.folders) + len(self.symlinks)
        self.file_count = len(self.files)
        self.depth = 1
        for folder in self.folders.values():
            self.count += folder.count
            self.file_count += folder.file_count
            self.depth = max(self.depth, folder.depth + 1)

    def find(self, path: str) -> FileEntry | Folder | SymlinkEntry | None:
        """Return what is at a normalised relative path, "" for this folder; symlinks are not followed."""
        here: Folder = self
        *parents, name = path.split("/") if path else [""]
        for each in parents:
            if each not in here.folders:
                return None
            here = here.folders[each]
        if not name:
            return here
        return here.files.get(name) or here.folders.get(name) or here.symlinks.get(name)

    def find_file(self, path: str) -> FileEntry | None:
        """Return the file at a normalised relative path; None where there is none."""
        entry = self.find(path)
        return entry if isinstance(entry, FileEntry) else None

    def walk(self, prefix: str = "") -> Iterator[tuple[str, FileEntry]]:
        """Yield every file with its path: the files of each folder by name, then those of its folders."""
        for name, entry in sorted(self.files.items()):
            yield prefix + name, entry
        for name, folder in sorted(self.folders.items()):
            yield from folder.walk(f"{prefix}{name}/")


class FolderDecoder:
    """Decodes Directory messages with digests of one function into folders. Thread-safe.

    After an edit, most nodes of a folder are the same as before. So decoded nodes are remembered by
    their encoded bytes: splitting a Directory into nodes takes a tenth of the time of decoding them,
    and equal files of all folders share one entry.
    """

    def __init__(self, function: DigestFunction) -> None:
        self._function = function
        self._files: Memo[bytes, tuple[str, FileEntry]] = Memo(_MOST_FILES)
        self._folders: Memo[bytes, tuple[str, Digest]] = Memo(_MOST_FOLDERS)

    def decode(
        self, digest: Digest, data: bytes, child: Callable[[Digest], Folder | None]
    ) -> Folder:
        """Return a Directory message as a folder.

        Args:
            digest: of ``data``.
            data: the encoded message.
            child: returns the folder with a digest, or None to leave it out.

        Raises:
            RequestError: INVALID_ARGUMENT for bytes that are not a Directory, a name that is empty,
                too long, ``.``, ``..`` or has a slash or NUL, a name used twice, or an impossible
                modification time (remote_execution.proto, Directory).
        """
        file_nodes, end = _split_nodes(data, 0, _FILE)
        folder_nodes, end = _split_nodes(data, end, _FOLDER)
        known_file, known_folder = self._files.get, self._folders.get
        try:
            files = [known_file(node) or self._note_file(node, digest) for node in file_nodes]
            folders = [
                known_folder(node) or self._note_folder(node, digest) for node in folder_nodes
            ]
            rest = reapi.Directory.FromString(data[end:]) if end < len(data) else _NO_MORE
        except DecodeError as error:
            raise invalid_argument(f"blob {digest} is not a Directory: {error}") from None
        files += [_file(node, digest, self._function) for node in rest.files]
        folders += [_folder(node, digest, self._function) for node in rest.directories]
        symlinks = {node.name: _symlink(node, digest) for node in rest.symlinks}
        by_name = dict(files)
        names = {*by_name, *(name for name, _ in folders), *symlinks}
        if len(names) < len(files) + len(folders) + len(rest.symlinks):
            twice = _first_repeated(files, folders, rest.symlinks)
            raise invalid_argument(f"name {twice!r} is used twice in Directory {digest}")
        found = [(name, child(each)) for name, each in folders]
        present = {name: folder for name, folder in found if folder is not None}
        return Folder(digest, by_name, present, symlinks)

    def clear(self) -> None:
        """Forget all nodes."""
        self._files.clear()
        self._folders.clear()

    def _note_file(self, node: bytes, folder: Digest) -> tuple[str, FileEntry]:
        made = _file(reapi.FileNode.FromString(node), folder, self._function)
        return self._files.put(node, made)

    def _note_folder(self, node: bytes, folder: Digest) -> tuple[str, Digest]:
        made = _folder(reapi.DirectoryNode.FromString(node), folder, self._function)
        return self._folders.put(node, made)


def _first_repeated(
    files: Iterable[tuple[str, FileEntry]],
    folders: Iterable[tuple[str, Digest]],
    symlinks: Iterable[reapi.SymlinkNode],
) -> str:
    names = [name for name, _ in files]
    names += [name for name, _ in folders]
    names += [node.name for node in symlinks]
    return next(name for name in names if names.count(name) > 1)


def check_name(name: str, where: str) -> None:
    """Raise unless ``name`` can be the name of a file in a folder.

    Args:
        where: names the folder in the error.

    Raises:
        RequestError: INVALID_ARGUMENT.
    """
    problem = ""
    if name in {"", ".", ".."}:
        problem = "is not a name"
    elif "/" in name or "\0" in name:
        problem = "contains a slash or NUL"
    elif len(name.encode()) > MAX_NAME_BYTES:
        problem = f"is over {MAX_NAME_BYTES} bytes long"
    if problem:
        shown = name if len(name) <= 80 else name[:80] + "…"
        raise invalid_argument(f"name {shown!r} in {where} {problem}")


def _split_nodes(data: bytes, start: int, tag: int) -> tuple[list[bytes], int]:
    """Return the encoded nodes of one kind from ``start`` on, and the position after them.

    In canonical messages they follow each other. It stops at anything else, for protobuf to decode.
    """
    nodes = []
    end = len(data)
    while start + 2 < end and data[start] == tag:
        length, begin = data[start + 1], start + 2
        if length >= 0x80:
            length, begin = length & 0x7F | data[begin] << 7, begin + 1
        if begin + length > end or length >= _LONGEST_NODE:
            break
        start = begin + length
        nodes.append(data[begin:start])
    return nodes, start


def _check_quickly(name: str, folder: Digest) -> None:
    if not _IS_PLAIN_NAME(name):
        check_name(name, f"Directory {folder}")


def _symlink(node: reapi.SymlinkNode, folder: Digest) -> SymlinkEntry:
    _check_quickly(node.name, folder)
    if not node.target or "\0" in node.target:
        raise invalid_argument(f"symlink {node.name!r} has the impossible target {node.target!r}")
    return SymlinkEntry(node.target, _is_marked(node))


def _folder(
    node: reapi.DirectoryNode, folder: Digest, function: DigestFunction
) -> tuple[str, Digest]:
    _check_quickly(node.name, folder)
    return node.name, function.validate(node.digest, what=f"folder {node.name!r}")


def _file(node: reapi.FileNode, folder: Digest, function: DigestFunction) -> tuple[str, FileEntry]:
    _check_quickly(node.name, folder)
    digest = function.validate(node.digest, what=f"file {node.name!r}")
    if not node.HasField("node_properties"):
        return node.name, FileEntry(digest, node.is_executable, is_marked=False)
    return node.name, FileEntry(digest, node.is_executable, _is_marked(node), *_attributes(node))


def _is_marked(node: reapi.FileNode | reapi.SymlinkNode) -> bool:
    if not node.HasField("node_properties"):
        return False
    return any(each.name == TOOL_INPUT_PROPERTY for each in node.node_properties.properties)


def _attributes(node: reapi.FileNode) -> tuple[int | None, int | None]:
    """Return the modification time and the permission bits that a file's properties request."""
    given, mtime, mode = node.node_properties, None, None
    if given.HasField("mtime"):
        if not 0 <= given.mtime.seconds <= _LATEST or not 0 <= given.mtime.nanos < 10**9:
            raise invalid_argument(f"file {node.name!r} has an mtime that no file can have")
        mtime = given.mtime.seconds * 10**9 + given.mtime.nanos
    if given.HasField("unix_mode"):
        mode = given.unix_mode.value & 0o777
    return mtime, mode

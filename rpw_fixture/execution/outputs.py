"""Collects the outputs of an action: files, symlinks, and folders as Trees.

Symlinks are reported, never followed; an output behind a link that leads out of the root is refused.
Fifos, sockets and devices inside folders are left out; as outputs themselves they are refused.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from rpw_fixture.errors import RequestError, failed_precondition
from rpw_fixture.events.kinds import FileRecord
from rpw_fixture.execution.output_lookup import (
    ABSENT,
    ROOT,
    OutputsChangedError,
    OutsideError,
    found_folder,
    kind_at,
    mounted,
    open_folder,
    open_output,
)
from rpw_fixture.execution.results import Timeline
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.file_intake import OPEN_OUTPUT, put_file
from rpw_fixture.support.beneath import Beneath, open_beneath
from rpw_fixture.support.closing import Closeable
from rpw_fixture.support.paths import join_normalised, leads_out
from rpw_fixture.wire.command import CommandSpec
from rpw_fixture.wire.digests import Digest, message_of
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.wire.varints import varint

_MAX_DEPTH = 200


@dataclass(slots=True, kw_only=True)
class Outputs:
    """The outputs that were collected.

    Attributes:
        result: an ActionResult with nothing but its output fields.
        files: every file, also those inside folders.
        links: the target of every symlink by its path, also of those inside folders.
    """

    result: reapi.ActionResult = field(default_factory=reapi.ActionResult)
    files: list[FileRecord] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)


def collect(
    root: Beneath,
    command: CommandSpec,
    store: BlobStore,
    *,
    timeline: Timeline,
    absolute_symlinks: bool = True,
) -> Outputs:
    """Put the declared outputs that exist into the store.

    Args:
        root: the action's folder on disk.
        command: declares the outputs.
        store: takes their content.
        timeline: gets the times of the beginning and of the end.
        absolute_symlinks: False refuses links with absolute targets.

    Raises:
        RequestError: FAILED_PRECONDITION for an output that is not of the declared type (clients
            before API 2.1), is not a file, folder or link that is allowed, lies outside the root or on
            a mount, can't be read or has a name that is not UTF-8; `OutputsChangedError` when it
            changes meanwhile.
        OSError: such as a full disk.
    """
    timeline.reach("output_upload_start")
    with _Collector(root, command, store) as collector:
        outputs = collector.run()
    if not absolute_symlinks:
        _refuse_absolute(outputs.links)
    timeline.reach("output_upload_completed")
    return outputs


class _Collector(Closeable):
    def __init__(self, root: Beneath, command: CommandSpec, store: BlobStore) -> None:
        self._root = root
        self._fd = -1
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

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def _collect(self, path: str, declared: str) -> None:
        # Normalised, because lstat follows a link whose name ends in a slash.
        full = join_normalised(self._command.working_directory, path)
        if leads_out(full):
            raise _outside(path)
        if declared != "folder" and self._is_plain_file(path, full):
            return
        above, name = posixpath.split(full)
        try:
            with found_folder(self._opened_root(), self._root.path, above or ".") as folder:
                if folder is not None:
                    self._collect_in(folder, name, _Wanted(path, full, declared))
        except FileNotFoundError:  # the root itself is gone
            return
        except OutsideError:
            raise _outside(path) from None
        except PermissionError:
            raise failed_precondition(f"output {path!r} can't be read") from None
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            raise mounted(path) from None

    def _is_plain_file(self, path: str, full: str) -> bool:
        """Collect an output at once if it is a file and no symlink leads to it, as nearly all are."""
        try:
            fd = open_beneath(self._root.own.fd, f"{self._root.name}/{full}", OPEN_OUTPUT)
        except OSError:  # the slow way, name by name, finds the reason
            return False
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                return False
            self._add_file(path, found, put_file(self._store, fd, found.st_size))
        finally:
            os.close(fd)
        return True

    def _opened_root(self) -> int:
        """Return the root's descriptor.

        Raises:
            RequestError: FAILED_PRECONDITION when it is a mount, or no folder.
            OSError: FileNotFoundError when it is gone.
        """
        if self._fd < 0:
            try:
                with self._root.opened() as fd:
                    self._fd = os.dup(fd)
            except NotADirectoryError:
                raise OutputsChangedError(ROOT) from None
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                raise mounted(ROOT) from None
        return self._fd

    def _collect_in(self, folder: int, name: str, wanted: _Wanted) -> None:
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            if error.errno in ABSENT:
                return
            raise
        path, declared = wanted.path, wanted.declared
        if stat.S_ISREG(found.st_mode) and declared != "folder":
            self._add_file(path, *kept_file(self._store, folder, name, path))
        elif stat.S_ISLNK(found.st_mode):
            if path in {"", "."}:  # the working directory itself
                raise OutsideError
            self._add_symlink(folder, name, wanted, found)
        else:
            self._add_folder(folder, name, wanted, found)

    def _add_file(self, path: str, found: os.stat_result, digest: Digest) -> None:
        self._outputs.files.append(FileRecord(path, str(digest)))
        self._outputs.result.output_files.add(
            path=path,
            digest=message_of(digest),
            is_executable=bool(found.st_mode & stat.S_IXUSR),
            node_properties=_properties(found, self._command.output_node_properties),
        )

    def _add_symlink(self, folder: int, name: str, wanted: _Wanted, found: os.stat_result) -> None:
        result, path, declared = self._outputs.result, wanted.path, wanted.declared
        link = reapi.OutputSymlink(
            path=path,
            target=_utf8(_target(folder, name, path), f"the target of output {path!r}"),
            node_properties=_properties(found, self._command.output_node_properties),
        )
        result.output_symlinks.append(link)
        self._outputs.links[path] = link.target
        if not declared:
            return
        if kind_at(self._opened_root(), self._root.path, wanted.full) not in {"", declared}:
            raise failed_precondition(f"output {path!r} is a link that leads to no {declared}")
        # Clients before API 2.1 read only the list of the declared type.
        old = result.output_file_symlinks
        if declared == "folder":
            old = result.output_directory_symlinks
        old.append(link)

    def _add_folder(self, folder: int, name: str, wanted: _Wanted, found: os.stat_result) -> None:
        path, declared = wanted.path, wanted.declared
        is_folder = stat.S_ISDIR(found.st_mode)
        if declared == ("file" if is_folder else "folder"):
            actual = "folder" if is_folder else "file"
            raise failed_precondition(
                f"output {path!r} was declared as a {declared}, but is a {actual}"
            )
        if not is_folder:
            raise failed_precondition(f"output {path!r} is neither a file nor a folder nor a link")
        tree = _TreeBuilder(self._store, self._command.output_node_properties, self._outputs)
        root = tree.add(folder, name, path.rstrip("/"), 1)
        digest = self._store.put(tree.message())
        self._outputs.result.output_directories.add(
            path=path,
            tree_digest=message_of(digest),
            is_topologically_sorted=True,
            root_directory_digest=message_of(root),
        )


class _Wanted(NamedTuple):
    """A declared output.

    Attributes:
        path: as declared.
        full: normalised, relative to the root.
        declared: "file" or "folder" for clients before API 2.1, else "".
    """

    path: str
    full: str
    declared: str


def kept_file(store: BlobStore, folder: int, name: str, path: str) -> tuple[os.stat_result, Digest]:
    """Store the content of a file in an open folder; return the file's state, and the digest.

    Args:
        store: gets the content.
        folder: descriptor of the folder.
        name: name of the file in it.
        path: path of the output, for messages.

    Raises:
        RequestError: as `open_output`; RESOURCE_EXHAUSTED when it can't fit.
    """
    fd = open_output(folder, name, OPEN_OUTPUT, path)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OutputsChangedError(path)
        return found, put_file(store, fd, found.st_size)
    finally:
        os.close(fd)


def _outside(path: str) -> RequestError:
    return failed_precondition(f"output {path!r} lies behind a link out of the input root")


def _target(folder: int, name: str, path: str) -> str:
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError:  # it is not a folder any longer
        raise OutputsChangedError(path) from None


class _TreeBuilder:
    """Builds a Tree that lists every folder once, parents first.

    The bytes are put together by hand, because `is_topologically_sorted` promises the exact form
    (remote_execution.proto, OutputDirectory).
    """

    def __init__(self, store: BlobStore, properties: Collection[str], outputs: Outputs) -> None:
        self._store = store
        self._wanted = properties
        self._outputs = outputs
        self._children_first: dict[Digest, bytes] = {}

    def add(self, parent: int, name: str, path: str, depth: int) -> Digest:
        """Add a folder and all below it; return the digest of its Directory.

        Args:
            parent: descriptor of the folder that holds it.
            name: its name in ``parent``.
            path: its path below the output, the output's path included, without a slash at the end.
            depth: number of folders from the output to it, 1 for the output itself.
        """
        prefix = f"{path}/" if path else ""
        if depth > _MAX_DEPTH:
            raise failed_precondition(f"output folder {prefix!r} is over {_MAX_DEPTH} folders deep")
        fd = open_folder(parent, name, path)
        try:
            message = self._directory(fd, prefix, depth)
        finally:
            os.close(fd)
        data = message.SerializeToString(deterministic=True)
        digest = self._store.put(data)
        # A folder that was added before keeps its place, which is after everything that it contains.
        self._children_first.setdefault(digest, data)
        return digest

    def _directory(self, fd: int, prefix: str, depth: int) -> reapi.Directory:
        message = reapi.Directory(node_properties=_properties(os.fstat(fd), self._wanted))
        for entry in _sorted_entries(fd):
            name = _utf8(entry.name, f"a name in output folder {prefix!r}")
            if entry.is_symlink():
                self._add_symlink(message, fd, entry, prefix)
            elif entry.is_dir(follow_symlinks=False):
                digest = self.add(fd, name, f"{prefix}{name}", depth + 1)
                message.directories.add(name=name, digest=message_of(digest))
            elif entry.is_file(follow_symlinks=False):
                self._add_file(message, fd, name, prefix)
        return message

    def message(self) -> bytes:
        """Return the bytes of the Tree."""
        root, *children = reversed(self._children_first.values())
        pieces = [b"\x0a", varint(len(root)), root]
        for data in children:
            pieces += (b"\x12", varint(len(data)), data)
        return b"".join(pieces)

    def _add_file(self, message: reapi.Directory, fd: int, name: str, prefix: str) -> None:
        found, digest = kept_file(self._store, fd, name, prefix + name)
        self._outputs.files.append(FileRecord(prefix + name, str(digest)))
        message.files.add(
            name=name,
            digest=message_of(digest),
            is_executable=bool(found.st_mode & stat.S_IXUSR),
            node_properties=_properties(found, self._wanted),
        )

    def _add_symlink(
        self, message: reapi.Directory, fd: int, entry: os.DirEntry[str], prefix: str
    ) -> None:
        path = prefix + entry.name
        target = _utf8(_target(fd, entry.name, path), f"the target of link {entry.name!r}")
        self._outputs.links[path] = target
        message.symlinks.add(
            name=entry.name,
            target=target,
            node_properties=self._properties_of(entry, path),
        )

    def _properties_of(self, entry: os.DirEntry[str], path: str) -> reapi.NodeProperties | None:
        if not self._wanted:
            return None
        try:
            return _properties(entry.stat(follow_symlinks=False), self._wanted)
        except FileNotFoundError:
            raise OutputsChangedError(path) from None


def _refuse_absolute(links: Mapping[str, str]) -> None:
    for path, target in links.items():
        if target.startswith("/"):
            raise failed_precondition(
                f"output symlink {path!r} has the absolute target {target[:200]!r}, "
                "which this server does not allow"
            )


def _sorted_entries(folder: int) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from sorted(entries, key=lambda entry: entry.name)


def _properties(found: os.stat_result, wanted: Collection[str]) -> reapi.NodeProperties | None:
    """Return the requested ones of `NODE_PROPERTIES`; None when none is requested."""
    if not wanted:
        return None
    properties = reapi.NodeProperties()
    if "mtime" in wanted:
        properties.mtime.FromNanoseconds(found.st_mtime_ns)
    if "unix_mode" in wanted:
        properties.unix_mode.value = stat.S_IMODE(found.st_mode)
    return properties


def _utf8(name: str, what: str) -> str:
    """Return ``name``, as found on disk, if a message can hold it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise failed_precondition(f"{what} is not UTF-8: {os.fsencode(name)!r}") from None
    return name

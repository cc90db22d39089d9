"""Input trees of actions under check: `Folder` values for staging, from entries by path.

The digests of these folders are not those of Directory messages: only staging and the input index use
them, and both only compare them.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rpw_fixture.client.inputs import Entry, File, Symlink
from rpw_fixture.errors import ConfigError, RequestError
from rpw_fixture.execution.staging.placed import Parents
from rpw_fixture.hermeticity.suites.suite import SuiteAction, SuiteWorker
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.support.paths import join_normalised
from rpw_fixture.wire import flagfiles
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.flagfiles import FlagfileReader
from rpw_fixture.wire.trees import FileEntry, Folder, SymlinkEntry


@dataclass(slots=True)
class _Draft:
    files: dict[str, FileEntry] = field(default_factory=dict)
    symlinks: dict[str, SymlinkEntry] = field(default_factory=dict)
    folders: dict[str, _Draft] = field(default_factory=dict)

    def below(self, path: str) -> _Draft:
        here = self
        for name in path.split("/") if path else ():
            here = here.folders.setdefault(name, _Draft())
        return here

    def finish(self, *, is_reversed: bool) -> Folder:
        folders = {
            name: each.finish(is_reversed=is_reversed) for name, each in self.folders.items()
        }
        files, symlinks = self.files, self.symlinks
        if is_reversed:
            files = dict(reversed(files.items()))
            symlinks = dict(reversed(symlinks.items()))
            folders = dict(reversed(folders.items()))
        content = (
            [
                (name, str(each.digest), each.is_executable, each.mtime_ns)
                for name, each in files.items()
            ],
            [(name, each.target) for name, each in symlinks.items()],
            [(name, each.digest.hash) for name, each in folders.items()],
        )
        digest = Digest(
            hashlib.sha256(repr(content).encode(errors="surrogateescape")).hexdigest(), 1
        )
        return Folder(digest, files, folders, symlinks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The input tree of an action, and what its request and its outputs need.

    Attributes:
        root: the input root, with tool inputs and flagfile.
        parents: additional folders that must exist.
        arguments: the arguments of the WorkRequest.
        outputs: declared outputs, relative to the input root.
    """

    root: Folder
    parents: Parents
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]


def layout(
    worker: SuiteWorker,
    action: SuiteAction,
    store: BlobStore,
    *,
    is_reversed: bool = False,
    mtime: int | None = None,
) -> Layout:
    """Return the layout of an action for a worker.

    Args:
        worker: has the tool inputs.
        action: has the other inputs, and the outputs.
        store: gets the contents.
        is_reversed: sort the names of each folder in the opposite order.
        mtime: modification time of all files, seconds since the epoch; None for the usual one.

    Raises:
        ConfigError: an input is at a path where another input needs a folder, or a flagfile can't be
            expanded.
    """
    base = worker.working_directory
    flagfile = join_normalised(base, action.flagfile)
    text = "".join(f"{line}\n" for line in action.arguments)
    entries = {**action.inputs, flagfile: File(text.encode()), **worker.tool_inputs}
    outputs = tuple(join_normalised(base, each.rstrip("/")) for each in action.outputs)
    parents = [posixpath.dirname(each) for each in outputs]
    root = _folder(entries, store, is_reversed=is_reversed, mtime=mtime)
    reader = FlagfileReader(root, base, store.get)
    try:
        arguments = tuple(
            flagfiles.expand([worker.flagfile_argument(action.flagfile)], reader.read)
        )
    except RequestError as error:
        raise ConfigError(error.message) from None
    return Layout(
        root=root,
        parents=Parents.of(each for each in [base, *parents] if each),
        arguments=arguments,
        outputs=outputs,
    )


def tool_layout(worker: SuiteWorker, store: BlobStore) -> Layout:
    """Return the layout of the tool inputs alone."""
    base = worker.working_directory
    return Layout(
        root=_folder(worker.tool_inputs, store),
        parents=Parents.of([base] if base else []),
        arguments=(),
        outputs=(),
    )


def merged(layouts: Sequence[Layout]) -> Layout:
    """Return one layout for several actions, as overlapping requests without sandboxes need it.

    Raises:
        ValueError: two of them need different content at one path.
    """
    paths = [path for each in layouts for path in each.outputs]
    if len(set(paths)) < len(paths):
        raise ValueError("two actions have an output in common")
    parents = Parents()
    for each in layouts:
        _merge_parents(parents, each.parents)
    root = layouts[0].root
    for each in layouts[1:]:
        root = _merge(root, each.root)
    return Layout(root=root, parents=parents, arguments=(), outputs=tuple(paths))


def _merge(one: Folder, other: Folder) -> Folder:
    files = {**one.files, **other.files}
    symlinks = {**one.symlinks, **other.symlinks}
    folders = dict(one.folders)
    for name, folder in other.folders.items():
        folders[name] = _merge(folders[name], folder) if name in folders else folder
    names = [*files, *symlinks, *folders]
    for mine, theirs in ((one.files, other.files), (one.symlinks, other.symlinks)):
        for name in mine.keys() & theirs.keys():
            if mine[name] != theirs[name]:
                raise ValueError(f"two actions have different inputs at {name!r}")
    if len(set(names)) < len(names):
        raise ValueError("one action has a file where another one has a folder")
    digest = hashlib.sha256(f"{one.digest.hash} {other.digest.hash}".encode()).hexdigest()
    return Folder(Digest(digest, 2), files, folders, symlinks)


def _merge_parents(into: Parents, more: Parents) -> None:
    for name, below in more.items():
        _merge_parents(into.setdefault(name, Parents()), below)


def _folder(
    entries: Mapping[str, Entry],
    store: BlobStore,
    *,
    is_reversed: bool = False,
    mtime: int | None = None,
) -> Folder:
    draft = _Draft()
    mtime_ns = None if mtime is None else mtime * 1_000_000_000
    for path, entry in sorted(entries.items()):
        parent, name = posixpath.split(path)
        here = draft.below(parent)
        if isinstance(entry, File):
            digest = store.put(entry.content)
            here.files[name] = FileEntry(
                digest, entry.is_executable, is_marked=False, mtime_ns=mtime_ns
            )
        elif isinstance(entry, Symlink):
            here.symlinks[name] = SymlinkEntry(entry.target, is_marked=False)
        else:
            here.below(name)
        if name in here.folders and (name in here.files or name in here.symlinks):
            raise ConfigError(f"input {path!r} is at a path where another input needs a folder")
    return draft.finish(is_reversed=is_reversed)

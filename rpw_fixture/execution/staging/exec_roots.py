"""Input roots of workers: one for one request at a time, one that requests share, or sandboxes.

A worker has the same working directory all its life. There is one class for each way in which the inputs
of its requests get there.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import posixpath
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from rpw_fixture.execution.resolve import ResolvedAction
from rpw_fixture.execution.staging.changes import FolderWatcher
from rpw_fixture.execution.staging.placed import Parents
from rpw_fixture.execution.staging.staged_root import StagedRoot
from rpw_fixture.support.beneath import Beneath
from rpw_fixture.support.cancellation import CancelToken
from rpw_fixture.support.paths import join_normalised
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.trees import FileEntry, Folder, SymlinkEntry
from rpw_fixture.workers.personalities.rules import Leftovers

#: Folder for sandboxes in a worker's working directory.
_SANDBOXES = "__sandbox"
#: Stands for the digest of a folder that is a part of a tree and has none.
_PARTIAL = Digest("", 0)


@dataclass(slots=True, kw_only=True)
class Sandbox:
    """The place of one request on disk.

    Attributes:
        root: the input root that holds its inputs and will hold its outputs.
        sandbox_dir: ``WorkRequest.sandbox_dir``, relative to the worker's working directory.
        has_failed: whether the request failed; the executor sets it to False after exit code 0.
        changed: paths of inputs that changed since they were placed for an earlier request.
        has_leftovers: whether an earlier request left something that can't be removed.
    """

    root: Beneath
    sandbox_dir: str = ""
    has_failed: bool = True
    changed: Sequence[str] = ()
    has_leftovers: bool = False


class ExecRoot(Protocol):
    """The input root, or roots, of one worker."""

    def first(self, action: ResolvedAction, parents: Parents) -> None:
        """Place what the process may need when it starts."""

    def place(
        self, action: ResolvedAction, parents: Parents, token: CancelToken
    ) -> contextlib.AbstractContextManager[Sandbox]:
        """Place the inputs of one request; within the block no other request uses the place."""


class PrivateRoot:
    """A root for one request at a time; only the difference to the request before is written.

    Args:
        path: an empty folder.
        watcher: reports what changed in it.
        leftovers: what becomes of files that the next action does not declare.
    """

    def __init__(
        self, path: Beneath, watcher: FolderWatcher, leftovers: Leftovers = Leftovers.REMOVED
    ) -> None:
        self._staged = StagedRoot(path, watcher)
        self._leftovers = leftovers
        self._has_failed = False

    def first(self, action: ResolvedAction, parents: Parents) -> None:
        """Place all inputs, because files of the tool may not be marked as tool inputs."""
        self._staged.stage(action.root, parents, action.store)

    @contextlib.contextmanager
    def place(
        self, action: ResolvedAction, parents: Parents, token: CancelToken
    ) -> Iterator[Sandbox]:
        """See `ExecRoot.place`."""
        del token
        changed: Sequence[str] = ()
        if self._is_kept():
            self._staged.add(action.root, parents, output_paths(action), action.store)
        else:
            changed = self._staged.stage(action.root, parents, action.store)
        place = Sandbox(
            root=self._staged.place, changed=changed, has_leftovers=self._staged.has_leftovers
        )
        try:
            yield place
        finally:
            self._has_failed = place.has_failed

    def _is_kept(self) -> bool:
        if self._leftovers is Leftovers.KEPT_AFTER_FAILURE:
            return self._has_failed
        return self._leftovers is Leftovers.KEPT


class SharedRoot:
    """A root for overlapping requests without sandboxes: one folder has the inputs of all of them.

    Two requests conflict if they have different inputs at one path, or if an output of one is an output
    or an input of the other. A request waits for the earlier ones that it conflicts with.
    """

    def __init__(self, path: Beneath, watcher: FolderWatcher) -> None:
        self._staged = StagedRoot(path, watcher)
        self._changed = threading.Condition()
        self._active: list[ResolvedAction] = []
        self._waiting: dict[int, ResolvedAction] = {}
        self._tickets = itertools.count()

    def first(self, action: ResolvedAction, parents: Parents) -> None:
        """Place all inputs, because files of the tool may not be marked as tool inputs."""
        self._staged.stage(action.root, parents, action.store)

    @contextlib.contextmanager
    def place(
        self, action: ResolvedAction, parents: Parents, token: CancelToken
    ) -> Iterator[Sandbox]:
        """See `ExecRoot.place`.

        Raises:
            RequestError: CANCELLED while waiting.
        """
        with self._changed:
            self._await_turn(action, token)
            place = Sandbox(root=self._staged.place)
            if self._active:
                self._staged.add(action.root, parents, output_paths(action), action.store)
            else:
                place.changed = self._staged.stage(action.root, parents, action.store)
                place.has_leftovers = self._staged.has_leftovers
            self._active.append(action)
        try:
            yield place
        finally:
            with self._changed:
                self._active.remove(action)
                self._changed.notify_all()

    def _await_turn(self, action: ResolvedAction, token: CancelToken) -> None:
        ticket = next(self._tickets)
        self._waiting[ticket] = action
        try:
            with token.calling(self._wake):
                self._changed.wait_for(lambda: token.is_cancelled or self._fits(action, ticket))
        finally:
            del self._waiting[ticket]
            self._changed.notify_all()
        token.check()

    def _fits(self, action: ResolvedAction, ticket: int) -> bool:
        ahead = (other for number, other in self._waiting.items() if number < ticket)
        return not any(_disturb(action, other) for other in (*self._active, *ahead))

    def _wake(self) -> None:
        # A token that was cancelled before calls back the thread that holds the lock already, which
        # the condition's reentrant lock lets in.
        with self._changed:
            self._changed.notify_all()


class SandboxedRoot:
    """A root for requests with ``sandbox_dir``: each request has a separate folder with its inputs.

    The working directory holds the tool. Sandboxes are reused, so that only the difference between one
    request and the next is written.

    Args:
        path: an empty folder.
        watcher: reports what changed in sandboxes.
        tool_paths: of the tool inputs; when there are none, all inputs of the first action are put
            into the working directory.
        is_absolute: requests name their sandbox by its absolute path.
    """

    def __init__(
        self,
        path: Beneath,
        watcher: FolderWatcher,
        tool_paths: frozenset[str],
        *,
        is_absolute: bool = False,
    ) -> None:
        self._path = path
        self._watcher = watcher
        self._tool_paths = tool_paths
        self._is_absolute = is_absolute
        self._staged = StagedRoot(path)
        self._lock = threading.Lock()
        self._free: list[tuple[str, StagedRoot]] = []
        self._count = 0

    def first(self, action: ResolvedAction, parents: Parents) -> None:
        """Place the tool inputs, and make the working directory."""
        del parents
        tools = only(action.root, self._tool_paths) if self._tool_paths else action.root
        base = Parents.of([action.command.working_directory])
        self._staged.stage(tools, base, action.store)

    @contextlib.contextmanager
    def place(
        self, action: ResolvedAction, parents: Parents, token: CancelToken
    ) -> Iterator[Sandbox]:
        """See `ExecRoot.place`."""
        del token
        base = action.command.working_directory
        with self._lock:
            name, sandbox = self._free.pop() if self._free else self._new(base)
        try:
            changed = sandbox.stage(action.root, parents, action.store)
            name_in_request = sandbox.path if self._is_absolute else name
            sandbox_dir = posixpath.join(name_in_request, base) if base else name_in_request
            yield Sandbox(
                root=sandbox.place,
                sandbox_dir=sandbox_dir,
                changed=changed,
                has_leftovers=sandbox.has_leftovers,
            )
        finally:
            with self._lock:
                self._free.append((name, sandbox))

    def _new(self, base: str) -> tuple[str, StagedRoot]:
        self._count += 1
        name = f"{_SANDBOXES}/{self._count}"
        place = self._path.below(base).below(name)
        place.make()
        return name, StagedRoot(place, self._watcher)


def output_paths(action: ResolvedAction) -> list[str]:
    """Return all declared outputs, relative to the input root; "" is the root itself."""
    return _inside(action.command.working_directory, action.command.outputs)


def output_parents(action: ResolvedAction) -> Parents:
    """Return the folders that must exist before the action runs.

    They are the working directory and the parents of every output, not the outputs themselves
    (remote_execution.proto, Command.output_paths).
    """
    return _parents(action.command.working_directory, action.command.outputs)


def _inside(base: str, paths: Iterable[str]) -> list[str]:
    normal = (join_normalised(base, path) for path in paths)
    return ["" if path == "." else path for path in normal]


@lru_cache(maxsize=1024)
def _parents(base: str, outputs: tuple[str, ...]) -> Parents:
    return Parents.of(
        each for each in (base, *map(os.path.dirname, _inside(base, outputs))) if each
    )


def only(folder: Folder, paths: frozenset[str], prefix: str = "") -> Folder:
    """Return the part of a tree that consists of the files and symlinks at ``paths``."""
    files = {name: entry for name, entry in folder.files.items() if prefix + name in paths}
    links = {name: entry for name, entry in folder.symlinks.items() if prefix + name in paths}
    folders = {
        name: part
        for name, child in folder.folders.items()
        if (part := only(child, paths, f"{prefix}{name}/")).count
    }
    return Folder(_PARTIAL, files, folders, links)


def _disturb(one: ResolvedAction, other: ResolvedAction) -> bool:
    """Return whether two actions conflict, so that they can't share a folder at the same time."""
    outputs, others = output_paths(one), output_paths(other)
    return (
        _contradict(one.root, other.root)
        or any(_overlap(path, each) for path in outputs for each in others)
        or any(_is_input(other.root, path) for path in outputs)
        or any(_is_input(one.root, path) for path in others)
    )


def _overlap(path: str, other: str) -> bool:
    """Return whether one of two paths is, or lies in, the other."""
    if not path or not other:  # the whole input root
        return True
    return f"{path}/".startswith(f"{other}/") or f"{other}/".startswith(f"{path}/")


def _is_input(root: Folder, path: str) -> bool:
    """Return whether an output's path is taken by an input; an empty folder does not count."""
    found = root.find(path)
    return found is not None and not (isinstance(found, Folder) and not found.count)


def _contradict(one: Folder, other: Folder) -> bool:
    """Return whether two trees have different entries at one path."""
    if one.digest == other.digest:
        return False
    for name in one.folders.keys() & other.folders.keys():
        if _contradict(one.folders[name], other.folders[name]):
            return True
    leaves, others = _leaves(one), _leaves(other)
    if any(leaves[name] != others[name] for name in leaves.keys() & others.keys()):
        return True
    return bool(leaves.keys() & other.folders.keys() or others.keys() & one.folders.keys())


def _leaves(folder: Folder) -> dict[str, FileEntry | SymlinkEntry]:
    return {**folder.files, **folder.symlinks}

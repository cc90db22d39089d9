"""Resolves actions: from a digest to everything needed to run it, or to the reason why it can't be run.

Content named by digest never changes, so commands and folders are decoded and checked once, and kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from google.protobuf.message import DecodeError

from rpw_fixture.config import Config
from rpw_fixture.errors import BlobMissingError, Code, RequestError, invalid_argument
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.support.memo import Memo
from rpw_fixture.wire import canonical
from rpw_fixture.wire.command import (
    CommandSpec,
    decode_command,
    platform_properties,
    property_map,
)
from rpw_fixture.wire.digests import Digest, DigestFunction
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.wire.trees import Folder, FolderDecoder

#: Most arguments and variables of commands, and most files and folders of input trees, that are kept.
#: Each takes a few hundred bytes.
_MOST_WORDS, _MOST_ENTRIES = 50_000, 50_000


class ResolvedAction(NamedTuple):
    """An action with all it refers to.

    Attributes:
        digest: of the Action.
        instance_name: of the request.
        function, store: the digest function of all its digests, and the blobs under that function.
        command: the command to run.
        properties: platform properties, the Action's if it has any, else the Command's
            (remote_execution.proto, Action.platform, since 2.2).
        action_properties: those of the Action alone, as pairs.
        root: the input root.
        timeout: seconds the command may run.
        do_not_cache: the result must not be cached.
    """

    digest: Digest
    instance_name: str
    function: DigestFunction
    store: BlobStore
    command: CommandSpec
    properties: Mapping[str, str]
    action_properties: tuple[tuple[str, str], ...]
    root: Folder
    timeout: float
    do_not_cache: bool


class Resolver:
    """Resolves actions.

    Args:
        config: gives the limits.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._commands: Memo[tuple[str, Digest], CommandSpec] = Memo(_MOST_WORDS, _words)
        self._folders: Memo[tuple[str, Digest], Folder] = Memo(_MOST_ENTRIES, _entries)
        self._decoders: dict[str, FolderDecoder] = {}

    def clear(self) -> None:
        """Forget all decoded content."""
        self._decoders.clear()
        self._commands.clear()
        self._folders.clear()

    def decode_action(self, digest: Digest, store: BlobStore) -> reapi.Action:
        """Return the Action message of ``digest``.

        Raises:
            BlobMissingError: when it is not in the store.
            RequestError: INVALID_ARGUMENT for bytes that are not an Action.
        """
        data = store.get(digest)
        if self._config.strict:
            canonical.require_action(str(digest), data)
        try:
            return reapi.Action.FromString(data)
        except DecodeError as error:
            raise invalid_argument(f"blob {digest} is not an Action: {error}") from None

    def resolve(
        self, digest: Digest, action: reapi.Action, store: BlobStore, instance_name: str
    ) -> ResolvedAction:
        """Return the action with all it refers to.

        Raises:
            BlobMissingError: naming every missing blob, not only the first.
            RequestError: INVALID_ARGUMENT for what can't be decoded or breaks a rule.
        """
        function = store.function
        command_digest = function.validate(action.command_digest, what="command_digest")
        root_digest = function.validate(action.input_root_digest, what="input_root_digest")
        timeout = self._timeout(action)
        missing: dict[Digest, None] = {}
        command = self._command(command_digest, store, missing)
        root = self._root(root_digest, store, missing)
        if missing or command is None or root is None:
            raise BlobMissingError([function.subject(each) for each in missing])
        if self._config.strict:
            _require_working_directory(command.working_directory, root)
        own = platform_properties(action.platform)
        return ResolvedAction(
            digest=digest,
            instance_name=instance_name,
            function=function,
            store=store,
            command=command,
            properties=property_map(own or command.platform),
            action_properties=own,
            root=root,
            timeout=timeout,
            do_not_cache=action.do_not_cache,
        )

    def _timeout(self, action: reapi.Action) -> float:
        if not action.HasField("timeout"):
            return self._config.default_timeout
        whole, nanos = action.timeout.seconds, action.timeout.nanos
        seconds = whole + nanos / 1e9
        if not -1_000_000_000 < nanos < 1_000_000_000 or whole * nanos < 0:
            raise invalid_argument(
                f"timeout of {whole} s and {nanos} ns: nanos must be below 10^9 and have the sign of "
                "seconds (google.protobuf.Duration)"
            )
        if seconds < 0:
            raise invalid_argument(f"timeout of {seconds} s: it must not be negative")
        if seconds > self._config.max_timeout:
            raise invalid_argument(
                f"timeout of {seconds:g} s exceeds this server's maximum, "
                f"{self._config.max_timeout:g} s"
            )
        return seconds or self._config.default_timeout

    def _command(
        self, digest: Digest, store: BlobStore, missing: dict[Digest, None]
    ) -> CommandSpec | None:
        key = (store.function.name, digest)
        known = self._commands.get(key)
        if known is not None and store.contains(digest):
            return known
        data = store.get_or_none(digest)
        if data is None:
            missing[digest] = None
            return None
        if self._config.strict:
            canonical.require_command(str(digest), data)
        return self._commands.put(key, decode_command(digest, data))

    def _root(self, digest: Digest, store: BlobStore, missing: dict[Digest, None]) -> Folder | None:
        visit = _TreeVisit(store, missing)
        root = self._folder(digest, 1, visit)
        if root is None:
            return None
        if root.count > self._config.max_input_files:
            raise RequestError(
                Code.RESOURCE_EXHAUSTED,
                f"input root {digest} holds {root.count} entries; "
                f"this server takes {self._config.max_input_files}",
            )
        _note_missing_blobs(root, visit)
        return root

    def _folder(self, digest: Digest, depth: int, visit: _TreeVisit) -> Folder | None:
        store = visit.store
        key = (store.function.name, digest)
        known = self._folders.get(key)
        if known is None and (known := visit.with_gaps.get(digest)) is not None:
            visit.gaps += 1
        if known is not None:
            self._refuse_depth(depth + known.depth - 1)
            return known
        self._refuse_depth(depth)
        data = None if digest in visit.missing else store.get_or_none(digest)
        if data is None:
            visit.missing[digest] = None
            visit.gaps += 1
            return None
        if self._config.strict:
            canonical.require_directory(str(digest), data)
        gaps = visit.gaps
        child = partial(self._folder, depth=depth + 1, visit=visit)
        folder = self._decoder(store.function).decode(digest, data, child)
        if not self._config.absolute_symlinks:
            _refuse_absolute_symlinks(folder)
        # Kept for this action only: the client uploads what is missing, and tries again.
        if visit.gaps > gaps:
            visit.with_gaps[digest] = folder
            return folder
        return self._folders.put(key, folder)

    def _decoder(self, function: DigestFunction) -> FolderDecoder:
        known = self._decoders.get(function.name)
        return known or self._decoders.setdefault(function.name, FolderDecoder(function))

    def _refuse_depth(self, depth: int) -> None:
        if depth > self._config.max_tree_depth:
            raise invalid_argument(f"input root is over {self._config.max_tree_depth} folders deep")


@dataclass(slots=True)
class _TreeVisit:
    """The state of a walk through one input tree.

    Attributes:
        store: has the blobs.
        missing: every blob found to be missing.
        gaps: number of folders met so far that are missing, or have a missing folder below.
        with_gaps: folders with a missing folder below. Each is entered once; otherwise a tree that names
            one folder twice on each level would be walked once for each of its paths.
        incomplete: folders with any missing blob below.
    """

    store: BlobStore
    missing: dict[Digest, None]
    gaps: int = 0
    with_gaps: dict[Digest, Folder] = field(default_factory=dict)
    incomplete: set[Digest] = field(default_factory=set)


def _words(command: CommandSpec) -> int:
    return 10 + len(command.arguments) + len(command.environment)


def _entries(folder: Folder) -> int:
    return 1 + len(folder.files) + len(folder.folders) + len(folder.symlinks)


def _note_missing_blobs(folder: Folder, visit: _TreeVisit) -> bool:
    """Note which blobs below ``folder`` are missing; return whether none is."""
    evictions = visit.store.evictions
    if folder.complete_at == evictions:
        return True
    if folder.digest in visit.incomplete:
        return False
    below = [_note_missing_blobs(child, visit) for child in folder.folders.values()]
    absent = visit.store.missing(_blobs(folder))
    if absent or not all(below):
        visit.missing.update(dict.fromkeys(absent))
        visit.incomplete.add(folder.digest)
        return False
    folder.complete_at = evictions
    return True


def _blobs(folder: Folder) -> Iterator[Digest]:
    yield folder.digest
    for entry in folder.files.values():
        yield entry.digest


def _require_working_directory(path: str, root: Folder) -> None:
    # Lenient mode creates it: some clients send one that no input is in (buildfarm#1406).
    if not isinstance(root.find(path), Folder):
        raise invalid_argument(f"working directory {path!r} is not a folder of the input root")


def _refuse_absolute_symlinks(folder: Folder) -> None:
    for name, link in folder.symlinks.items():
        if link.target.startswith("/"):
            raise invalid_argument(
                f"symlink {name!r} in Directory {folder.digest} has the absolute target "
                f"{link.target[:200]!r}, which this server does not allow"
            )

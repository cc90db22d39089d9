"""From an action's digest to everything needed to run it, or the precise reason why that can't be.

Content named by digest never changes, so commands and folders are decoded and checked once and kept.
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

#: What is remembered: arguments and variables of commands, files and folders of input trees. Each
#: takes a few hundred bytes.
_MOST_WORDS, _MOST_ENTRIES = 50_000, 50_000


class ResolvedAction(NamedTuple):
    """An action with all it refers to.

    Attributes:
        digest: of the Action.
        instance_name: of the request.
        function, store: the digest function it is written in, and the blobs under that function.
        command: what to run.
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
        descent = _Descent(store, missing)
        root = self._folder(digest, 1, descent)
        if root is None:
            return None
        if root.count > self._config.max_input_files:
            raise RequestError(
                Code.RESOURCE_EXHAUSTED,
                f"input root {digest} holds {root.count} entries; "
                f"this server takes {self._config.max_input_files}",
            )
        _is_complete(root, descent)
        return root

    def _folder(self, digest: Digest, depth: int, descent: _Descent) -> Folder | None:
        store = descent.store
        key = (store.function.name, digest)
        known = self._folders.get(key)
        if known is None and (known := descent.holed.get(digest)) is not None:
            descent.holes += 1
        if known is not None:
            self._refuse_depth(depth + known.depth - 1)
            return known
        self._refuse_depth(depth)
        data = None if digest in descent.missing else store.get_or_none(digest)
        if data is None:
            descent.missing[digest] = None
            descent.holes += 1
            return None
        if self._config.strict:
            canonical.require_directory(str(digest), data)
        holes = descent.holes
        child = partial(self._folder, depth=depth + 1, descent=descent)
        folder = self._decoder(store.function).decode(digest, data, child)
        if not self._config.absolute_symlinks:
            _refuse_absolute_symlinks(folder)
        # A folder with a hole must not be kept: the hole may be filled before the next try.
        if descent.holes > holes:
            descent.holed[digest] = folder
            return folder
        return self._folders.put(key, folder)

    def _decoder(self, function: DigestFunction) -> FolderDecoder:
        known = self._decoders.get(function.name)
        return known or self._decoders.setdefault(function.name, FolderDecoder(function))

    def _refuse_depth(self, depth: int) -> None:
        if depth > self._config.max_tree_depth:
            raise invalid_argument(f"input root is over {self._config.max_tree_depth} folders deep")


@dataclass(slots=True)
class _Descent:
    """One way through an input tree.

    Attributes:
        store: where its blobs are.
        missing: every blob found to be missing.
        holes: how often a folder was met that is not there, or has such a one below.
        holed: the latter; without them, a tree that names one folder twice on each level would be
            entered once for each of its paths.
        incomplete: folders below which a blob is missing.
    """

    store: BlobStore
    missing: dict[Digest, None]
    holes: int = 0
    holed: dict[Digest, Folder] = field(default_factory=dict)
    incomplete: set[Digest] = field(default_factory=set)


def _words(command: CommandSpec) -> int:
    return 10 + len(command.arguments) + len(command.environment)


def _entries(folder: Folder) -> int:
    return 1 + len(folder.files) + len(folder.folders) + len(folder.symlinks)


def _is_complete(folder: Folder, descent: _Descent) -> bool:
    """Return whether all blobs below ``folder`` are in the store; note which are missing."""
    generation = descent.store.evictions
    if folder.complete_at == generation:
        return True
    if folder.digest in descent.incomplete:
        return False
    below = [_is_complete(child, descent) for child in folder.folders.values()]
    absent = descent.store.missing(_blobs(folder))
    if absent or not all(below):
        descent.missing.update(dict.fromkeys(absent))
        descent.incomplete.add(folder.digest)
        return False
    folder.complete_at = generation
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

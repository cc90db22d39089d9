"""Action results whose blobs are all in the CAS, those inside their trees included.

Clients that build without the bytes expect to read the outputs of an action-cache hit later
(ActionCache.GetActionResult in remote_execution.proto; bazel-remote#185).
"""

from __future__ import annotations

from google.protobuf.message import DecodeError

from rpw_fixture.errors import RequestError
from rpw_fixture.storage.action_cache import ActionCache, ActionKey, CachedResult
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.cas import Cas
from rpw_fixture.support.memo import Memo
from rpw_fixture.wire.digests import Digest, DigestFunction, digest_of
from rpw_fixture.wire.protos import remote_execution as reapi

_Key = tuple[str, Digest]
#: Digests of the files and of the folders in a folder.
_Contents = tuple[frozenset[Digest], frozenset[Digest]]
_NO_DIGEST = Digest("", 0)


class CompleteResults:
    """The action cache as clients see it: results whose blobs are all stored. Thread-safe.

    Args:
        results: the action cache.
        cas: has the blobs.
        is_checked: whether to check for the blobs.
        limit: most trees, and most folders, to remember by digest.
    """

    def __init__(
        self, results: ActionCache, cas: Cas, *, is_checked: bool = True, limit: int = 10_000
    ) -> None:
        self._results = results
        self._cas = cas
        self._is_checked = is_checked
        self._trees: Memo[_Key, frozenset[Digest]] = Memo(limit)
        self._directories: Memo[_Key, _Contents] = Memo(limit)

    def get(self, instance: str, function: DigestFunction, action: Digest) -> bytes | None:
        """Return an encoded ActionResult, or None when there is none or one of its blobs is missing.

        Its blobs are marked as used now.
        """
        entry = self._results.get(ActionKey(instance, function.name, action))
        if entry is None:
            return None
        if not self._is_checked or self._is_complete(entry, self._cas.store(function)):
            return entry.encoded
        return None

    def put(self, instance: str, function: DigestFunction, action: Digest, encoded: bytes) -> None:
        """Store an encoded ActionResult, whether its blobs are stored or not.

        Raises:
            RequestError: RESOURCE_EXHAUSTED when the disk is full.
        """
        self._results.put(ActionKey(instance, function.name, action), encoded)

    def _is_complete(self, entry: CachedResult, store: BlobStore) -> bool:
        evictions = self._cas.evictions
        if entry.complete_at != evictions:
            try:
                digests = self._referenced(reapi.ActionResult.FromString(entry.encoded), store)
            except (DecodeError, RequestError):  # a tree can't be decoded, or is missing
                return False
            blobs = store.entries(digests)
            if blobs is None:
                return False
            entry.blobs = blobs
            entry.complete_at = evictions
        store.touch(entry.blobs)
        return True

    def _referenced(self, result: reapi.ActionResult, store: BlobStore) -> set[Digest]:
        digests = {digest_of(file.digest) for file in result.output_files}
        for directory in result.output_directories:
            if directory.HasField("tree_digest"):
                digests |= self._in_tree(store, digest_of(directory.tree_digest))
            if directory.HasField("root_directory_digest"):
                digests |= self._in_directories(store, digest_of(directory.root_directory_digest))
        if result.HasField("stdout_digest"):
            digests.add(digest_of(result.stdout_digest))
        if result.HasField("stderr_digest"):
            digests.add(digest_of(result.stderr_digest))
        # An empty message means no value, not the empty blob (buildstream#2045).
        digests.discard(_NO_DIGEST)
        return digests

    def _in_tree(self, store: BlobStore, digest: Digest) -> frozenset[Digest]:
        key = (store.function.name, digest)
        known = self._trees.get(key)
        if known is None:
            tree = reapi.Tree.FromString(store.get(digest))
            files = (_files(directory) for directory in (tree.root, *tree.children))
            known = self._trees.put(key, frozenset({digest}.union(*files)))
        return known

    def _in_directories(self, store: BlobStore, root: Digest) -> set[Digest]:
        found, waiting = {root}, [root]
        while waiting:
            files, folders = self._in_directory(store, waiting.pop())
            waiting += folders - found
            found |= files | folders
        return found

    def _in_directory(self, store: BlobStore, digest: Digest) -> _Contents:
        key = (store.function.name, digest)
        known = self._directories.get(key)
        if known is None:
            directory = reapi.Directory.FromString(store.get(digest))
            folders = frozenset(digest_of(node.digest) for node in directory.directories)
            known = self._directories.put(key, (_files(directory), folders))
        return known


def _files(directory: reapi.Directory) -> frozenset[Digest]:
    return frozenset(digest_of(node.digest) for node in directory.files)

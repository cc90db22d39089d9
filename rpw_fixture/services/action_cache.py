"""The ActionCache service: results of actions, returned only while their blobs are stored.

storage/complete_results.py checks for the blobs. This module checks requests and adds inline content.
"""

from __future__ import annotations

from rpw_fixture.errors import invalid_argument, not_found
from rpw_fixture.execution.inline import ROOM, InlineHints
from rpw_fixture.services.base import Call, Service, rpc
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.cas import Cas
from rpw_fixture.storage.complete_results import CompleteResults
from rpw_fixture.wire.digests import Digest, DigestFunction
from rpw_fixture.wire.protos import remote_execution as reapi

#: Worker name of uploaded results without one; Buck2 rejects results without metadata.
_UNKNOWN_WORKER = "uploaded"


class ActionCacheService(Service):
    """build.bazel.remote.execution.v2.ActionCache.

    Args:
        cas: has the blobs.
        results: the action cache.
        strict: whether to require that Trees of uploaded results, if stored, are canonical.
    """

    name = "build.bazel.remote.execution.v2.ActionCache"

    def __init__(self, cas: Cas, results: CompleteResults, *, strict: bool = False) -> None:
        self._cas = cas
        self._results = results
        self._strict = strict

    @rpc("GetActionResult")
    def get_action_result(self, request: reapi.GetActionResultRequest, _call: Call) -> bytes:
        """Return the encoded ActionResult; NOT_FOUND when there is none, or blobs of it are missing."""
        function, action = self._action(request.digest_function, request.action_digest)
        encoded = self._results.get(request.instance_name, function, action)
        if encoded is None:
            raise not_found(f"no result whose blobs are all in the CAS, for action {action}")
        wanted = InlineHints.of(request)
        if not wanted:
            return encoded
        result = reapi.ActionResult.FromString(encoded)
        wanted.fill(result, self._cas.store(function), ROOM - len(encoded))
        return result.SerializeToString()

    @rpc("UpdateActionResult")
    def update_action_result(self, request: reapi.UpdateActionResultRequest, _call: Call) -> bytes:
        """Store a result and return it. Neither the action nor the result's blobs need to be stored."""
        function, action = self._action(request.digest_function, request.action_digest)
        if not request.HasField("action_result"):
            raise invalid_argument("action_result is required")
        result = request.action_result
        check_result(result, function)
        if self._strict:
            _require_canonical_trees(result, self._cas.store(function))
        if not result.execution_metadata.worker:
            result.execution_metadata.worker = _UNKNOWN_WORKER
        encoded = result.SerializeToString()
        self._results.put(request.instance_name, function, action, encoded)
        return encoded

    def _action(self, number: int, message: reapi.Digest) -> tuple[DigestFunction, Digest]:
        function = self._cas.functions.of_request(number, message.hash)
        return function, function.validate(message, what="action_digest")


def check_result(result: reapi.ActionResult, function: DigestFunction) -> None:
    """Raise if no client could use a result.

    Raises:
        RequestError: INVALID_ARGUMENT; names the path or digest, and what is wrong with it.
    """
    for file in result.output_files:
        _check_path(file.path, "output file")
        _check_digest(file.digest, function, f"digest of output file {file.path!r}")
    for directory in result.output_directories:
        if directory.path:  # an empty one is the working directory itself
            _check_path(directory.path, "output directory")
        _check_directory(directory, function)
    links = (result.output_symlinks, result.output_file_symlinks, result.output_directory_symlinks)
    for link in (each for group in links for each in group):
        _check_path(link.path, "output symlink")
        if not link.target:
            raise invalid_argument(f"output symlink {link.path!r} has no target")
    for name in ("stdout_digest", "stderr_digest"):
        if result.HasField(name) and getattr(result, name).hash:
            _check_digest(getattr(result, name), function, name)


def _require_canonical_trees(result: reapi.ActionResult, store: BlobStore) -> None:
    from rpw_fixture.wire import canonical  # noqa: PLC0415 - only strict servers need it

    for directory in result.output_directories:
        if directory.HasField("tree_digest"):
            digest = store.function.validate(directory.tree_digest)
            data = store.get_or_none(digest)
            if data is not None:
                canonical.require_tree(f"{digest} of {directory.path!r}", data)


def _check_directory(directory: reapi.OutputDirectory, function: DigestFunction) -> None:
    what = f"of output directory {directory.path!r}"
    fields = [name for name in ("tree_digest", "root_directory_digest") if directory.HasField(name)]
    if not fields:
        raise invalid_argument(
            f"tree_digest and root_directory_digest {what} are missing; set one of them"
        )
    for name in fields:
        _check_digest(getattr(directory, name), function, f"{name} {what}")


def _check_path(path: str, what: str) -> None:
    if not path or path.startswith("/") or "\0" in path:
        raise invalid_argument(f"path {path!r} of {what} is empty, is absolute or contains NUL")


def _check_digest(message: reapi.Digest, function: DigestFunction, what: str) -> None:
    if not message.hash:
        raise invalid_argument(f"{what} is missing")
    function.validate(message, what=what)

"""Adds content to results, beside its digest, as far as a client asks for that.

Each client has its hints, so content is added when a client's message is made: clients with equal actions
share one run, and neither the cache nor a finished operation holds content twice.
"""

from __future__ import annotations

from typing import NamedTuple, Self

from rpw_fixture.errors import RequestError
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.wire.protos import remote_execution as reapi

#: Largest size of a response with added content, bytes; gRPC clients refuse messages over 4 MiB by default.
ROOM = 3 << 20
_NO_FILES: frozenset[str] = frozenset()


class InlineHints(NamedTuple):
    """The content that a client wants (ExecuteRequest.inline_*, GetActionResultRequest.inline_*).

    Attributes:
        stdout, stderr: whether it wants them.
        files: paths of the output files that it wants, exactly as the action declares them.
    """

    stdout: bool = False
    stderr: bool = False
    files: frozenset[str] = _NO_FILES

    def __bool__(self) -> bool:
        return bool(self.stdout or self.stderr or self.files)

    @classmethod
    def of(cls, request: reapi.ExecuteRequest | reapi.GetActionResultRequest) -> Self:
        """Return the hints of a request."""
        files = request.inline_output_files
        return cls(
            stdout=request.inline_stdout,
            stderr=request.inline_stderr,
            files=frozenset(files) if files else _NO_FILES,
        )

    def added_to(self, response: bytes, store: BlobStore) -> bytes:
        """Return an encoded ExecuteResponse with the content added to its result."""
        filled = reapi.ExecuteResponse.FromString(response)
        self.fill(filled.result, store, ROOM - len(response))
        return filled.SerializeToString()

    def fill(self, result: reapi.ActionResult, store: BlobStore, room: int) -> None:
        """Add the content to ``result``, up to ``room`` bytes.

        Digests stay set. Blobs that were evicted meanwhile are left out: a server may ignore the hints
        (remote_execution.proto, ExecuteRequest.inline_stdout).
        """
        contents = _Contents(store, room)
        if self.stdout and not result.stdout_raw:
            result.stdout_raw = contents.of(result.stdout_digest)
        if self.stderr and not result.stderr_raw:
            result.stderr_raw = contents.of(result.stderr_digest)
        for file in result.output_files:
            if file.path in self.files and not file.contents:
                file.contents = contents.of(file.digest)


class _Contents:
    """Returns blobs until they have filled the room, then empty content."""

    def __init__(self, store: BlobStore, room: int) -> None:
        self._store = store
        self._room = room

    def of(self, message: reapi.Digest) -> bytes:
        if not 0 < message.size_bytes <= self._room:
            return b""
        try:
            data = self._store.get_or_none(self._store.function.validate(message))
        except RequestError:  # a result that a client put into the cache may name anything
            return b""
        self._room -= len(data or b"")
        return data or b""

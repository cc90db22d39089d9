"""The ByteStream service: blobs of any size, plain or compressed.

Names are parsed in wire/resource_names.py, unfinished uploads kept in uploads.py; here both meet
the rules of google/bytestream/bytestream.proto and of REAPI's ContentAddressableStorage.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain

from rpw_fixture.config import Config
from rpw_fixture.errors import BlobMissingError, Code, RequestError, invalid_argument, not_found
from rpw_fixture.services.base import Call, Service, rpc
from rpw_fixture.services.uploads import Uploads
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.cas import Cas
from rpw_fixture.storage.writer import BlobWriter
from rpw_fixture.wire.compression import compressor_named
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.protos import bytestream
from rpw_fixture.wire.raw_messages import (
    WriteRequest,
    encode_read_response,
    parse_write_request,
)
from rpw_fixture.wire.resource_names import BlobName, parse_read, parse_write

#: Clients that accept no committed_size but the uncompressed one (bazel#30000), by a part of the
#: tool name in their RequestMetadata.
_UNCOMPRESSED_CLIENTS = ("siso", "remote-apis-sdks", "reclient", "reproxy", "rexec")


class ByteStreamService(Service):
    """google.bytestream.ByteStream."""

    name = "google.bytestream.ByteStream"

    def __init__(self, config: Config, cas: Cas) -> None:
        self._cas = cas
        self._is_strict = config.strict
        self._max_blob_bytes = config.max_blob_bytes
        self._committed_size = config.committed_size
        self._uploads = Uploads()

    def clear(self) -> None:
        """Forgets unfinished uploads."""
        self._uploads.clear()

    @rpc("Read")
    def read(self, request: bytestream.ReadRequest, _call: Call) -> Iterator[bytes]:
        """The blob from read_offset on, counted uncompressed, in messages of about 1 MiB."""
        name = parse_read(request.resource_name, self._cas.functions)
        store, digest = self._cas.store(name.function), name.digest
        offset, limit = request.read_offset, request.read_limit
        if not store.contains(digest):
            raise _absent(digest)
        if not 0 <= offset <= digest.size:
            raise RequestError(
                Code.OUT_OF_RANGE, f"read_offset {offset} lies outside of blob {digest}"
            )
        if limit < 0:
            raise invalid_argument(f"read_limit {limit} is negative")
        pieces = store.read(digest, offset, limit)
        if name.compressor:
            if limit:
                raise invalid_argument("a compressed blob is read without read_limit")
            pieces = compressor_named(name.compressor).compress_pieces(pieces)
        try:
            for piece in pieces:
                yield encode_read_response(piece)
        except BlobMissingError:  # evicted just now
            raise _absent(digest) from None
        finally:
            _clear_up_after(digest)

    @rpc("Write", decode=parse_write_request)
    def write(self, requests: Iterator[WriteRequest], call: Call) -> bytestream.WriteResponse:
        """Takes a blob; answers at once, without reading on, when it is there already."""
        first = next(requests, None)
        if first is None:
            raise invalid_argument("a write needs at least one message")
        name = parse_write(first.resource_name, self._cas.functions, strict=self._is_strict)
        if name.digest.size > self._max_blob_bytes:
            raise invalid_argument(
                f"blob {name.digest} exceeds the largest accepted, {self._max_blob_bytes} bytes"
            )
        store = self._cas.store(name.function)
        if store.contains(name.digest):
            return self._present(name, call)
        messages = chain((first,), requests)
        try:
            if name.compressor:
                return self._write_compressed(messages, store, name, first.resource_name, call)
            return self._write_plain(messages, store, name, first)
        finally:
            _clear_up_after(name.digest)

    @rpc("QueryWriteStatus")
    def query_write_status(
        self, request: bytestream.QueryWriteStatusRequest, _call: Call
    ) -> bytestream.QueryWriteStatusResponse:
        """How much of an upload is here.

        One never heard of has 0 bytes, which clients take better than NOT_FOUND (nativelink#1341).
        """
        name = parse_write(request.resource_name, self._cas.functions)
        if self._cas.store(name.function).contains(name.digest):
            return bytestream.QueryWriteStatusResponse(
                committed_size=name.digest.size, complete=True
            )
        committed = self._uploads.committed(request.resource_name)
        return bytestream.QueryWriteStatusResponse(committed_size=committed)

    def _write_plain(
        self,
        messages: Iterator[WriteRequest],
        store: BlobStore,
        name: BlobName,
        first: WriteRequest,
    ) -> bytestream.WriteResponse:
        upload = self._uploads.begin(
            first.resource_name, first.write_offset, lambda: BlobWriter(store, name.digest)
        )
        writer = upload.writer
        try:
            received = _Received(messages, first.resource_name, first.write_offset)
            for data in received:
                writer.write(data)
                if not received.is_finished and store.contains(name.digest):
                    # Another upload of it was faster.
                    self._uploads.end(upload)
                    return bytestream.WriteResponse(committed_size=name.digest.size)
            if received.is_finished:
                writer.commit()
        except RequestError:
            self._uploads.end(upload)
            raise
        except BaseException:
            self._uploads.interrupt(upload)
            raise
        if received.is_finished:
            self._uploads.end(upload)
        else:
            self._uploads.suspend(upload)
        return bytestream.WriteResponse(committed_size=writer.written)

    def _write_compressed(
        self,
        messages: Iterator[WriteRequest],
        store: BlobStore,
        name: BlobName,
        resource_name: str,
        call: Call,
    ) -> bytestream.WriteResponse:
        decoder = compressor_named(name.compressor).decoder()
        received = _Received(messages, resource_name, 0)
        with BlobWriter(store, name.digest) as writer:
            for data in received:
                for piece in decoder.feed(data):
                    writer.write(piece)
                if not received.is_finished and store.contains(name.digest):
                    return self._present(name, call)
            if not received.is_finished:
                raise invalid_argument(
                    "the stream ended without finish_write; a compressed upload can't be resumed"
                )
            decoder.finish()
            writer.commit()
        committed = {"uncompressed": name.digest.size, "minus_one": -1}
        return bytestream.WriteResponse(
            committed_size=committed.get(self._counting(call), received.size)
        )

    def _present(self, name: BlobName, call: Call) -> bytestream.WriteResponse:
        """The answer to an upload of what is there.

        Compressed bytes that were not read have no count, so it is -1 (remote_execution.proto), but
        for clients known to reject that.
        """
        is_uncompressed = not name.compressor or (
            self._committed_size == "auto" and self._counting(call) == "uncompressed"
        )
        return bytestream.WriteResponse(committed_size=name.digest.size if is_uncompressed else -1)

    def _counting(self, call: Call) -> str:
        if self._committed_size != "auto":
            return self._committed_size
        tool = call.request_metadata.tool_details.tool_name.lower()
        return "uncompressed" if any(each in tool for each in _UNCOMPRESSED_CLIENTS) else "wire"


class _Received:
    """The data of the messages of one write, checked against what bytestream.proto says of them.

    Attributes:
        size: bytes so far.
        is_finished: the client set finish_write; any message after that is an error.
    """

    def __init__(self, messages: Iterator[WriteRequest], resource_name: str, offset: int) -> None:
        self.size = 0
        self.is_finished = False
        self._messages = messages
        self._resource_name = resource_name
        self._offset = offset

    def __iter__(self) -> Iterator[bytes | memoryview]:
        for message in self._messages:
            if self.is_finished:
                raise invalid_argument("a message came after finish_write")
            if message.resource_name not in ("", self._resource_name):
                raise invalid_argument(
                    f"resource_name changed to {message.resource_name[:200]!r} within a write"
                )
            if message.write_offset != self._offset + self.size:
                raise invalid_argument(
                    f"write_offset {message.write_offset} where {self._offset + self.size} follows"
                )
            data = message.data
            self.size += len(data)
            self.is_finished = message.finish_write
            yield data


def _clear_up_after(digest: Digest) -> None:
    if digest.size >= LARGE_STREAM_BYTES:
        trim_heap()


def _absent(digest: Digest) -> RequestError:
    return not_found(f"blob {digest} is not in the CAS")


#: A stream of so many bytes leaves enough behind to be worth looking for.
LARGE_STREAM_BYTES = 16 << 20


def trim_heap() -> None:
    """Returns what is free on the heap to the system (glibc; elsewhere nothing happens).

    A stream passes through buffers of megabytes in whatever threads gRPC has at the time, and glibc keeps
    those of each thread: without this a server grows by some hundred MiB over its first large blobs.
    """
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415 - costs milliseconds

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

"""The ByteStream service: blobs of any size, plain or compressed.

wire/resource_names.py parses names, uploads.py keeps unfinished uploads. The rules are those of
google/bytestream/bytestream.proto and of REAPI's ContentAddressableStorage.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from rpw_fixture.config import Config
from rpw_fixture.config.choices import CommittedSize
from rpw_fixture.errors import BlobMissingError, Code, RequestError, invalid_argument, not_found
from rpw_fixture.services.base import Call, Service, rpc
from rpw_fixture.services.uploads import Uploads
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.cas import Cas
from rpw_fixture.storage.writer import BlobWriter
from rpw_fixture.support import heap
from rpw_fixture.wire.compression import compressor_named
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.protos import bytestream
from rpw_fixture.wire.raw_messages import (
    WriteRequest,
    encode_read_response,
    parse_write_request,
)
from rpw_fixture.wire.resource_names import BlobName, parse_read, parse_write

#: Clients that accept only the uncompressed size as committed_size (bazel#30000), by a part of the tool
#: name in their RequestMetadata.
_UNCOMPRESSED_CLIENTS = ("siso", "remote-apis-sdks", "reclient", "reproxy", "rexec")


class ByteStreamService(Service):
    """The service google.bytestream.ByteStream."""

    name = "google.bytestream.ByteStream"

    def __init__(self, config: Config, cas: Cas) -> None:
        self._cas = cas
        self._is_strict = config.strict
        self._max_blob_bytes = config.max_blob_bytes
        self._committed_size = CommittedSize(config.committed_size)
        self._uploads = Uploads()

    def clear(self) -> None:
        """Forget unfinished uploads."""
        self._uploads.clear()

    @rpc("Read")
    def read(self, request: bytestream.ReadRequest, _call: Call) -> Iterator[bytes]:
        """Yield a blob in messages of about 1 MiB; read_offset counts uncompressed bytes."""
        name = parse_read(request.resource_name, self._cas.functions)
        store, digest = self._cas.store(name.function), name.digest
        offset, limit = request.read_offset, request.read_limit
        if not store.contains(digest):
            raise _absent(digest)
        if not 0 <= offset <= digest.size:
            raise RequestError(
                Code.OUT_OF_RANGE, f"read_offset {offset} is outside of blob {digest}"
            )
        if limit < 0:
            raise invalid_argument(f"read_limit {limit} is negative")
        pieces = store.read(digest, offset, limit)
        if name.compressor:
            if limit:
                raise invalid_argument("read_limit must be 0 for a compressed blob")
            pieces = compressor_named(name.compressor).compress_pieces(pieces)
        try:
            for piece in pieces:
                yield encode_read_response(piece)
        except BlobMissingError:  # evicted just now
            raise _absent(digest) from None
        finally:
            _trim_heap_after(digest)

    @rpc("Write", decode=parse_write_request)
    def write(self, requests: Iterator[WriteRequest], call: Call) -> bytestream.WriteResponse:
        """Store a blob; return at once, without reading more messages, when it is stored already."""
        first = next(requests, None)
        if first is None:
            raise invalid_argument("a write needs at least one message")
        name = parse_write(first.resource_name, self._cas.functions, strict=self._is_strict)
        if name.digest.size > self._max_blob_bytes:
            raise invalid_argument(
                f"blob {name.digest} is larger than {self._max_blob_bytes} bytes, the largest accepted"
            )
        store = self._cas.store(name.function)
        if store.contains(name.digest):
            return self._existing(name, call)
        messages = chain((first,), requests)
        try:
            if name.compressor:
                return self._write_compressed(messages, store, name, first.resource_name, call)
            return self._write_plain(messages, store, name, first)
        finally:
            _trim_heap_after(name.digest)

    @rpc("QueryWriteStatus")
    def query_write_status(
        self, request: bytestream.QueryWriteStatusRequest, _call: Call
    ) -> bytestream.QueryWriteStatusResponse:
        """Return how much of an upload was received.

        An unknown upload has 0 bytes, because clients handle NOT_FOUND worse (nativelink#1341).
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
                    # Another upload of the blob was faster.
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
                    return self._existing(name, call)
            if not received.is_finished:
                raise invalid_argument(
                    "the stream ended without finish_write; a compressed upload can't be resumed"
                )
            decoder.finish()
            writer.commit()
        committed = {CommittedSize.UNCOMPRESSED: name.digest.size, CommittedSize.MINUS_ONE: -1}
        return bytestream.WriteResponse(
            committed_size=committed.get(self._size_unit(call), received.size)
        )

    def _existing(self, name: BlobName, call: Call) -> bytestream.WriteResponse:
        """Return the response to an upload of a stored blob.

        The number of compressed bytes is unknown, because they were not read. So committed_size is -1
        (remote_execution.proto), except for clients that reject -1.
        """
        is_uncompressed = not name.compressor or (
            self._committed_size is CommittedSize.AUTO
            and self._size_unit(call) is CommittedSize.UNCOMPRESSED
        )
        return bytestream.WriteResponse(committed_size=name.digest.size if is_uncompressed else -1)

    def _size_unit(self, call: Call) -> CommittedSize:
        if self._committed_size is not CommittedSize.AUTO:
            return self._committed_size
        tool = call.request_metadata.tool_details.tool_name.lower()
        if any(part in tool for part in _UNCOMPRESSED_CLIENTS):
            return CommittedSize.UNCOMPRESSED
        return CommittedSize.WIRE


class _Received:
    """The data in the messages of a write, checked by the rules of bytestream.proto.

    Attributes:
        size: bytes so far.
        is_finished: whether the client set finish_write; a later message is an error.
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
                raise invalid_argument("a message follows the one with finish_write")
            if message.resource_name not in ("", self._resource_name):
                raise invalid_argument(
                    f"resource_name changed to {message.resource_name[:200]!r} within a write"
                )
            if message.write_offset != self._offset + self.size:
                raise invalid_argument(
                    f"write_offset {message.write_offset}, but {self._offset + self.size} was expected"
                )
            data = message.data
            self.size += len(data)
            self.is_finished = message.finish_write
            yield data


def _trim_heap_after(digest: Digest) -> None:
    """Return what a large stream used: buffers of several MiB in different gRPC threads.

    glibc keeps the freed buffers of each thread, so that a server would grow by some hundred MiB with its
    first large blobs.
    """
    if digest.size >= LARGE_STREAM_BYTES:
        heap.trim()


def _absent(digest: Digest) -> RequestError:
    return not_found(f"blob {digest} is not in the CAS")


#: After a stream of this size or more, bytes, memory is returned to the system.
LARGE_STREAM_BYTES = 16 << 20

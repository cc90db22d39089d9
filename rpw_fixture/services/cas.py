"""The ContentAddressableStorage service: batches of blobs, trees, and chunks.

It checks requests and builds responses; the package storage has the blobs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from google.protobuf.message import DecodeError

from rpw_fixture.config import Config
from rpw_fixture.errors import RequestError, invalid_argument, not_found
from rpw_fixture.services.base import Call, Service, rpc
from rpw_fixture.services.capabilities import BATCH_BYTES
from rpw_fixture.storage.batches import DigestBatches
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.cas import Cas
from rpw_fixture.storage.chunk_layouts import ChunkLayouts
from rpw_fixture.wire.compression import compressor_numbered
from rpw_fixture.wire.digests import Digest, digest_of, message_of
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.wire.protos import rpc as google_rpc
from rpw_fixture.wire.raw_messages import read_entry, updated_entry

#: The largest message that clients accept with gRPC's default settings.
_RECEIVABLE_BYTES = 4 << 20
#: With more blobs in a batch, the response exceeds that size: each entry has a hash of at least 40
#: digits.
_MOST_ENTRIES = _RECEIVABLE_BYTES // 40
_FAST_CDC = reapi.ChunkingFunction.FAST_CDC_2020


class CasService(Service):
    """build.bazel.remote.execution.v2.ContentAddressableStorage.

    All instance names share one storage, so every name is valid.
    """

    name = "build.bazel.remote.execution.v2.ContentAddressableStorage"

    def __init__(self, config: Config, cas: Cas) -> None:
        self._cas = cas
        self._max_blob_bytes = config.max_blob_bytes
        #: Compressed blobs of a batch may decompress to the size of the largest message.
        self._max_message_bytes = config.max_message_bytes
        self._layouts = ChunkLayouts()

    @rpc("FindMissingBlobs")
    def find_missing_blobs(
        self, request: reapi.FindMissingBlobsRequest, _call: Call
    ) -> reapi.FindMissingBlobsResponse:
        """Return the digests that are not stored; mark the others as used now."""
        digests = request.blob_digests
        store = self._store(request.digest_function, digests)
        return reapi.FindMissingBlobsResponse(
            missing_blob_digests=DigestBatches(store).missing(digests)
        )

    @rpc("BatchUpdateBlobs")
    def batch_update_blobs(self, request: reapi.BatchUpdateBlobsRequest, _call: Call) -> bytes:
        """Store blobs; return a status for each, in the order of the request."""
        entries = request.requests
        _check_batch([entry.digest for entry in entries], request)
        store = self._store(request.digest_function, [entry.digest for entry in entries[:1]])
        refused: dict[int, bytes] = {}
        plain: dict[int, tuple[bytes, reapi.Digest]] = {}
        room = self._max_message_bytes

        def refuse(position: int, error: RequestError) -> None:
            refused[position] = _refused_update(entries[position].digest, error)

        for position, entry in enumerate(entries):
            try:
                if entry.compressor:
                    room -= self._put_compressed(store, entry, min(room, BATCH_BYTES))
                else:
                    plain[position] = self._plain(store, entry)
            except RequestError as error:
                refuse(position, error)
        DigestBatches(store).put(plain, refuse)
        return b"".join(
            refused.get(position) or updated_entry(entry.digest)
            for position, entry in enumerate(entries)
        )

    @rpc("BatchReadBlobs")
    def batch_read_blobs(self, request: reapi.BatchReadBlobsRequest, _call: Call) -> bytes:
        """Return blobs in the order of the request, compressed if that makes them smaller."""
        store = self._store(request.digest_function, request.digests)
        _check_batch(request.digests, request)
        accepted = [number for number in request.acceptable_compressors if number]
        pieces: list[bytes] = []
        for message in request.digests:
            try:
                data = DigestBatches(store).get(message)
                if data is None:
                    raise not_found(f"blob {digest_of(message)} is not in the CAS")
                pieces += read_entry(message, *_compressed(data, accepted))
            except RequestError as error:
                pieces.append(_refused_read(message, error))
        encoded = b"".join(pieces)
        if len(encoded) > _RECEIVABLE_BYTES:
            raise invalid_argument(
                f"the response with {len(request.digests)} blobs has {len(encoded)} bytes, and clients "
                f"accept {_RECEIVABLE_BYTES}; request fewer blobs in one batch"
            )
        return encoded

    @rpc("GetTree")
    def get_tree(
        self, request: reapi.GetTreeRequest, _call: Call
    ) -> Iterator[reapi.GetTreeResponse]:
        """Yield every Directory reachable from the root, each once, the root first.

        A page token is the number of directories in earlier pages; the tree of a digest never changes.
        """
        store = self._store(request.digest_function, [request.root_digest])
        root = store.function.validate(request.root_digest, what="root_digest")
        if request.page_size < 0:
            raise invalid_argument(f"page_size {request.page_size} is negative")
        if not store.contains(root):
            raise not_found(f"root directory {root} is not in the CAS")
        skip = _page_token(request.page_token)
        position, page, size = skip, reapi.GetTreeResponse(), 0
        for data in _directories(store, root, skip):
            is_full = request.page_size and len(page.directories) >= request.page_size
            if page.directories and (is_full or size + len(data) > BATCH_BYTES):
                page.next_page_token = str(position)
                yield page
                page, size = reapi.GetTreeResponse(), 0
            page.directories.add().MergeFromString(data)
            position += 1
            size += len(data)
        yield page

    @rpc("SplitBlob")
    def split_blob(self, request: reapi.SplitBlobRequest, _call: Call) -> reapi.SplitBlobResponse:
        """Return the chunks of a blob, all stored: those it was spliced from, or those of FastCDC 2020."""
        store = self._store(request.digest_function, [request.blob_digest])
        digest = store.function.validate(request.blob_digest, what="blob_digest")
        if not store.contains(digest):
            raise not_found(f"blob {digest} is not in the CAS")
        return reapi.SplitBlobResponse(
            chunk_digests=map(message_of, self._layouts.split(store, digest)),
            chunking_function=_FAST_CDC,
        )

    @rpc("SpliceBlob")
    def splice_blob(
        self, request: reapi.SpliceBlobRequest, _call: Call
    ) -> reapi.SpliceBlobResponse:
        """Store the blob that consists of chunks, after verifying its digest."""
        if not request.HasField("blob_digest"):
            raise invalid_argument("blob_digest is required")
        store = self._store(request.digest_function, [request.blob_digest])
        digest = store.function.validate(request.blob_digest, what="blob_digest")
        chunks = [store.function.validate(each, what="chunk") for each in request.chunk_digests]
        self._check_size(digest)
        self._layouts.splice(store, digest, chunks)
        return reapi.SpliceBlobResponse(blob_digest=request.blob_digest)

    def _store(self, number: int, digests: Sequence[reapi.Digest]) -> BlobStore:
        some_hash = digests[0].hash if digests else ""
        return self._cas.store(self._cas.functions.of_request(number, some_hash))

    def _plain(
        self, store: BlobStore, entry: reapi.BatchUpdateBlobsRequest.Request
    ) -> tuple[bytes, reapi.Digest]:
        digest = entry.digest
        if digest.size_bytes > self._max_blob_bytes:
            self._check_size(store.function.validate(digest))
        return entry.data, digest

    def _put_compressed(
        self, store: BlobStore, entry: reapi.BatchUpdateBlobsRequest.Request, room: int
    ) -> int:
        """Store a compressed blob of at most ``room`` bytes; return its size, uncompressed."""
        digest = store.function.validate(entry.digest)
        self._check_size(digest)
        if digest.size > room:
            raise invalid_argument(
                f"the compressed blob is too large for a batch: decompressed, one blob may have "
                f"{BATCH_BYTES} bytes and all together {self._max_message_bytes}; use ByteStream: {digest}"
            )
        compressor = compressor_numbered(entry.compressor)
        store.put(compressor.decompress(entry.data, digest.size), digest)
        return digest.size

    def _check_size(self, digest: Digest) -> None:
        if digest.size > self._max_blob_bytes:
            raise invalid_argument(
                f"blob {digest} is larger than {self._max_blob_bytes} bytes, the largest accepted"
            )


def _check_batch(
    digests: Sequence[reapi.Digest],
    request: reapi.BatchUpdateBlobsRequest | reapi.BatchReadBlobsRequest,
) -> None:
    """Raise if a batch exceeds the limit.

    REAPI leaves open whether the limit is for blobs or for messages (remote-apis#344), so both must
    exceed it; the request of a read does not contain the blobs. A negative size is refused later, and
    must not reduce the sum.
    """
    if len(digests) > _MOST_ENTRIES:
        raise invalid_argument(
            f"{len(digests)} blobs in one batch: clients can't accept a response of that size; "
            f"use batches of at most {_MOST_ENTRIES} blobs"
        )
    blob_bytes = sum(max(0, digest.size_bytes) for digest in digests)
    is_update = isinstance(request, reapi.BatchUpdateBlobsRequest)
    if blob_bytes > BATCH_BYTES and (not is_update or request.ByteSize() > BATCH_BYTES):
        raise invalid_argument(
            f"{blob_bytes} bytes of blobs in one batch, and the limit is {BATCH_BYTES}; "
            "use ByteStream or several batches"
        )


def _compressed(data: bytes, accepted: Sequence[int]) -> tuple[bytes, int]:
    """Return the data, compressed if that makes it smaller, and the number of the compressor or 0."""
    for number in accepted:
        try:
            compressed = compressor_numbered(number).compress(data)
        except RequestError:  # a compressor that this server does not have
            continue
        return (compressed, number) if len(compressed) < len(data) else (data, 0)
    return data, 0


def _refused_update(digest: reapi.Digest, error: RequestError) -> bytes:
    response = reapi.BatchUpdateBlobsResponse()
    response.responses.add(digest=digest, status=_status(error))
    return response.SerializeToString()


def _refused_read(digest: reapi.Digest, error: RequestError) -> bytes:
    response = reapi.BatchReadBlobsResponse()
    response.responses.add(digest=digest, status=_status(error))
    return response.SerializeToString()


def _directories(store: BlobStore, root: Digest, skip: int) -> Iterator[bytes]:
    """Yield the encoded directories below a root, breadth first, without the first ``skip``."""
    queue, seen = deque([root]), {root}
    while queue:
        data = store.get_or_none(queue.popleft())
        if data is None:
            continue  # missing directories are left out (remote_execution.proto, GetTree)
        directory = _directory(data, root)
        for child in directory.directories:
            digest = store.function.validate(child.digest)
            if digest not in seen:
                seen.add(digest)
                queue.append(digest)
        if skip:
            skip -= 1
        else:
            yield data


def _directory(data: bytes, root: Digest) -> reapi.Directory:
    try:
        return reapi.Directory.FromString(data)
    except DecodeError as error:
        raise invalid_argument(
            f"a blob in the tree of {root} is not a Directory: {error}"
        ) from None


def _page_token(text: str) -> int:
    if text and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise invalid_argument(f"page_token {text[:100]!r} is not one of this server")
    return int(text or 0)


def _status(error: RequestError) -> google_rpc.Status:
    return google_rpc.Status(code=int(error.code), message=error.message)

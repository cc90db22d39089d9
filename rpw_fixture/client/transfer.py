"""Upload and download blobs: small ones in batches, large ones as streams."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rpw_fixture.client.channel import BYTESTREAM, CAS, Channel
from rpw_fixture.errors import Code, RequestError
from rpw_fixture.wire.digests import Digest, DigestFunction, digest_of, message_of
from rpw_fixture.wire.protos import bytestream
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.wire.resource_names import BlobName

#: Limit of a batch in bytes, even if the server allows more: gRPC receives 4 MiB by default.
_BATCH_BYTES = 4 << 20
#: Upper bound of the bytes that digest, status and lengths of one blob take in a batch.
_OVERHEAD = 256
_PIECE_BYTES = 1 << 20
#: Digests in one FindMissingBlobs call; each takes about 80 bytes.
_DIGESTS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Transfers blobs of one digest function to and from one instance of a server.

    Attributes:
        batch_limit: ``max_batch_total_size_bytes`` of the server, 0 for no limit.
        timeout: limit for one call in seconds.
    """

    channel: Channel
    instance_name: str
    function: DigestFunction
    batch_limit: int
    timeout: float

    def find_missing(self, digests: Iterable[Digest]) -> set[Digest]:
        """Return the digests that the server does not have."""
        wanted, missing = list(dict.fromkeys(digests)), set()
        for start in range(0, len(wanted), _DIGESTS):
            request = reapi.FindMissingBlobsRequest(
                instance_name=self.instance_name,
                blob_digests=map(message_of, wanted[start : start + _DIGESTS]),
                digest_function=self._number,
            )
            response = self._call(CAS, "FindMissingBlobs", request)
            missing |= {digest_of(each) for each in response.missing_blob_digests}
        return missing

    def upload(self, blobs: Mapping[Digest, bytes]) -> None:
        """Upload blobs, even those that the server has."""
        for batch in self._batches(blobs):
            if len(batch) == 1 and self._is_large(batch[0]):
                self._write(batch[0], blobs[batch[0]])
                continue
            request = reapi.BatchUpdateBlobsRequest(
                instance_name=self.instance_name,
                requests=[
                    reapi.BatchUpdateBlobsRequest.Request(digest=message_of(each), data=blobs[each])
                    for each in batch
                ],
                digest_function=self._number,
            )
            for answer in self._call(CAS, "BatchUpdateBlobs", request).responses:
                self._require_ok(answer, "upload of")

    def download(self, digests: Iterable[Digest]) -> dict[Digest, bytes]:
        """Download blobs and check each against its digest.

        Raises:
            RequestError: NOT_FOUND for a blob that the server does not have, DATA_LOSS for other
                content than the digest says.
        """
        blobs = {self.function.empty: b""}
        for batch in self._batches(set(digests) - blobs.keys()):
            if len(batch) == 1 and self._is_large(batch[0]):
                blobs[batch[0]] = self._read(batch[0])
                continue
            request = reapi.BatchReadBlobsRequest(
                instance_name=self.instance_name,
                digests=map(message_of, batch),
                digest_function=self._number,
            )
            for answer in self._call(CAS, "BatchReadBlobs", request).responses:
                self._require_ok(answer, "download of")
                blobs[digest_of(answer.digest)] = answer.data
        for digest, data in blobs.items():
            if self.function.of(data) != digest:
                raise RequestError(Code.DATA_LOSS, f"blob {digest} came with other content")
        return blobs

    @property
    def _number(self) -> int:
        """Number of the digest function; 0 if the digest's length implies it, for older servers."""
        return self.function.number if self.function.is_named else 0

    @property
    def _limit(self) -> int:
        return min(self.batch_limit or _BATCH_BYTES, _BATCH_BYTES) - _OVERHEAD

    def _is_large(self, digest: Digest) -> bool:
        return digest.size + _OVERHEAD > self._limit

    def _batches(self, digests: Iterable[Digest]) -> Iterator[list[Digest]]:
        """Yield batches that fit into one call each; a blob too large for a batch is alone in one."""
        batch: list[Digest] = []
        room = self._limit
        for digest in sorted(digests, key=lambda each: each.size):
            needed = digest.size + _OVERHEAD
            if batch and needed > room:
                yield batch
                batch, room = [], self._limit
            batch.append(digest)
            room -= needed
        if batch:
            yield batch

    def _write(self, digest: Digest, data: bytes) -> None:
        name = self._name(digest).for_write(uuid.uuid4())
        response = self._call(BYTESTREAM, "Write", _write_requests(name, data))
        # Less than all is right only for compressed blobs, -1 only for blobs that the server had.
        if response.committed_size not in {digest.size, -1}:
            raise RequestError(
                Code.DATA_LOSS,
                f"upload of {digest}: the server stored {response.committed_size} of {digest.size} bytes",
            )

    def _read(self, digest: Digest) -> bytes:
        request = bytestream.ReadRequest(resource_name=self._name(digest).for_read())
        return b"".join(each.data for each in self._call(BYTESTREAM, "Read", request))

    def _name(self, digest: Digest) -> BlobName:
        return BlobName(instance=self.instance_name, function=self.function, digest=digest)

    def _call(self, service: str, name: str, request: object) -> Any:
        return self.channel.call(service, name, request, timeout=self.timeout)

    def _require_ok(self, answer: Any, what: str) -> None:
        if answer.status.code:
            code = Code(answer.status.code)
            raise RequestError(
                code, f"{what} {digest_of(answer.digest)}: {code.name}: {answer.status.message}"
            )


def _write_requests(name: str, data: bytes) -> Iterator[bytestream.WriteRequest]:
    view = memoryview(data)
    for offset in range(0, max(len(data), 1), _PIECE_BYTES):
        yield bytestream.WriteRequest(
            resource_name=name if offset == 0 else "",
            write_offset=offset,
            data=bytes(view[offset : offset + _PIECE_BYTES]),
            finish_write=offset + _PIECE_BYTES >= len(data),
        )

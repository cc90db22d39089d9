"""Batches of blobs by the digest messages of clients, thousands in one call.

A digest message that matches a stored blob is valid. So only digests that match none are validated;
their errors are the same as for single blobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from rpw_fixture.errors import RequestError
from rpw_fixture.storage.blob_index import Blob
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.wire.digests import Digest, mismatch

if TYPE_CHECKING:
    from rpw_fixture.wire.protos import remote_execution as reapi

_HEX_DIGITS = b"0123456789abcdef"
#: A function that gets the position of a refused blob, and the error. It must not keep the error, whose
#: frames would keep the call alive.
Refuse = Callable[[int, RequestError], None]


class DigestBatches:
    """Operations on many blobs of a store.

    Args:
        store: has the blobs.
    """

    def __init__(self, store: BlobStore) -> None:
        self._store = store
        self._blob_index = store.blob_index
        self._blobs = store.by_hash

    def missing(self, messages: Iterable[reapi.Digest]) -> list[reapi.Digest]:
        """Return the digests that are not stored, in order; mark the others as used.

        Raises:
            RequestError: INVALID_ARGUMENT when an absent digest is malformed.
        """
        find, now = self._blobs.get, self._blob_index.tick()
        absent, hashes = [], []
        for message in messages:
            hash_ = message.hash
            blob = find(hash_)
            if blob is not None and blob.size == message.size_bytes:
                blob.touched = now
            else:
                absent.append(message)
                hashes.append(hash_)
        if absent:
            self._validate_all(absent, hashes)
        return absent

    def get(self, message: reapi.Digest) -> bytes | None:
        """Return the content of a blob, or None when it is not stored.

        Raises:
            RequestError: INVALID_ARGUMENT when an absent digest is malformed.
        """
        blob = self._blobs.get(message.hash)
        if blob is not None and blob.size == message.size_bytes:
            data = blob.data
            if data is not None:
                blob.touched = self._blob_index.tick()
                return data
        return self._store.get_or_none(self._store.function.validate(message))

    def put(self, claims: Mapping[int, tuple[bytes, reapi.Digest]], refuse: Refuse) -> None:
        """Store content that matches its digest. Small blobs are added to the index together.

        Args:
            claims: content and claimed digest, by position.
            refuse: called for each blob that is not stored.
        """
        store, blobs, now = self._store, self._blobs, self._blob_index.tick()
        new, limit = store.function.new, store.file_threshold
        fresh: dict[int, Blob] = {}
        for position, (data, message) in claims.items():
            hash_, size = new(data).hexdigest(), len(data)
            known = blobs.get(hash_)
            try:
                if hash_ != message.hash or size != message.size_bytes:
                    raise mismatch(store.function.validate(message), f"{hash_}/{size}")
                if known is not None:
                    known.touched = now
                elif size < limit:
                    fresh[position] = Blob(hash_, size, blobs, data, None)
                else:
                    store.add_data(Digest(hash_, size), data)
            except RequestError as error:
                refuse(position, error)
        self._add(fresh, refuse)

    def _add(self, fresh: Mapping[int, Blob], refuse: Refuse) -> None:
        try:
            self._blob_index.add(*fresh.values())
        except RequestError:  # they do not fit together: add them one by one
            for position, blob in fresh.items():
                try:
                    self._blob_index.add(blob)
                except RequestError as error:
                    refuse(position, error)

    def _validate_all(self, messages: list[reapi.Digest], hashes: list[str]) -> None:
        """Validate digests; 10,000 take a millisecond when all are valid."""
        function = self._store.function
        is_hex = not "".join(hashes).encode().translate(None, _HEX_DIGITS)
        lengths = {len(each) for each in hashes}
        smallest = min(message.size_bytes for message in messages)
        if not is_hex or lengths != {function.hex_length} or smallest < 0:
            for message in messages:
                function.validate(message)

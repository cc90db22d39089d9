"""A store that fetches from a cluster what it does not have, when it is read."""

from __future__ import annotations

from collections.abc import Callable

from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.wire.digests import Digest


class FetchingStore(BlobStore):
    """A store beside another one, with its budgets.

    Args:
        store: the other store.
        fetch: returns a blob of the cluster by the cluster's digest; None if it is lost.

    Attributes:
        places: the cluster's digests of content that it has.
    """

    def __init__(self, store: BlobStore, fetch: Callable[[Digest], bytes | None]) -> None:
        super().__init__(store.function, store.blob_index, spill_threshold=store.spill_threshold)
        self.places: dict[Digest, Digest] = {}
        self._fetch = fetch

    def get_or_none(self, digest: Digest) -> bytes | None:
        """Return the content of a blob, or None when neither this store nor the cluster has it."""
        found = super().get_or_none(digest)
        if found is None and (place := self.places.get(digest)) is not None:
            found = self._fetch(place)
            if found is not None:
                self.put(found, digest)
        return found

"""Keeping blobs from eviction while an action needs them."""

from __future__ import annotations

from typing import Self

from rpw_fixture.storage.blob_index import Blob, Shelf
from rpw_fixture.wire.digests import Digest


class Pins:
    """Blobs that eviction leaves alone until `release`; a context manager does that at its end.

    Attributes:
        absent: the digests that were not there to be pinned.
    """

    def __init__(self, shelf: Shelf, blobs: list[Blob], absent: list[Digest]) -> None:
        self._shelf = shelf
        self._blobs = blobs
        self.absent = absent

    def release(self) -> None:
        """Lets go; doing it again changes nothing."""
        with self._shelf.lock:
            blobs, self._blobs = self._blobs, []
            for blob in blobs:
                blob.pins -= 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

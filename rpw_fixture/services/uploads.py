"""Uploads that a client ended without finish_write: kept by resource name, to be resumed.

Compressed uploads are not kept: an offset in compressed bytes is not a position in the content.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from rpw_fixture.errors import invalid_argument
from rpw_fixture.storage.writer import BlobWriter


class Upload:
    """An upload that is running or can be resumed."""

    __slots__ = ("is_busy", "name", "writer")

    def __init__(self, name: str, writer: BlobWriter) -> None:
        self.name = name
        self.writer = writer
        self.is_busy = True


class Uploads:
    """The unfinished uploads of all clients, by resource name.

    A committed size that was reported never shrinks (bytestream.proto, QueryWriteStatus): an upload that
    starts again from 0, as with the Go SDK, replaces the kept one only when it has more bytes.

    Args:
        limit: most uploads to keep; then the oldest is forgotten.
    """

    def __init__(self, *, limit: int = 64) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, Upload] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, name: str, offset: int, new_writer: Callable[[], BlobWriter]) -> Upload:
        """Return the kept upload if it ends at ``offset``, or a new one for offset 0.

        Raises:
            RequestError: INVALID_ARGUMENT for any other offset; names the committed size.
        """
        with self._lock:
            kept = self._kept.get(name)
            if kept is not None and not kept.is_busy and kept.writer.written == offset > 0:
                kept.is_busy = True
                return kept
        if offset:
            committed = kept.writer.written if kept is not None else 0
            raise invalid_argument(
                f"write_offset {offset}, but the committed size is {committed}: {name[:200]!r}"
            )
        return Upload(name, new_writer())

    def suspend(self, upload: Upload) -> None:
        """Keep an upload until the client resumes it."""
        with self._lock:
            kept = self._kept.get(upload.name, upload)
            is_longest = upload.writer.written >= kept.writer.written and (
                kept is upload or not kept.is_busy
            )
            dropped = []
            if is_longest:
                dropped = [kept] if kept is not upload else []
                self._kept[upload.name] = upload
                self._kept.move_to_end(upload.name)
                upload.is_busy = False
                dropped += self._surplus()
        for each in dropped if is_longest else [upload]:
            each.writer.abort()

    def interrupt(self, upload: Upload) -> None:
        """Forget the upload of a client that has gone, unless its size may have been reported."""
        with self._lock:
            upload.is_busy = False
            is_kept = self._kept.get(upload.name) is upload
        if not is_kept:
            upload.writer.abort()

    def end(self, upload: Upload) -> None:
        """Forget everything under the name of an upload that is complete or invalid."""
        with self._lock:
            kept = self._kept.get(upload.name)
            if kept is not None and (kept is upload or not kept.is_busy):
                del self._kept[upload.name]
        for each in {upload, kept or upload}:
            if each is upload or not each.is_busy:
                each.writer.abort()

    def committed(self, name: str) -> int:
        """Return the number of bytes that need not be sent again."""
        kept = self._kept.get(name)
        return 0 if kept is None else kept.writer.written

    def clear(self) -> None:
        """Forget every upload that is not running."""
        with self._lock:
            idle = [upload for upload in self._kept.values() if not upload.is_busy]
            for upload in idle:
                del self._kept[upload.name]
        for upload in idle:
            upload.writer.abort()

    def _surplus(self) -> list[Upload]:
        idle = [upload for upload in self._kept.values() if not upload.is_busy]
        surplus = idle[: max(0, len(self._kept) - self._limit)]
        for upload in surplus:
            del self._kept[upload.name]
        return surplus

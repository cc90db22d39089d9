"""The file of ``--events``: one whole line of JSON for each record, even after the disk was full."""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
from typing import TYPE_CHECKING

from rpw_fixture.errors import EnvironmentLacksError
from rpw_fixture.support.private_files import private_opener

if TYPE_CHECKING:
    from rpw_fixture.events.kinds import Event

_log = logging.getLogger(__name__)


class EventFile:
    """A sink of an event log that writes each record as one line of JSON.

    When a line can't be written (a full disk, a pipe without reader), an error is logged once and the
    record is lost: actions never fail because of it. The next record is written if possible, after
    an `EventsLost` record that has the number of lost records.

    Args:
        path: path of the file, which is appended to.

    Raises:
        EnvironmentLacksError: when the file can't be opened.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lost: list[Event] = []
        self._lost_count = 0
        #: The end of a line whose beginning is in the file, where the beginning can't be removed.
        self._rest = b""
        try:
            # Unbuffered: the rest of a failed write would stay in the buffer and fail again at the end.
            self._file = open(path, "ab", buffering=0, opener=private_opener)  # noqa: SIM115
        except OSError as error:
            raise EnvironmentLacksError(f"--events {path}: {error.strerror}") from None

    def __call__(self, record: Event) -> None:
        """Write the record, unless the file is closed."""
        if self._file.closed:
            return
        lines = self._rest + self._loss() + _line(record)
        error = self._write(lines)
        if error is None:
            self._recovered()
            return
        if not self._lost:
            _log.error(
                "--events %s: %s; events from %d on are lost until it can be written again",
                self._path,
                str(error),  # the error itself would stay alive as long as the log record
                record.seq,
            )
        self._lost_count += 1
        self._lost = [*self._lost[:1], record]

    def close(self) -> None:
        """Write how many records were lost, if possible, and close the file."""
        if self._lost and not self._file.closed and self._write(self._rest + self._loss()) is None:
            self._recovered()
        self._file.close()

    def _loss(self) -> bytes:
        """Return the line about records lost since the last written one; empty when none was."""
        if not self._lost:
            return b""
        from rpw_fixture.events.kinds import EventsLost  # noqa: PLC0415 - needed after a failure only

        first, last = self._lost[0], self._lost[-1]
        loss = EventsLost(count=self._lost_count, first=first.seq, last=last.seq)
        object.__setattr__(loss, "seq", last.seq)
        object.__setattr__(loss, "time", last.time)
        return _line(loss)

    def _recovered(self) -> None:
        self._rest = b""
        if self._lost:
            _log.warning("--events %s: %d events were lost", self._path, self._lost_count)
            self._lost, self._lost_count = [], 0

    def _write(self, data: bytes) -> OSError | None:
        """Write all of ``data`` or nothing; return the error if that fails."""
        rest = memoryview(data)
        try:
            while rest:
                written = self._file.write(rest)
                if written is None:  # a full pipe that was made non-blocking
                    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
                rest = rest[written:]
        except OSError as error:
            count = len(data) - len(rest)
            if count and not self._truncate(count):
                # Not a file: at least the incomplete line is ended before the next one.
                self._rest = data[count : data.index(b"\n", count - 1) + 1]
            return error
        return None

    def _truncate(self, count: int) -> bool:
        """Remove the last ``count`` bytes; return False where that is not possible."""
        try:
            status = os.fstat(self._file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return False
            os.ftruncate(self._file.fileno(), status.st_size - count)
        except OSError:
            return False
        return True


def _line(record: Event) -> bytes:
    return (json.dumps(record.as_dict(), separators=(",", ":")) + "\n").encode("ascii")

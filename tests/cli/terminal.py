"""A terminal of 100 × 40 characters for a program, and what the program wrote to it."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
import threading

from rpw_fixture.support.closing import Closeable
from tests.waiting import until

ROWS, COLUMNS = 40, 100


class Terminal(Closeable):
    """A pseudo terminal.

    Attributes:
        program_side: the descriptor that a program gets.
    """

    def __init__(self) -> None:
        self._own, self.program_side = pty.openpty()
        fcntl.ioctl(self.program_side, termios.TIOCSWINSZ, struct.pack("4H", ROWS, COLUMNS, 0, 0))
        self._data = bytearray()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def text(self) -> str:
        """What was written so far, with plain line ends."""
        return self._data.decode("utf-8", "replace").replace("\r\n", "\n")

    def wait_for(self, part: str) -> None:
        """Wait until ``part`` was written."""
        until(lambda: part in self.text)

    def type(self, keys: bytes) -> None:
        """Press keys; Ctrl-C is ``\\x03``."""
        os.write(self._own, keys)

    def close(self) -> None:
        """End it; programs that still have it are sent SIGHUP."""
        os.close(self.program_side)
        self._reader.join()
        os.close(self._own)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._own, 65536)
            except OSError:  # the last program has closed its side
                return
            if not data:
                return
            self._data += data

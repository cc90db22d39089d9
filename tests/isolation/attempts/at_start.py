"""What there is before any library opens something; so this is imported first."""

from __future__ import annotations

import contextlib
import os

INHERITED: list[int] = []
for number in range(3, 256):
    with contextlib.suppress(OSError):
        os.fstat(number)
        INHERITED.append(number)

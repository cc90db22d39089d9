"""Memory that the process has done with and the C library keeps."""

from __future__ import annotations

import sys

#: A stream of so many bytes leaves enough behind to be worth looking for.
LARGE_STREAM_BYTES = 16 << 20


def give_back() -> None:
    """Returns what is free on the heap to the system (glibc; elsewhere nothing happens).

    A stream passes through buffers of megabytes in whatever threads gRPC has at the time, and glibc keeps
    those of each thread: without this a server grows by some hundred MiB over its first large blobs.
    """
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415 - costs milliseconds

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

"""The heap of a process, in processes that are ended by it."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not glibc"
)
#: Threads that allocate at the same time; afterwards the arenas are counted in what glibc says of itself.
ARENAS = """
import ctypes, sys, threading
from rpw_fixture.support import heap

if sys.argv[1] == "shared":
    heap.share_arenas()
libc = ctypes.CDLL(None)
together = threading.Barrier(9)

def allocate():
    libc.malloc(2000)
    together.wait()

threads = [threading.Thread(target=allocate) for _ in range(8)]
for each in threads:
    each.start()
together.wait()
for each in threads:
    each.join()
libc.fflush(None)
libc.fopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""


@pytest.mark.parametrize(("how", "most"), [("shared", 1), ("own", 99)])
def test_threads_share_an_arena(how: str, most: int) -> None:
    shown = subprocess.run(
        [sys.executable, "-c", ARENAS, how], capture_output=True, text=True, check=True
    ).stdout
    arenas = shown.count("<heap nr=")

    assert 1 <= arenas <= most
    assert how == "shared" or arenas > 1

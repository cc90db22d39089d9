"""Frequent turns of Python's threads, for programs whose threads mostly wait for other processes."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator

#: How long a thread may compute while another one waits for its turn, seconds (Python's default: 0.005).
SECONDS = 0.0005

_lock = threading.Lock()
_users = 0
_usual = 0.0


@contextlib.contextmanager
def frequent_turns() -> Iterator[None]:
    """Let threads take turns often, until the last of those that want that is done.

    A thread whose worker has answered waits until another one, which computes, has had its turn. With
    many small requests that was half of the time. The interval is one of the whole process, and what it
    was comes back.
    """
    _begin()
    try:
        yield
    finally:
        _end()


def _begin() -> None:
    global _users, _usual  # noqa: PLW0603 - the interpreter has one interval
    with _lock:
        if _users == 0:
            _usual = sys.getswitchinterval()
            if _usual > SECONDS:
                sys.setswitchinterval(SECONDS)
        _users += 1


def _end() -> None:
    global _users  # noqa: PLW0603 - see above
    with _lock:
        _users -= 1
        if _users == 0 and _usual > SECONDS:
            sys.setswitchinterval(_usual)

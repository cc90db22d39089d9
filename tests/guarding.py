"""Whether shared fields are used only by the thread that holds their lock.

A lock that was dropped shows in a race once in a million runs. Here it shows at once, in one thread: a
guarded field looks, each time it is used, whether the thread holds the lock.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection, Mapping
from types import FrameType
from typing import Any

import pytest

_PACKAGE = "/rpw_fixture/"
_Lock, _RLock, _Condition = threading.Lock, threading.RLock, threading.Condition


class OwnedLock:
    """A lock that knows which thread holds it."""

    def __init__(self, lock: Any = None) -> None:
        self._lock = lock if lock is not None else _Lock()
        self._owner: int | None = None
        self._depth = 0

    @property
    def is_mine(self) -> bool:
        """Whether the calling thread holds it."""
        return self._owner == threading.get_ident()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        is_taken = bool(self._lock.acquire(blocking, timeout))
        if is_taken:
            self._owner = threading.get_ident()
            self._depth += 1
        return is_taken

    def release(self) -> None:
        self._depth -= 1
        if not self._depth:
            self._owner = None
        self._lock.release()

    def locked(self) -> bool:
        return self._depth > 0

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    # What threading.Condition wants of a lock that can be taken more than once.

    def _is_owned(self) -> bool:
        return self.is_mine

    def _release_save(self) -> int:
        depth = self._depth
        for _ in range(depth):
            self.release()
        return depth

    def _acquire_restore(self, depth: int) -> None:
        for _ in range(depth):
            self.acquire()


def _make_lock() -> Any:
    return OwnedLock() if _is_of_package(sys._getframe(1)) else _Lock()


def _make_reentrant_lock() -> Any:
    return OwnedLock(_RLock()) if _is_of_package(sys._getframe(1)) else _RLock()


def _make_condition(lock: Any = None) -> threading.Condition:
    if lock is None and _is_of_package(sys._getframe(1)):
        lock = OwnedLock(_RLock())
    return _Condition(lock)


def _is_of_package(frame: FrameType) -> bool:
    return _PACKAGE in frame.f_code.co_filename and "/tests/" not in frame.f_code.co_filename


class _Field:
    """A field of a class that notes who uses it without the lock."""

    def __init__(
        self, guard: Guard, kind: type, name: str, lock: str, free: Collection[str]
    ) -> None:
        self._guard = guard
        self._owner = kind.__name__
        self._name = name
        self._lock = lock
        self._free = free
        self._slot: Any = kind.__dict__.get(name)

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        if owner is None:
            return self._slot or self
        self._look(owner, sys._getframe(1))
        if self._slot is not None:
            return self._slot.__get__(owner, kind)
        try:
            return owner.__dict__[self._name]
        except KeyError:
            raise AttributeError(self._name) from None

    def __set__(self, owner: Any, value: object) -> None:
        self._look(owner, sys._getframe(1))
        if self._slot is not None:
            self._slot.__set__(owner, value)
        else:
            owner.__dict__[self._name] = value

    def _look(self, owner: Any, frame: FrameType) -> None:
        function = frame.f_code.co_name
        if function == "__init__" or function in self._free or not _is_of_package(frame):
            return
        self._guard.note(owner, self._owner, self._name, self._lock, function)


class Guard:
    """Watches fields of classes.

    Attributes:
        used: fields that were used under their lock, as ``Class.field``.
        breaches: what was used without it, and by which function.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.used: set[str] = set()
        self.breaches: set[str] = set()
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(threading, "Lock", _make_lock)
        monkeypatch.setattr(threading, "RLock", _make_reentrant_lock)
        monkeypatch.setattr(threading, "Condition", _make_condition)

    def watch(self, kind: type, lock: str, fields: Mapping[str, Collection[str]]) -> None:
        """Watch fields of every object of a class that is made from now on.

        Args:
            kind: the class.
            lock: the attribute that holds the lock of these fields.
            fields: by their names the functions that may use them without, on purpose.
        """
        for name, free in fields.items():
            field = _Field(self, kind, name, lock, frozenset(free))
            self._monkeypatch.setattr(kind, name, field, raising=False)

    def watch_call(self, kind: type, lock: str, name: str) -> None:
        """Watch calls of a method that only a thread with the lock may call."""
        wrapped = getattr(kind, name)

        def call(owner: Any, *arguments: Any) -> Any:
            self.note(owner, kind.__name__, name, lock, sys._getframe(1).f_code.co_name)
            return wrapped(owner, *arguments)

        self._monkeypatch.setattr(kind, name, call)

    def note(self, owner: Any, kind: str, name: str, lock: str, function: str) -> None:
        """Note that ``function`` uses something of ``owner``."""
        held = owner
        for part in lock.split("."):
            held = getattr(held, part)
        held = getattr(held, "_lock", held) if isinstance(held, _Condition) else held
        if not isinstance(held, OwnedLock):
            return  # made before the guard
        self.used.add(f"{kind}.{name}")
        if not held.is_mine:
            self.breaches.add(f"{function} uses {kind}.{name} without {lock}")

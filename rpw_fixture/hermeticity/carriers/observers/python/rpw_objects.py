"""The contents that an object has: objects that can change, also those of the standard library."""

from __future__ import annotations

import gc
import io

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rpw_fixture.hermeticity.carriers.observers.python import rpw_contents

_MOST_BYTES = 1 << 20
_STREAMS = (io.TextIOWrapper, io.BufferedReader, io.BufferedWriter, io.BufferedRandom, io.FileIO)


def of(value: Any) -> Any:
    """Return the contents of an object; None if it has none that can change."""
    kind = type(value)
    if issubclass(kind, (dict, list, set)):
        return rpw_contents.Container(value)
    module = kind.__module__
    if kind.__name__ == "deque" and module == "collections":
        return rpw_contents.Container(value)
    if kind is bytearray or (module in _BUFFERS and _is_writable(value)):
        return rpw_contents.Buffer(value)
    return _special(value, kind, module)


_BUFFERS = frozenset(("array", "mmap", "numpy", "ctypes", "__main__", "_ctypes"))


def _is_writable(value: Any) -> bool:
    try:
        with memoryview(value) as view:
            return not view.readonly and view.contiguous
    except (TypeError, ValueError, BufferError):
        return False


def _special(value: Any, kind: type, module: str) -> Any:  # noqa: PLR0911 - a table of kinds
    name = kind.__name__
    if name == "_lru_cache_wrapper":
        return rpw_contents.Opaque(
            value, _cache_size, lambda each, _: each.cache_clear(), _cache_text
        )
    if kind in {io.StringIO, io.BytesIO}:
        return rpw_contents.Opaque(value, _memory_file, _set_memory_file)
    if issubclass(kind, _STREAMS):
        return _stream(value)
    if name == "Random" and module in {"random", "_random"}:
        return rpw_contents.Opaque(
            value, lambda each: each.getstate(), lambda each, old: each.setstate(old), _seed
        )
    if module == "itertools" and name == "count":
        return _Counter(value)
    if name == "ContextVar":
        return _Variable(value)
    if module in {"sqlite3", "_sqlite3"} and name == "Connection":
        return _Database(value)
    if name.endswith("_iterator") and hasattr(value, "__setstate__"):
        return rpw_contents.Opaque(value, _position, lambda each, old: each.__setstate__(old))
    return None


def _cache_size(value: Any) -> int:
    return value.cache_info().currsize  # type: ignore[no-any-return]


def _cache_text(size: int) -> str:
    return f"a cache of {size} results"


def _memory_file(value: Any) -> Any:
    return value.getvalue()[:_MOST_BYTES], value.tell()


def _set_memory_file(value: Any, state: Any) -> None:
    value.seek(0)
    value.truncate()
    value.write(state[0])
    value.seek(state[1])


def _stream(value: Any) -> Any:
    try:
        if value.closed or value.fileno() <= 2 or not value.seekable():
            return None
        return rpw_contents.Opaque(
            value, lambda each: each.tell(), lambda each, old: each.seek(old)
        )
    except (OSError, ValueError, RuntimeError, AttributeError):
        return None


def _seed(state: Any) -> str:
    return f"a random state at {state[1][-1]} of {hash(state[1][:-1]) & 0xFFFF:04x}"


class _Variable(rpw_contents.Opaque):
    """A context variable in the context of the main thread."""

    def __init__(self, value: Any) -> None:
        super().__init__(
            value, lambda each: each.get(rpw_contents.ABSENT), None, rpw_contents.shown
        )
        self._token = None
        self.can_restore = True
        if self.saved is rpw_contents.ABSENT:
            try:
                # There is no other way back to a variable that is not set.
                self._token = value.set(value.get())
                self.saved = value.get()
            except LookupError:  # without a default, the tool would see any value that it is given
                self.can_restore = False

    def children(self) -> Any:
        """Yield the value."""
        yield "", self.saved

    def restore(self) -> None:
        """Give the variable its old value, or none."""
        if self._token is not None:
            self.value.reset(self._token)
        else:
            self.value.set(self.saved)


class _Counter(rpw_contents.Opaque):
    """An ``itertools.count``, which can only be put back by another one in the same place."""

    def __init__(self, value: Any) -> None:
        super().__init__(value, repr, None, str)
        self.owner: Any = None
        self.key = ""

    def own(self, owner: Any, key: str) -> None:
        """Remember the namespace that holds it."""
        self.owner, self.key = owner, key
        self.can_restore = True

    def restore(self) -> None:
        """Put a counter there that goes on from the old number."""
        numbers = [int(each) for each in self.saved[len("count(") : -1].split(",")]
        self.owner.write(self.key, type(self.value)(*numbers))


def _position(value: Any) -> int:
    return value.__reduce__()[2] if len(value.__reduce__()) > 2 else -1


class _Database:
    """A database of SQLite; one in memory can be put back."""

    is_keyed = False

    def __init__(self, value: Any) -> None:
        self.value = value
        self.count = value.total_changes
        self.saved = self._read()
        self.can_restore = self.saved is not None

    def _read(self) -> Any:
        try:
            file = next(iter(self.value.execute("PRAGMA database_list")))[2]
            return None if file else self.value.serialize()
        except Exception:
            return None

    def children(self) -> Any:
        """Yield nothing."""
        return ()

    def is_changed(self) -> bool:
        """Return whether rows were changed."""
        return bool(self.value.total_changes != self.count)

    def restore(self) -> None:
        """Give the database its old content."""
        self.value.rollback()
        self.value.deserialize(self.saved)

    def texts(self, _old: Any) -> tuple[str, str]:
        """Return the numbers of changed rows."""
        return f"{self.count} rows changed", f"{self.value.total_changes} rows changed"


def referents(value: Any) -> list[Any]:
    """Return the containers that an object of an unknown kind holds."""
    return [each for each in gc.get_referents(value) if type(each) in {dict, list, set}]

"""The contents of mutable objects: what they hold, whether that has changed, and how to put it back.

A container is put back as a whole; a namespace (of a module, class, instance, function) name by name.
"""

from __future__ import annotations

import sys
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rpw_fixture.hermeticity.carriers.observers.python import rpw_text

#: The entries of a larger container are not kept: only what is appended to it can be put back.
_LARGE = 50_000
#: Of a larger container, this many entries are followed.
_FOLLOWED = 5_000
_MOST_BYTES = 1 << 20
ABSENT = type("absent", (), {})()


class Container:
    """The entries of a list, dict, set or deque."""

    is_keyed = False
    can_restore = True

    def __init__(self, value: Any) -> None:
        self.value = value
        self.size = rpw_text.size(value)
        self.is_large = self.size > _LARGE
        self.is_dict = issubclass(type(value), dict)
        self.saved = None if self.is_large else rpw_text.entries(value)

    def children(self) -> Any:
        """Yield what the container holds, each with the text that leads to it."""
        items = self.saved
        if items is None:
            items = []
            iterator = iter(dict.items(self.value) if self.is_dict else self.value)
            for _ in range(_FOLLOWED):
                items.append(next(iterator))
        for number, each in enumerate(items):
            if self.is_dict:
                if not rpw_text.is_plain(each[1]):
                    yield f"[{rpw_text.short(each[0])}]", each[1]
                if type(each[0]) is tuple or not rpw_text.is_plain(each[0]):
                    yield f".keys()[{number}]", each[0]
            elif not rpw_text.is_plain(each):
                yield f"[{number}]", each

    def is_changed(self) -> bool:
        """Return whether other entries are there than at the mark."""
        if rpw_text.size(self.value) != self.size:
            return True
        if self.saved is None:
            return False
        now = rpw_text.entries(self.value)
        if self.is_dict:
            return not all(
                rpw_text.is_same(one[0], two[0]) and rpw_text.is_same(one[1], two[1])
                for one, two in zip(self.saved, now)
            )
        if issubclass(type(self.value), set):
            known = {id(each) for each in self.saved}
            plain = {(type(each), each) for each in self.saved if rpw_text.is_plain(each)}
            return not all(
                id(each) in known or (rpw_text.is_plain(each) and (type(each), each) in plain)
                for each in now
            )
        return not all(map(rpw_text.is_same, self.saved, now))

    def restore(self) -> None:
        """Give the same object its old entries again."""
        value, kind = self.value, type(self.value)
        if self.saved is None:
            self._shorten()
        elif issubclass(kind, dict):
            base = rpw_text.dict_base(kind)
            base.clear(value)
            for key, each in self.saved:
                base.__setitem__(value, key, each)
        elif issubclass(kind, list):
            list.__setitem__(value, slice(None), self.saved)
        elif issubclass(kind, set):
            set.clear(value)
            set.update(value, self.saved)
        else:
            value.clear()
            value.extend(self.saved)

    def texts(self, old: Any) -> tuple[str, str]:
        """Return the old and the new content in a short form."""
        kind = type(self.value)
        if self.saved is None:
            return f"{self.size} entries", f"{rpw_text.size(self.value)} entries"
        now = rpw_text.entries(self.value)
        found = rpw_text.change(self.saved, now, self.is_dict, kind)
        if found is not None:
            return found
        return rpw_text.short(self.value, old), rpw_text.short(self.value)

    def _shorten(self) -> None:
        """Take away what was added to a large container, if it keeps an order."""
        if self.is_dict:
            base = rpw_text.dict_base(type(self.value))
            while dict.__len__(self.value) > self.size:
                base.popitem(self.value)
        elif issubclass(type(self.value), list):
            del self.value[self.size :]
        else:
            raise ValueError("it is too large to be put back")


class Buffer:
    """The bytes of a bytearray, an array, a memory map or another object with a buffer."""

    is_keyed = False

    def __init__(self, value: Any) -> None:
        self.value = value
        self.saved: Any = self._read()
        self.can_restore = self.saved is not None

    def _read(self) -> bytes | None:
        with memoryview(self.value) as view:
            return view.tobytes() if view.nbytes <= _MOST_BYTES else None

    def children(self) -> Any:
        """Yield nothing."""
        return ()

    def is_changed(self) -> bool:
        """Return whether there are other bytes."""
        return self.saved is not None and self._read() != self.saved

    def restore(self) -> None:
        """Write the old bytes."""
        if type(self.value) is bytearray:
            self.value[:] = self.saved
            return
        with memoryview(self.value) as view:
            if view.nbytes == len(self.saved or b""):
                with view.cast("B") as flat:
                    flat[:] = self.saved
                return
        del self.value[:]
        self.value.frombytes(self.saved)

    def texts(self, _old: Any) -> tuple[str, str]:
        """Return both contents in a short form."""
        return rpw_text.short(self.saved), rpw_text.short(self._read())


class Opaque:
    """An object with a state that it gives and takes as one value.

    Args:
        value: the object.
        read: returns its state as a value that can be compared.
        write: gives it a state; None where that is not possible.
        show: returns a state as text.
    """

    is_keyed = False

    def __init__(self, value: Any, read: Any, write: Any, show: Any = None) -> None:
        self.value = value
        self._read_state, self._write, self._show = read, write, show or rpw_text.short
        self.saved = read(value)
        self.can_restore = write is not None

    def children(self) -> Any:
        """Yield nothing."""
        return ()

    def read_state(self) -> Any:
        """Return the state that the object has now."""
        return self._read_state(self.value)

    def is_changed(self) -> bool:
        """Return whether there is another state."""
        return bool(self.read_state() != self.saved)

    def restore(self) -> None:
        """Give the object its old state."""
        self._write(self.value, self.saved)

    def texts(self, _old: Any) -> tuple[str, str]:
        """Return both states in a short form."""
        return self._show(self.saved), self._show(self._read_state(self.value))


class Namespace:
    """Definitions with values. Subclasses say how they are read and written."""

    is_keyed = True
    can_restore = True

    def __init__(self, value: Any) -> None:
        self.value = value
        self.saved = dict(self.read())

    def read(self) -> dict[str, Any]:
        """Return the names with their values."""
        return vars(self.value)  # type: ignore[no-any-return]

    def write(self, name: str, value: Any) -> None:
        """Give a name a value; `ABSENT` takes the name away."""
        names = object.__getattribute__(self.value, "__dict__")
        if value is ABSENT:
            names.pop(name, None)
        else:
            names[name] = value

    def children(self) -> Any:
        """Yield the values, each with its name."""
        for name, each in self.saved.items():
            if not rpw_text.is_plain(each):
                yield f".{name}", each

    def changed(self) -> list[str]:
        """Return the names that have another value than at the mark."""
        now = self.read()
        names = [*self.saved, *(each for each in now if each not in self.saved)]
        return [
            each
            for each in names
            if not rpw_text.is_same(self.saved.get(each, ABSENT), now.get(each, ABSENT))
        ]

    def restore(self, name: str) -> None:
        """Give a name its old value."""
        self.write(name, self.saved.get(name, ABSENT))

    def texts(self, name: str, old: Any) -> tuple[str, str]:
        """Return both values of a name in a short form."""
        before, after = self.saved.get(name, ABSENT), self.read().get(name, ABSENT)
        return shown(before, old), shown(after)


def shown(value: Any, old: Any = lambda _: None) -> str:
    """Return a value of a name in a short form."""
    return "absent" if value is ABSENT else str(rpw_text.short(value, old))


class Attributes(Namespace):
    """The attributes of an instance, in its dict and in its slots."""

    def read(self) -> dict[str, Any]:
        """Return the attributes without those that are computed."""
        found: dict[str, Any] = {}
        for each in slots_of(type(self.value)):
            try:
                found[each.__name__] = each.__get__(self.value)
            except AttributeError:
                continue
        names = dict_of(self.value)
        if names is not None:
            found.update((key, value) for key, value in names.items() if type(key) is str)
        return found

    def write(self, name: str, value: Any) -> None:
        """Set an attribute past any ``__setattr__`` of its class."""
        for each in slots_of(type(self.value)):
            if each.__name__ == name:
                if value is ABSENT:
                    each.__delete__(self.value)
                else:
                    each.__set__(self.value, value)
                return
        super().write(name, value)


class ClassAttributes(Namespace):
    """The attributes of a class."""

    def read(self) -> dict[str, Any]:
        """Return the attributes that code can set."""
        names = type.__dict__["__dict__"].__get__(self.value)
        return {name: each for name, each in names.items() if name not in _MADE_BY_PYTHON}

    def write(self, name: str, value: Any) -> None:
        """Set a class attribute past any metaclass."""
        if value is ABSENT:
            type.__delattr__(self.value, name)
        else:
            type.__setattr__(self.value, name, value)


class ModuleGlobals(Namespace):
    """The globals of a module."""

    def read(self) -> dict[str, Any]:
        """Return the names that code can set."""
        return {
            name: each
            for name, each in rpw_text.names_of(self.value).items()
            if name not in _OF_MODULES
        }


class Cells(Namespace):
    """The variables that a function holds from the functions around it."""

    def __init__(self, value: Any) -> None:
        self._cells = dict(zip(value.__code__.co_freevars, value.__closure__ or ()))
        super().__init__(value)

    def read(self) -> dict[str, Any]:
        """Return the variables that have a value."""
        found = {}
        for name, cell in self._cells.items():
            try:
                found[name] = cell.cell_contents
            except ValueError:
                continue
        return found

    def write(self, name: str, value: Any) -> None:
        """Set a variable in its cell."""
        if value is ABSENT:
            del self._cells[name].cell_contents
        else:
            self._cells[name].cell_contents = value


class Locals(Namespace):
    """The local variables of a function that is running, or of a generator that waits."""

    def read(self) -> dict[str, Any]:
        """Return the variables that have a value."""
        return dict(self.value.f_locals)

    def write(self, name: str, value: Any) -> None:
        """Set a local variable of the running function."""
        names = self.value.f_locals
        if value is not ABSENT:
            names[name] = value
        elif name in names:
            names[name] = None
        if sys.version_info < (3, 13):
            import ctypes

            ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(self.value), ctypes.c_int(0))


_MADE_BY_PYTHON = frozenset(
    ("__dict__", "__weakref__", "__doc__", "__module__", "__abstractmethods__", "_abc_impl")
)
_OF_MODULES = frozenset(
    (*("__builtins__", "__spec__", "__loader__", "__cached__", "__doc__", "__file__"),)
    + ("__package__", "__path__", "__name__")
)


def dict_of(value: Any) -> Any:
    """Return the dict of an instance without calling its code; None if it has none."""
    try:
        names = object.__getattribute__(value, "__dict__")
    except (AttributeError, TypeError):
        return None
    return names if type(names) is dict else None


def slots_of(kind: type) -> list[Any]:
    """Return the descriptors of the slots of a class."""
    return [
        each
        for base in kind.__mro__
        for each in type.__dict__["__dict__"].__get__(base).values()
        if type(each) is types.MemberDescriptorType and base.__module__ != "builtins"
    ]

"""Values in a short form, without calling any code of theirs."""

from __future__ import annotations

import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

LONGEST = 80
_MOST_ENTRIES = 4
_PLAIN = (int, float, complex, bool, type(None), type(Ellipsis))


def short(value: Any, old: Callable[[Any], Any] = lambda _: None, depth: int = 2) -> str:
    """Return a value in at most 80 characters.

    Args:
        value: the value.
        old: returns the entries that a container had at the mark; None for those that it has now.
        depth: containers deeper than this are not opened.
    """
    text = _text(value, old, depth)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def entries(value: Any) -> Any:
    """Return the entries of a container: pairs of a dict, items of others; None for other values."""
    kind = type(value)
    if issubclass(kind, dict):
        return list(dict_base(kind).items(value))
    for each in (list, tuple, set, frozenset):
        if issubclass(kind, each):
            return list(each.__iter__(value))
    if kind.__name__ == "deque" and kind.__module__ == "collections":
        return list(value)
    return None


def dict_base(kind: type) -> Any:
    """Return the class whose methods keep the order of a kind of dicts, past any others of its class."""
    for each in kind.__mro__:
        if each.__name__ == "OrderedDict" and each.__module__ == "collections":
            return each
    return dict


def size(value: Any) -> int:
    """Return the number of entries of a container, past any ``__len__`` of its class."""
    for each in (dict, list, set):
        if issubclass(type(value), each):
            return int(each.__len__(value))
    return len(value)


def is_module(value: Any) -> bool:
    """Return whether a value is a module, without asking it."""
    return issubclass(type(value), types.ModuleType)


def names_of(module: Any) -> dict[str, Any]:
    """Return the names in a module, past any ``__getattribute__`` of its class."""
    return types.ModuleType.__getattribute__(module, "__dict__")  # type: ignore[no-any-return]


def is_plain(value: Any) -> bool:
    """Return whether a value has no parts and is compared by content."""
    return type(value) in _PLAIN or type(value) in {str, bytes}


def is_same(one: Any, other: Any) -> bool:
    """Return whether two values are the same object, or plain and equal."""
    return one is other or (type(one) is type(other) and is_plain(one) and one == other)


def _text(value: Any, old: Callable[[Any], Any], depth: int) -> str:
    kind = type(value)
    if kind in _PLAIN:
        return int.__repr__(value) if kind is int and abs(value) < 1 << 200 else _repr(value)
    if kind in {str, bytes}:
        return repr(value) if len(value) <= LONGEST else f"{value[:30]!r}… {len(value)} long"
    items = old(value)
    items = entries(value) if items is None else items
    if items is not None:
        return _container(value, items, old, depth)
    return _name(value)


def _repr(value: Any) -> str:
    return "a large number" if type(value) is int else repr(value)


def _container(value: Any, items: list[Any], old: Callable[[Any], Any], depth: int) -> str:
    kind = type(value)
    is_dict = issubclass(kind, dict)
    opening, closing = "[]" if kind is list else "()" if kind is tuple else "{}"
    if len(items) > _MOST_ENTRIES or (depth <= 0 and items):
        return f"{opening}{len(items)} {'entry' if len(items) == 1 else 'entries'}{closing}"
    if is_dict:
        inner = ", ".join(f"{_text(k, old, 0)}: {_text(v, old, depth - 1)}" for k, v in items)
    else:
        inner = ", ".join(_text(each, old, depth - 1) for each in items)
    prefix = "" if kind in {dict, list, tuple, set} else kind.__name__
    if not items and kind is set:
        return "set()"
    return f"{prefix}({opening}{inner}{closing})" if prefix else f"{opening}{inner}{closing}"


def _name(value: Any) -> str:
    if issubclass(type(value), type):
        return f"<class {value.__qualname__}>"
    if type(value) in {types.FunctionType, types.BuiltinFunctionType, types.MethodType}:
        return f"<function {value.__qualname__}>"
    if is_module(value):
        return f"<module {names_of(value).get('__name__', '?')}>"
    return f"<{type(value).__qualname__}>"


def change(
    before: list[Any], after: list[Any], is_dict: bool, kind: type
) -> tuple[str, str] | None:
    """Return two short forms of a large container that show what was added; None for a small one."""
    if len(after) <= _MOST_ENTRIES and len(before) <= _MOST_ENTRIES:
        return None
    opening, closing = "[]" if kind is list else "{}"
    known = {id(each[0] if is_dict else each) for each in before}
    added = [each for each in after if id(each[0] if is_dict else each) not in known]
    what = ""
    if added and is_dict:
        what = f", new {short(added[0][0])[:30]}: {short(added[0][1])[:30]}"
    elif added:
        what = f", new {short(added[0])[:50]}"
    return (
        f"{opening}{len(before)} {'entry' if len(before) == 1 else 'entries'}{closing}",
        f"{opening}{len(after)} {'entry' if len(after) == 1 else 'entries'}{what}{closing}",
    )

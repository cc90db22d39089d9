"""Plain values from dataclasses and back, by the type hints of their fields.

A field that is added to a dataclass is converted without a change here; a field of a type that has no
plain form raises TypeError as soon as the converter of its class is made. Fields that have their default
value are left out.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import json
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")
#: The key that says which member of a union of dataclasses a value is.
_KIND = "kind"


class Converter(NamedTuple):
    """The two directions between a value and its plain form, which JSON can hold."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def dumps(plain: object) -> bytes:
    """Return a plain value as JSON whose bytes are the same for equal values."""
    return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode("ascii")


def read_json(kind: type[T], content: bytes, special: Mapping[Any, Converter], *, name: str) -> T:
    """Return the value whose plain form is in JSON.

    Args:
        kind: its class.
        content: the JSON.
        special: as `converter` takes it.
        name: what it should be, for the message of an error.

    Raises:
        ValueError: it is nothing of that kind.
    """
    try:
        found = converter(kind, special).read(json.loads(content))
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"no {name}: {error!r}") from None
    assert isinstance(found, kind)
    return found


def converter(hint: Any, special: Mapping[Any, Converter]) -> Converter:
    """Return the converter of a type.

    Args:
        hint: the type, as an annotation that is resolved.
        special: converters of types that have another form than here.

    Raises:
        TypeError: the type has no plain form.
    """
    if (found := special.get(hint) or _SIMPLE.get(hint)) is not None:
        return found
    if isinstance(hint, type) and issubclass(hint, Enum):
        return Converter(lambda value: value.name, lambda plain: hint[plain])
    if dataclasses.is_dataclass(hint):
        return _of_dataclass(hint, special)
    return _of_generic(typing.get_origin(hint), typing.get_args(hint), special)


def _of_generic(
    origin: Any, arguments: tuple[Any, ...], special: Mapping[Any, Converter]
) -> Converter:
    if origin in {typing.Union, types.UnionType}:
        return _of_union(arguments, special)
    if origin is tuple:
        return _of_tuple(arguments, special)
    if origin is frozenset:
        return _of_set(converter(arguments[0], special))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _of_mapping(*(converter(each, special) for each in arguments))
    raise TypeError(f"{origin!r} has no plain form")


def _same(value: Any) -> Any:
    return value


def _write_any(value: Any) -> Any:
    """Return a value of simple types and tuples as a plain value."""
    if isinstance(value, tuple):
        return [_write_any(each) for each in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TypeError(f"a value of {type(value).__name__} has no plain form")


def _read_any(plain: Any) -> Any:
    return tuple(map(_read_any, plain)) if isinstance(plain, list) else plain


_SIMPLE: Mapping[Any, Converter] = {
    str: Converter(_same, _same),
    int: Converter(_same, _same),
    bool: Converter(_same, _same),
    float: Converter(float, float),
    object: Converter(_write_any, _read_any),
    bytes: Converter(
        lambda value: base64.b64encode(value).decode("ascii"),
        lambda plain: base64.b64decode(plain, validate=True),
    ),
}


def _of_dataclass(kind: Any, special: Mapping[Any, Converter]) -> Converter:
    hints = _hints(kind)
    fields = {each.name: each for each in dataclasses.fields(kind) if each.init}
    converters = {name: converter(hints[name], special) for name in fields}

    def write(value: Any) -> dict[str, Any]:
        return {
            name: converters[name].write(found)
            for name, field in fields.items()
            if not _is_default(field, found := getattr(value, name))
        }

    def read(plain: Any) -> Any:
        return kind(**{name: converters[name].read(found) for name, found in plain.items()})

    return Converter(write, read)


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _is_default(field: dataclasses.Field[Any], value: object) -> bool:
    if field.default_factory is not dataclasses.MISSING:
        return bool(value == field.default_factory())
    return bool(value == field.default)


def _of_union(members: tuple[Any, ...], special: Mapping[Any, Converter]) -> Converter:
    rest = [each for each in members if each is not type(None)]
    if len(rest) == 1 and len(members) == 2:
        inner = converter(rest[0], special)
        return Converter(
            lambda value: None if value is None else inner.write(value),
            lambda plain: None if plain is None else inner.read(plain),
        )
    if not all(map(dataclasses.is_dataclass, members)):
        raise TypeError(f"a union of {members!r} has no plain form")
    converters = {each.__name__: converter(each, special) for each in members}

    def write(value: Any) -> dict[str, Any]:
        name = type(value).__name__
        return {_KIND: name, **converters[name].write(value)}

    def read(plain: Any) -> Any:
        fields = {name: value for name, value in plain.items() if name != _KIND}
        return converters[plain[_KIND]].read(fields)

    return Converter(write, read)


def _of_tuple(members: tuple[Any, ...], special: Mapping[Any, Converter]) -> Converter:
    if len(members) == 2 and members[1] is Ellipsis:
        item = converter(members[0], special)
        return Converter(
            lambda value: [item.write(each) for each in value],
            lambda plain: tuple(item.read(each) for each in plain),
        )
    items = [converter(each, special) for each in members]
    return Converter(
        lambda value: [item.write(each) for item, each in zip(items, value, strict=True)],
        lambda plain: tuple(item.read(each) for item, each in zip(items, plain, strict=True)),
    )


def _of_set(item: Converter) -> Converter:
    return Converter(
        lambda value: sorted(item.write(each) for each in value),
        lambda plain: frozenset(item.read(each) for each in plain),
    )


def _of_mapping(key: Converter, item: Converter) -> Converter:
    """Return a converter to a list of pairs, because the order of a mapping may matter."""
    return Converter(
        lambda value: [[key.write(name), item.write(each)] for name, each in value.items()],
        lambda plain: types.MappingProxyType(
            {key.read(name): item.read(each) for name, each in plain}
        ),
    )

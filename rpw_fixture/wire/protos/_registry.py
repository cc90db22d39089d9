"""Message classes made from `protocols.binpb`, in a private descriptor pool.

Importing this module builds everything; the package imports it when a name is first used. The default
pool is never touched, so the process may have other copies of the same protocols, of any version.
Nothing here is about a single protocol.
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Final, NamedTuple

from google.protobuf.internal import api_implementation
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message

from rpw_fixture.wire.protos import DESCRIPTOR_SET, NAMESPACES
from rpw_fixture.wire.protos._factory import class_of, new_pool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from google.protobuf.descriptor import (
        Descriptor,
        FileDescriptor,
        MethodDescriptor,
        ServiceDescriptor,
    )
    from google.protobuf.descriptor_pool import DescriptorPool


class Method(NamedTuple):
    """An RPC: its HTTP/2 path, its message classes, and which sides stream."""

    path: str
    request_class: type[Message]
    response_class: type[Message]
    client_streaming: bool
    server_streaming: bool


def pool() -> DescriptorPool:
    """Return the private pool, which `json_format` needs for the content of an Any."""
    return _POOL


def message_class(full_name: str) -> type[Message]:
    """Return the class of a message, top-level or nested.

    Args:
        full_name: Dotted, with the package and without a leading dot.

    Raises:
        LookupError: no protocol has that message.
    """
    try:
        return class_of(_POOL.FindMessageTypeByName(full_name))
    except KeyError:
        raise LookupError(f"no protocol here has a message {full_name!r}") from None


def methods(service_full_name: str) -> Mapping[str, Method]:
    """Return a service's methods by their simple names, in the order of the `.proto` file.

    Args:
        service_full_name: Dotted, with the package: `google.bytestream.ByteStream`.

    Raises:
        LookupError: no protocol has that service.
    """
    try:
        service = _POOL.FindServiceByName(service_full_name)
    except KeyError:
        raise LookupError(f"no protocol here has a service {service_full_name!r}") from None
    return {found.name: _method(service, found) for found in service.methods}


def method(service_full_name: str, method_name: str) -> Method:
    """Return one method of a service.

    Args:
        service_full_name: Dotted, with the package: `google.bytestream.ByteStream`.
        method_name: The simple name: `Read`.

    Raises:
        LookupError: no protocol has that service, or the service has no such method.
    """
    try:
        return methods(service_full_name)[method_name]
    except KeyError:
        raise LookupError(f"{service_full_name} has no method {method_name!r}") from None


def _method(service: ServiceDescriptor, found: MethodDescriptor) -> Method:
    return Method(
        path=f"/{service.full_name}/{found.name}",
        request_class=class_of(found.input_type),
        response_class=class_of(found.output_type),
        client_streaming=found.client_streaming,
        server_streaming=found.server_streaming,
    )


def _load(descriptor_set: bytes) -> DescriptorPool:
    private = new_pool()
    for file in _files(descriptor_set):
        private.AddSerializedFile(file)
    return private


def _files(descriptor_set: bytes) -> Iterator[bytes]:
    """Yield the encoded files of a FileDescriptorSet, each of which follows a tag and its length."""
    start = 0
    while start < len(descriptor_set):
        size = shift = 0
        while (byte := descriptor_set[start := start + 1]) >= 0x80:
            size, shift = size | (byte & 0x7F) << shift, shift + 7
        begin = start + 1
        start = begin + (size | byte << shift)
        yield descriptor_set[begin:start]


def _class_with_nested(descriptor: Descriptor) -> type[Message]:
    cls = class_of(descriptor)
    if api_implementation.Type() == "upb":
        return (
            cls  # it finds nested messages by itself, and reading options takes long the first time
        )
    for nested in descriptor.nested_types:
        if not nested.GetOptions().map_entry and not hasattr(cls, nested.name):
            setattr(cls, nested.name, _class_with_nested(nested))
    return cls


def _same_packed_message(packed: Message, other: object) -> bool:
    if not isinstance(other, Message) or other.DESCRIPTOR is not packed.DESCRIPTOR:
        return False
    return packed.SerializeToString() == other.SerializeToString()


class _Namespace(ModuleType):
    """The messages, enums and enum values of some files by their simple names, made when first used.

    There are about 300. A server uses a third of them, and making a class takes time.
    """

    def __init__(self, name: str, files: tuple[str, ...]) -> None:
        super().__init__(f"{__package__}.{name}", f"Messages and enums of {', '.join(files)}.")
        self._files = [_POOL.FindFileByName(file) for file in files]

    def __getattr__(self, name: str) -> object:
        for file in self._files:
            found = _content(file, name)
            if found is not None:
                return vars(self).setdefault(name, found)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name)

    def __dir__(self) -> list[str]:
        enums = [enum for file in self._files for enum in file.enum_types_by_name.values()]
        return [
            *(name for file in self._files for name in file.message_types_by_name),
            *(enum.name for enum in enums),
            *(name for enum in enums for name in enum.values_by_name),
        ]


def _content(file: FileDescriptor, name: str) -> object:
    """Return the message class, enum or number of that name; None when the file has none."""
    message = file.message_types_by_name.get(name)
    if message is not None:
        return _class_with_nested(message)
    enum = file.enum_types_by_name.get(name)
    if enum is not None:
        return EnumTypeWrapper(enum)
    for enum in file.enum_types_by_name.values():
        if name in enum.values_by_name:
            number: int = enum.values_by_name[name].number
            return number
    return None


_POOL: Final = _load(DESCRIPTOR_SET.read_bytes())

if api_implementation.Type() == "python":
    # Its Any.__eq__ looks up the packed type in the default pool, where ours is missing, and fails.
    _ANY = message_class("google.protobuf.Any")
    setattr(_ANY, "__eq__", _same_packed_message)  # noqa: B010 - mypy refuses a plain assignment

globals().update({name: _Namespace(name, files) for name, files in NAMESPACES.items()})

"""Descriptor pools and message classes, without loading what only the Python form of protobuf needs.

`google.protobuf.descriptor_pool` and `message_factory` load all of them, which takes a third of the time
to a server's first answer. With protobuf's C form (upb) they only pass calls on to it, and so does this
module. Where that form is missing, or its names are others, the public modules are used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from google.protobuf.internal import api_implementation
from google.protobuf.message import Message

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.descriptor_pool import DescriptorPool

_MESSAGE_CLASS = "_concrete_class"


def new_pool() -> DescriptorPool:
    """Return an empty descriptor pool."""
    if _UPB is not None:
        made: DescriptorPool = _UPB.DescriptorPool()
        return made
    from google.protobuf.descriptor_pool import DescriptorPool  # noqa: PLC0415 - see the top

    return DescriptorPool()


def class_of(descriptor: Descriptor) -> type[Message]:
    """Return the class of a message, always the same one for a descriptor."""
    if _UPB is not None:
        return _class_of(descriptor)
    from google.protobuf.message_factory import GetMessageClass  # noqa: PLC0415 - see the top

    return GetMessageClass(descriptor)


def _class_of(descriptor: Descriptor) -> type[Message]:
    known: type[Message] | None = getattr(descriptor, _MESSAGE_CLASS, None)
    if known is not None:
        return known
    content = {"DESCRIPTOR": descriptor, "__module__": None}
    made: type[Message] = _UPB.MessageMeta(descriptor.name, (Message,), content)
    for field in descriptor.fields:  # a message does not make the classes of the messages in it
        if field.message_type is not None:
            _class_of(field.message_type)
    return made


def _find_upb() -> Any:
    """Return the module of protobuf's C form; None when it is not used or not as expected."""
    if api_implementation.Type() != "upb":
        return None
    try:
        module: Any = importlib.import_module("google._upb._message")
        is_expected = callable(module.DescriptorPool) and isinstance(module.MessageMeta, type)
    except (ImportError, AttributeError):
        return None
    return module if is_expected else None


_UPB = _find_upb()

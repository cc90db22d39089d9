# Types of one namespace of rpw_fixture.wire.protos, written by .ci/regenerate_protos.py.
# ruff: noqa: A002, N802, RUF100 - names are the protocols' and protobuf's own

from google.protobuf.internal import well_known_types
from google.protobuf.message import Message

class Any(well_known_types.Any, Message):
    def __init__(self, *, type_url: str = ..., value: bytes = ...) -> None: ...
    type_url: str
    value: bytes

class Duration(well_known_types.Duration, Message):
    def __init__(self, *, seconds: int = ..., nanos: int = ...) -> None: ...
    seconds: int
    nanos: int

class Empty(Message):
    def __init__(self) -> None: ...

class Timestamp(well_known_types.Timestamp, Message):
    def __init__(self, *, seconds: int = ..., nanos: int = ...) -> None: ...
    seconds: int
    nanos: int

class DoubleValue(Message):
    def __init__(self, *, value: float = ...) -> None: ...
    value: float

class FloatValue(Message):
    def __init__(self, *, value: float = ...) -> None: ...
    value: float

class Int64Value(Message):
    def __init__(self, *, value: int = ...) -> None: ...
    value: int

class UInt64Value(Message):
    def __init__(self, *, value: int = ...) -> None: ...
    value: int

class Int32Value(Message):
    def __init__(self, *, value: int = ...) -> None: ...
    value: int

class UInt32Value(Message):
    def __init__(self, *, value: int = ...) -> None: ...
    value: int

class BoolValue(Message):
    def __init__(self, *, value: bool = ...) -> None: ...
    value: bool

class StringValue(Message):
    def __init__(self, *, value: str = ...) -> None: ...
    value: str

class BytesValue(Message):
    def __init__(self, *, value: bytes = ...) -> None: ...
    value: bytes

# Types of one namespace of rpw_fixture.wire.protos, written by .ci/regenerate_protos.py.
# ruff: noqa: A002, N802, RUF100 - names are the protocols' and protobuf's own

from google.protobuf.message import Message

class ReadRequest(Message):
    def __init__(
        self,
        *,
        resource_name: str = ...,
        read_offset: int = ...,
        read_limit: int = ...,
    ) -> None: ...
    resource_name: str
    read_offset: int
    read_limit: int

class ReadResponse(Message):
    def __init__(self, *, data: bytes = ...) -> None: ...
    data: bytes

class WriteRequest(Message):
    def __init__(
        self,
        *,
        resource_name: str = ...,
        write_offset: int = ...,
        finish_write: bool = ...,
        data: bytes = ...,
    ) -> None: ...
    resource_name: str
    write_offset: int
    finish_write: bool
    data: bytes

class WriteResponse(Message):
    def __init__(self, *, committed_size: int = ...) -> None: ...
    committed_size: int

class QueryWriteStatusRequest(Message):
    def __init__(self, *, resource_name: str = ...) -> None: ...
    resource_name: str

class QueryWriteStatusResponse(Message):
    def __init__(self, *, committed_size: int = ..., complete: bool = ...) -> None: ...
    committed_size: int
    complete: bool

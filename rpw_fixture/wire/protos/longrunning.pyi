# Types of one namespace of rpw_fixture.wire.protos, written by .ci/regenerate_protos.py.
# ruff: noqa: A002, N802, RUF100 - names are the protocols' and protobuf's own

from collections.abc import Iterable
from typing import Literal

from google.protobuf.internal.containers import (
    RepeatedCompositeFieldContainer,
    RepeatedScalarFieldContainer,
)
from google.protobuf.message import Message

from rpw_fixture.wire.protos import rpc, wkt

class Operation(Message):
    def __init__(
        self,
        *,
        name: str = ...,
        metadata: wkt.Any | None = ...,
        done: bool = ...,
        error: rpc.Status | None = ...,
        response: wkt.Any | None = ...,
    ) -> None: ...
    name: str
    @property
    def metadata(self) -> wkt.Any: ...
    done: bool
    @property
    def error(self) -> rpc.Status: ...
    @property
    def response(self) -> wkt.Any: ...
    def HasField(
        self,
        field_name: Literal["metadata", "error", "response", "result"],
    ) -> bool: ...
    def WhichOneof(
        self,
        oneof_group: Literal["result"],
    ) -> Literal["error", "response"] | None: ...

class GetOperationRequest(Message):
    def __init__(self, *, name: str = ...) -> None: ...
    name: str

class ListOperationsRequest(Message):
    def __init__(
        self,
        *,
        name: str = ...,
        filter: str = ...,
        page_size: int = ...,
        page_token: str = ...,
        return_partial_success: bool = ...,
    ) -> None: ...
    name: str
    filter: str
    page_size: int
    page_token: str
    return_partial_success: bool

class ListOperationsResponse(Message):
    def __init__(
        self,
        *,
        operations: Iterable[Operation] | None = ...,
        next_page_token: str = ...,
        unreachable: Iterable[str] | None = ...,
    ) -> None: ...
    @property
    def operations(self) -> RepeatedCompositeFieldContainer[Operation]: ...
    next_page_token: str
    @property
    def unreachable(self) -> RepeatedScalarFieldContainer[str]: ...

class CancelOperationRequest(Message):
    def __init__(self, *, name: str = ...) -> None: ...
    name: str

class DeleteOperationRequest(Message):
    def __init__(self, *, name: str = ...) -> None: ...
    name: str

class WaitOperationRequest(Message):
    def __init__(self, *, name: str = ..., timeout: wkt.Duration | None = ...) -> None: ...
    name: str
    @property
    def timeout(self) -> wkt.Duration: ...
    def HasField(self, field_name: Literal["timeout"]) -> bool: ...

class OperationInfo(Message):
    def __init__(self, *, response_type: str = ..., metadata_type: str = ...) -> None: ...
    response_type: str
    metadata_type: str

# Types of one namespace of rpw_fixture.wire.protos, written by .ci/regenerate_protos.py.
# ruff: noqa: A002, N802, RUF100 - names are the protocols' and protobuf's own

from collections.abc import Iterable

from google.protobuf.internal.containers import (
    RepeatedCompositeFieldContainer,
    RepeatedScalarFieldContainer,
)
from google.protobuf.message import Message

class Input(Message):
    def __init__(self, *, path: str = ..., digest: bytes = ...) -> None: ...
    path: str
    digest: bytes

class WorkRequest(Message):
    def __init__(
        self,
        *,
        arguments: Iterable[str] | None = ...,
        inputs: Iterable[Input] | None = ...,
        request_id: int = ...,
        cancel: bool = ...,
        verbosity: int = ...,
        sandbox_dir: str = ...,
    ) -> None: ...
    @property
    def arguments(self) -> RepeatedScalarFieldContainer[str]: ...
    @property
    def inputs(self) -> RepeatedCompositeFieldContainer[Input]: ...
    request_id: int
    cancel: bool
    verbosity: int
    sandbox_dir: str

class WorkResponse(Message):
    def __init__(
        self,
        *,
        exit_code: int = ...,
        output: str = ...,
        request_id: int = ...,
        was_cancelled: bool = ...,
    ) -> None: ...
    exit_code: int
    output: str
    request_id: int
    was_cancelled: bool

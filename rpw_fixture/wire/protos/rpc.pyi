# Types of one namespace of rpw_fixture.wire.protos, written by .ci/regenerate_protos.py.
# ruff: noqa: A002, N802, RUF100 - names are the protocols' and protobuf's own

from collections.abc import Iterable, Mapping
from typing import Final, Literal, type_check_only

from google.protobuf.internal.containers import (
    RepeatedCompositeFieldContainer,
    RepeatedScalarFieldContainer,
    ScalarMap,
)
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message

from rpw_fixture.wire.protos import wkt

@type_check_only
class _Code(EnumTypeWrapper):
    OK: Final = 0
    CANCELLED: Final = 1
    UNKNOWN: Final = 2
    INVALID_ARGUMENT: Final = 3
    DEADLINE_EXCEEDED: Final = 4
    NOT_FOUND: Final = 5
    ALREADY_EXISTS: Final = 6
    PERMISSION_DENIED: Final = 7
    UNAUTHENTICATED: Final = 16
    RESOURCE_EXHAUSTED: Final = 8
    FAILED_PRECONDITION: Final = 9
    ABORTED: Final = 10
    OUT_OF_RANGE: Final = 11
    UNIMPLEMENTED: Final = 12
    INTERNAL: Final = 13
    UNAVAILABLE: Final = 14
    DATA_LOSS: Final = 15

Code: Final[_Code]
OK: Final = 0
CANCELLED: Final = 1
UNKNOWN: Final = 2
INVALID_ARGUMENT: Final = 3
DEADLINE_EXCEEDED: Final = 4
NOT_FOUND: Final = 5
ALREADY_EXISTS: Final = 6
PERMISSION_DENIED: Final = 7
UNAUTHENTICATED: Final = 16
RESOURCE_EXHAUSTED: Final = 8
FAILED_PRECONDITION: Final = 9
ABORTED: Final = 10
OUT_OF_RANGE: Final = 11
UNIMPLEMENTED: Final = 12
INTERNAL: Final = 13
UNAVAILABLE: Final = 14
DATA_LOSS: Final = 15

class ErrorInfo(Message):
    def __init__(
        self,
        *,
        reason: str = ...,
        domain: str = ...,
        metadata: Mapping[str, str] | None = ...,
    ) -> None: ...
    reason: str
    domain: str
    @property
    def metadata(self) -> ScalarMap[str, str]: ...

class RetryInfo(Message):
    def __init__(self, *, retry_delay: wkt.Duration | None = ...) -> None: ...
    @property
    def retry_delay(self) -> wkt.Duration: ...
    def HasField(self, field_name: Literal["retry_delay"]) -> bool: ...

class DebugInfo(Message):
    def __init__(
        self,
        *,
        stack_entries: Iterable[str] | None = ...,
        detail: str = ...,
    ) -> None: ...
    @property
    def stack_entries(self) -> RepeatedScalarFieldContainer[str]: ...
    detail: str

class QuotaFailure(Message):
    class Violation(Message):
        def __init__(
            self,
            *,
            subject: str = ...,
            description: str = ...,
            api_service: str = ...,
            quota_metric: str = ...,
            quota_id: str = ...,
            quota_dimensions: Mapping[str, str] | None = ...,
            quota_value: int = ...,
            future_quota_value: int | None = ...,
        ) -> None: ...
        subject: str
        description: str
        api_service: str
        quota_metric: str
        quota_id: str
        @property
        def quota_dimensions(self) -> ScalarMap[str, str]: ...
        quota_value: int
        future_quota_value: int
        def HasField(self, field_name: Literal["future_quota_value"]) -> bool: ...

    def __init__(
        self,
        *,
        violations: Iterable[QuotaFailure.Violation] | None = ...,
    ) -> None: ...
    @property
    def violations(self) -> RepeatedCompositeFieldContainer[QuotaFailure.Violation]: ...

class PreconditionFailure(Message):
    class Violation(Message):
        def __init__(
            self,
            *,
            type: str = ...,
            subject: str = ...,
            description: str = ...,
        ) -> None: ...
        type: str
        subject: str
        description: str

    def __init__(
        self,
        *,
        violations: Iterable[PreconditionFailure.Violation] | None = ...,
    ) -> None: ...
    @property
    def violations(
        self,
    ) -> RepeatedCompositeFieldContainer[PreconditionFailure.Violation]: ...

class BadRequest(Message):
    class FieldViolation(Message):
        def __init__(
            self,
            *,
            field: str = ...,
            description: str = ...,
            reason: str = ...,
            localized_message: LocalizedMessage | None = ...,
        ) -> None: ...
        field: str
        description: str
        reason: str
        @property
        def localized_message(self) -> LocalizedMessage: ...
        def HasField(self, field_name: Literal["localized_message"]) -> bool: ...

    def __init__(
        self,
        *,
        field_violations: Iterable[BadRequest.FieldViolation] | None = ...,
    ) -> None: ...
    @property
    def field_violations(
        self,
    ) -> RepeatedCompositeFieldContainer[BadRequest.FieldViolation]: ...

class RequestInfo(Message):
    def __init__(self, *, request_id: str = ..., serving_data: str = ...) -> None: ...
    request_id: str
    serving_data: str

class ResourceInfo(Message):
    def __init__(
        self,
        *,
        resource_type: str = ...,
        resource_name: str = ...,
        owner: str = ...,
        description: str = ...,
    ) -> None: ...
    resource_type: str
    resource_name: str
    owner: str
    description: str

class Help(Message):
    class Link(Message):
        def __init__(self, *, description: str = ..., url: str = ...) -> None: ...
        description: str
        url: str

    def __init__(self, *, links: Iterable[Help.Link] | None = ...) -> None: ...
    @property
    def links(self) -> RepeatedCompositeFieldContainer[Help.Link]: ...

class LocalizedMessage(Message):
    def __init__(self, *, locale: str = ..., message: str = ...) -> None: ...
    locale: str
    message: str

class Status(Message):
    def __init__(
        self,
        *,
        code: int = ...,
        message: str = ...,
        details: Iterable[wkt.Any] | None = ...,
    ) -> None: ...
    code: int
    message: str
    @property
    def details(self) -> RepeatedCompositeFieldContainer[wkt.Any]: ...

# Types of one namespace of rpw_fixture.wire.protos, written by .ci/regenerate_protos.py.
# ruff: noqa: A002, N802, RUF100 - names are the protocols' and protobuf's own

from collections.abc import Mapping
from typing import Final, type_check_only

from google.protobuf.internal.containers import MessageMap
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message

class HealthCheckRequest(Message):
    def __init__(self, *, service: str = ...) -> None: ...
    service: str

class HealthCheckResponse(Message):
    @type_check_only
    class _ServingStatus(EnumTypeWrapper):
        UNKNOWN: Final = 0
        SERVING: Final = 1
        NOT_SERVING: Final = 2
        SERVICE_UNKNOWN: Final = 3

    ServingStatus: Final[_ServingStatus]
    UNKNOWN: Final = 0
    SERVING: Final = 1
    NOT_SERVING: Final = 2
    SERVICE_UNKNOWN: Final = 3
    def __init__(self, *, status: int = ...) -> None: ...
    status: int

class HealthListRequest(Message):
    def __init__(self) -> None: ...

class HealthListResponse(Message):
    def __init__(
        self,
        *,
        statuses: Mapping[str, HealthCheckResponse] | None = ...,
    ) -> None: ...
    @property
    def statuses(self) -> MessageMap[str, HealthCheckResponse]: ...

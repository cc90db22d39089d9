# Types of one namespace of rpw_fixture.wire.protos, written by .ci/regenerate_protos.py.
# ruff: noqa: A002, N802, RUF100 - names are the protocols' and protobuf's own

from google.protobuf.message import Message

class SemVer(Message):
    def __init__(
        self,
        *,
        major: int = ...,
        minor: int = ...,
        patch: int = ...,
        prerelease: str = ...,
    ) -> None: ...
    major: int
    minor: int
    patch: int
    prerelease: str

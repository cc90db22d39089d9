"""Reading blobs where a test of the wire can't bring about what happens."""

from __future__ import annotations

from typing import Any

import pytest

from rpw_fixture.config import Config
from rpw_fixture.errors import BlobMissingError, Code, RequestError
from rpw_fixture.services.bytestream import ByteStreamService
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.cas import Cas
from rpw_fixture.wire.digests import SHA256
from rpw_fixture.wire.protos import bytestream


@pytest.mark.parametrize("compressor", ["", "zstd"])
def test_a_blob_that_is_evicted_while_it_is_read_is_not_found(
    compressor: str, cas: Cas, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = cas.store(SHA256).put(b"content")

    def read(*_: object) -> Any:
        yield b"cont"
        raise BlobMissingError([str(digest)])

    monkeypatch.setattr(BlobStore, "read", read)
    form = f"compressed-blobs/{compressor}" if compressor else "blobs"
    request = bytestream.ReadRequest(resource_name=f"{form}/{digest.hash}/{digest.size}")
    call: Any = None
    with pytest.raises(RequestError) as found:
        list(ByteStreamService(Config(), cas).read(request, call))
    assert found.value.code is Code.NOT_FOUND
    assert digest.hash in found.value.message

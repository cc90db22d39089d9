"""A client made from foreign stubs, and the names and messages that tests need.

The stubs are buildgrid-common's copies of the protocols, so that a mistake in ours can't hide on
both sides. Fields those copies lack are reached through `Client.own`.
"""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from rpw_fixture.wire.protos import methods

pytest.importorskip("buildgrid.common.protos")

from buildgrid.common.protos.build.bazel.remote.execution.v2 import remote_execution_pb2 as re
from buildgrid.common.protos.build.bazel.remote.execution.v2 import (
    remote_execution_pb2_grpc as re_grpc,
)
from buildgrid.common.protos.google.bytestream import bytestream_pb2 as bs
from buildgrid.common.protos.google.bytestream import bytestream_pb2_grpc as bs_grpc

__all__ = [
    "Client",
    "bs",
    "client_on",
    "re",
    "read_name",
    "refused",
    "sha256",
    "slices",
    "upload_name",
    "writes",
]
_REAPI = "build.bazel.remote.execution.v2"


def sha256(data: bytes) -> re.Digest:
    """The digest of ``data`` as the foreign client sends it."""
    return re.Digest(hash=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Foreign stubs on one channel, with the calls that tests make again and again."""

    channel: grpc.Channel
    capabilities: Any
    cas: Any
    bytestream: Any
    action_cache: Any

    def own(self, service: str) -> SimpleNamespace:
        """The methods of a service with this project's own messages, for newer fields."""
        name = service if "." in service else f"{_REAPI}.{service}"
        kinds = {
            (False, False): self.channel.unary_unary,
            (False, True): self.channel.unary_stream,
            (True, False): self.channel.stream_unary,
        }
        return SimpleNamespace(
            **{
                simple: kinds[method.client_streaming, method.server_streaming](
                    method.path,
                    lambda message: message.SerializeToString(),
                    method.response_class.FromString,
                )
                for simple, method in methods(name).items()
            }
        )

    def missing(self, *digests: re.Digest) -> list[re.Digest]:
        response = self.cas.FindMissingBlobs(re.FindMissingBlobsRequest(blob_digests=digests))
        return list(response.missing_blob_digests)

    def upload(self, *blobs: bytes) -> list[re.Digest]:
        digests = [sha256(blob) for blob in blobs]
        request = re.BatchUpdateBlobsRequest(
            requests=[
                re.BatchUpdateBlobsRequest.Request(digest=digest, data=blob)
                for digest, blob in zip(digests, blobs, strict=True)
            ]
        )
        assert {each.status.code for each in self.cas.BatchUpdateBlobs(request).responses} <= {0}
        return digests

    def write(self, name: str, *pieces: bytes, offset: int = 0, finish: bool = True) -> int:
        """Writes pieces under a resource name; the committed size."""
        return self.bytestream.Write(
            writes(name, *pieces, offset=offset, finish=finish)
        ).committed_size

    def read(self, name: str, *, offset: int = 0, limit: int = 0) -> bytes:
        request = bs.ReadRequest(resource_name=name, read_offset=offset, read_limit=limit)
        return b"".join(response.data for response in self.bytestream.Read(request))


def writes(
    name: str, *pieces: bytes, offset: int = 0, finish: bool = True
) -> Iterator[bs.WriteRequest]:
    """The messages of a write; the last one finishes it if ``finish``."""
    for position, piece in enumerate(pieces):
        yield bs.WriteRequest(
            resource_name=name if position == 0 else "",
            write_offset=offset,
            data=piece,
            finish_write=finish and position == len(pieces) - 1,
        )
        offset += len(piece)


def slices(data, size):
    return [data[start : start + size] for start in range(0, len(data), size)]


def upload_name(data: bytes, *, kind: str = "blobs", instance: str = "") -> str:
    """A fresh resource name to write ``data`` under."""
    prefix = f"{instance}/" if instance else ""
    digest = sha256(data)
    return f"{prefix}uploads/{uuid.uuid4()}/{kind}/{digest.hash}/{digest.size_bytes}"


def read_name(data: bytes, *, kind: str = "blobs") -> str:
    """The resource name to read ``data`` by."""
    digest = sha256(data)
    return f"{kind}/{digest.hash}/{digest.size_bytes}"


@contextlib.contextmanager
def refused(code: grpc.StatusCode, *words: str) -> Iterator[None]:
    """Expects a status, and that its message contains every one of ``words``."""
    with pytest.raises(grpc.RpcError) as caught:
        yield
    assert caught.value.code() is code, caught.value.details()
    for word in words:
        assert word in caught.value.details()


def client_on(channel: grpc.Channel) -> Client:
    """The stubs on a channel."""
    return Client(
        channel=channel,
        capabilities=re_grpc.CapabilitiesStub(channel),
        cas=re_grpc.ContentAddressableStorageStub(channel),
        bytestream=bs_grpc.ByteStreamStub(channel),
        action_cache=re_grpc.ActionCacheStub(channel),
    )

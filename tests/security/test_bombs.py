"""Little that stands for much: what decompresses, repeats or counts to gigabytes is refused in time."""

from __future__ import annotations

import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from rpw_fixture.errors import Code
from rpw_fixture.wire.compression import available, compressor_named
from rpw_fixture.wire.digests import SHA256
from rpw_fixture.wire.protos import bytestream
from rpw_fixture.wire.protos import remote_execution as reapi
from tests.server_process import ServerProcess

REAPI = "/build.bazel.remote.execution.v2"
CAS = f"{REAPI}.ContentAddressableStorage"
MIB = 1 << 20
#: What a server may need for one refused request, bytes.
MOST = 96 * MIB
#: A request that is refused takes no longer, seconds.
LONGEST = 20.0
NAMES = [each.name for each in available().values()]


class Bombed:
    """A server in a separate process, whose memory is watched."""

    def __init__(self, process: ServerProcess, channel: grpc.Channel) -> None:
        self._process = process
        self._channel = channel
        self._before = self._peak()

    def _peak(self) -> int:
        if sys.platform != "linux":
            pytest.skip("the peak of a process's memory is read from /proc")
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(each.split()[1]) << 10 for each in lines if each.startswith("VmHWM"))

    def growth(self) -> int:
        """By how much its memory has ever grown, bytes."""
        return self._peak() - self._before

    def update(self, request: reapi.BatchUpdateBlobsRequest) -> list[int]:
        call = self._channel.unary_unary(f"{CAS}/BatchUpdateBlobs", None, None)
        answer = call(request.SerializeToString(), timeout=60)
        responses = reapi.BatchUpdateBlobsResponse.FromString(answer).responses
        return [each.status.code for each in responses]

    def refusal(self, path: str, request: Any) -> str:
        """With what a unary call ends; it must be INVALID_ARGUMENT."""
        call = self._channel.unary_unary(path, None, None)
        return self._refused(lambda: call(request, timeout=60))

    def write(self, name: str, *pieces: bytes) -> bytes:
        messages = [
            bytestream.WriteRequest(
                resource_name=name,
                write_offset=sum(map(len, pieces[:number])),
                data=piece,
                finish_write=number == len(pieces) - 1,
            ).SerializeToString()
            for number, piece in enumerate(pieces)
        ]
        call = self._channel.stream_unary("/google.bytestream.ByteStream/Write", None, None)
        answer: bytes = call(iter(messages), timeout=60)
        return answer

    def refused_write(self, name: str, *pieces: bytes) -> str:
        return self._refused(lambda: self.write(name, *pieces))

    @staticmethod
    def _refused(call: Any) -> str:
        with pytest.raises(grpc.RpcError) as caught:
            call()
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT, caught.value
        return str(caught.value.details())


@pytest.fixture
def server() -> Iterator[Bombed]:
    with ServerProcess() as process:
        options = [("grpc.max_send_message_length", -1)]
        with grpc.insecure_channel(process.address, options) as channel:
            grpc.channel_ready_future(channel).result(30)
            channel.unary_unary(f"{REAPI}.Capabilities/GetCapabilities", None, None)(b"")
            yield Bombed(process, channel)
        assert process.stop() == 0


def zeros(name: str, size: int) -> bytes:
    """Return this number of zeros, compressed as much as possible."""
    pieces = (bytes(MIB) for _ in range(size // MIB))
    if name == "deflate":
        encoder = zlib.compressobj(9, wbits=-15)
        return b"".join(map(encoder.compress, pieces)) + encoder.flush()
    return b"".join(compressor_named(name).compress_pieces(pieces))


def entry(name: str, data: bytes, size: int) -> reapi.BatchUpdateBlobsRequest.Request:
    digest = reapi.Digest(hash=SHA256.of(b"%d" % size).hash, size_bytes=size)
    number = compressor_named(name).number
    return reapi.BatchUpdateBlobsRequest.Request(digest=digest, data=data, compressor=number)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_not_decompressed_beyond_what_a_batch_may_hold(
    server: Bombed, name: str
) -> None:
    size = 1 << 30
    bomb = entry(name, zeros(name, size), size)
    assert server.update(reapi.BatchUpdateBlobsRequest(requests=[bomb])) == [Code.INVALID_ARGUMENT]
    assert server.growth() < MOST


@pytest.mark.parametrize("name", NAMES)
def test_many_that_fit_do_not_fit_together(server: Bombed, name: str) -> None:
    size = 2 * MIB
    data, digest = zeros(name, size), SHA256.of(bytes(size))
    good = entry(name, data, size)
    good.digest.hash = digest.hash
    codes = server.update(reapi.BatchUpdateBlobsRequest(requests=[good] * 400))
    assert codes == [Code.OK] * 32 + [Code.INVALID_ARGUMENT] * 368  # 64 MiB: the largest message
    assert server.growth() < MOST


@pytest.mark.parametrize("name", NAMES)
def test_data_that_decompresses_to_more_than_it_says_is_refused(server: Bombed, name: str) -> None:
    data = zeros(name, 1 << 30)
    small = entry(name, data, 100)
    assert server.update(reapi.BatchUpdateBlobsRequest(requests=[small])) == [Code.INVALID_ARGUMENT]
    resource = f"uploads/5f0c2a1e-1111-4222-8333-444455556666/compressed-blobs/{name}"
    told = server.refused_write(f"{resource}/{SHA256.of(b'small')}", data)
    assert "does not match" in told
    assert server.growth() < MOST


def test_thousands_of_tiny_frames_are_refused_soon(server: Bombed) -> None:
    frame = compressor_named("zstd").compress(b"")
    data = frame * (2 * MIB // len(frame))
    began = time.monotonic()
    many = entry("zstd", data, 0)
    assert server.update(reapi.BatchUpdateBlobsRequest(requests=[many])) == [Code.INVALID_ARGUMENT]
    resource = "uploads/5f0c2a1e-1111-4222-8333-444455556666/compressed-blobs/zstd"
    assert "frames" in server.refused_write(f"{resource}/{SHA256.of(b'small')}", data)
    assert time.monotonic() - began < LONGEST


def test_a_few_hundred_frames_are_one_blob(server: Bombed) -> None:
    data = b"".join(b"%d" % number for number in range(200))
    frames = b"".join(compressor_named("zstd").compress(b"%d" % number) for number in range(200))
    resource = "uploads/5f0c2a1e-1111-4222-8333-444455556666/compressed-blobs/zstd"
    server.write(f"{resource}/{SHA256.of(data)}", frames[:1000], frames[1000:])


def test_a_huge_window_takes_no_memory(server: Bombed) -> None:
    """RFC 8878, 3.1.1.1.2: a window of 128 MiB, and a block of three bytes."""
    frame = (
        b"\x28\xb5\x2f\xfd" + bytes([0x00, 17 << 3]) + (3 << 3 | 1).to_bytes(3, "little") + b"abc"
    )
    resource = "uploads/5f0c2a1e-1111-4222-8333-444455556666/compressed-blobs/zstd"
    for _ in range(20):
        server.write(f"{resource}/{SHA256.of(b'abc')}", frame)
    assert server.growth() < MOST


def test_negative_sizes_do_not_make_up_for_large_ones(server: Bombed) -> None:
    digest = SHA256.of(b"x")
    request = reapi.BatchReadBlobsRequest(
        digests=[
            reapi.Digest(hash=digest.hash, size_bytes=1 << 40),
            reapi.Digest(hash=digest.hash, size_bytes=-(1 << 40)),
        ]
    )
    assert "in one batch" in server.refusal(f"{CAS}/BatchReadBlobs", request.SerializeToString())


@pytest.mark.parametrize("method", ["BatchReadBlobs", "BatchUpdateBlobs"])
def test_more_entries_than_a_response_can_name_are_refused(server: Bombed, method: str) -> None:
    """An entry takes two bytes in the request, and its refusal fifty times as many."""
    request = b"\x12\x00" * 300_000
    assert "blobs in one batch" in server.refusal(f"{CAS}/{method}", request)
